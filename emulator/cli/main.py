"""The console script `emulator`: finds the command, and turns failures into one line and an exit status."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

import emulator
from emulator.cli.command import LazyGroup, global_options
from emulator.cli.exit_status import FAILED, INTERRUPTED, OK, USAGE
from emulator.cli.session import Session
from emulator.errors import PodwireError

PROGRAM = "emulator"
COMPLETE = "_EMULATOR_COMPLETE"

MODULES = {
    "start": ("emulator.cli.start:start", "Start a cluster from a file; Ctrl-C ends it."),
    "stop": ("emulator.cli.stop:stop", "End a cluster."),
    "status": ("emulator.cli.status:status", "Show what runs: nodes, Services, pods, and what is not ready."),
    "apply": ("emulator.cli.apply:apply", "Create or change objects from manifests."),
    "get": ("emulator.cli.get:get", "List objects, as kubectl does."),
    "describe": ("emulator.cli.describe.main:describe", "Tell all about some objects."),
    "delete": ("emulator.cli.delete:delete", "Delete objects."),
    "scale": ("emulator.cli.scale:scale", "Set the number of a workload's pods."),
    "exec": ("emulator.cli.exec:exec_command", "Run a command in a pod or on a node."),
    "logs": ("emulator.cli.logs:logs", "Print a container's log."),
    "trace": ("emulator.cli.trace:trace", "Follow one packet there and its reply back, every hop and rule."),
    "replay": ("emulator.cli.replay:replay", "Put captured packets through a node's saved state, offline."),
    "proxy": ("emulator.cli.proxy.main:proxy", "kube-proxy's rules for a node from YAML, and where flows go by them."),
    "traffic": ("emulator.cli.traffic:traffic", "Send traffic from pods by a script, with a report."),
    "tui": ("emulator.cli.tui:tui", "Watch the cluster: flows, nodes, pods, Services."),
    "bench": ("emulator.cli.bench.main:bench", "Measure how fast clusters start and packets go."),
    "completion": ("emulator.cli.completion:completion", "Print the completion script of a shell."),
    "version": ("emulator.cli.version:version", "Print the versions of the command and the cluster."),
}

HELP = """The network of a Kubernetes cluster in user space, packet by packet.

A first run:

\b
  emulator start configs/3node.toml
  emulator exec client -- curl -s http://web/
  emulator trace client web

Every option has an environment variable: PODWIRE_CLUSTER for --cluster, PODWIRE_GET_NAMESPACE for `get --namespace`,
and PODWIRE_NAMESPACE for the namespace of all commands.
"""


def _root(ctx: click.Context, state_dir: str | None, cluster: str | None) -> None:
    ctx.obj = Session(state_dir, cluster)


def cli() -> click.Group:
    """Return the root of all commands."""
    return LazyGroup(
        PROGRAM,
        modules=MODULES,
        params=[*global_options(), _version_option()],
        help=HELP,
        subcommand_metavar="COMMAND …",
        callback=click.pass_context(_root),
        context_settings={"auto_envvar_prefix": "PODWIRE"},
    )


def _version_option() -> click.Option:
    def show(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
        if value and not ctx.resilient_parsing:
            click.echo(f"podwire {emulator.__version__}")
            ctx.exit()

    return click.Option(
        ["--version"], is_flag=True, expose_value=False, is_eager=True, callback=show, help="Print the version."
    )


def run(arguments: Sequence[str]) -> int:
    """Run one command and return the exit status: 0 done, 1 failed, 2 usage, 130 interrupted."""
    colour = False if os.environ.get("NO_COLOR") else None
    try:
        with cli().make_context(PROGRAM, list(arguments), color=colour) as ctx:
            value = ctx.command.invoke(ctx)
            return value if isinstance(value, int) else OK
    except click.exceptions.Exit as end:
        return end.exit_code
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except click.ClickException as error:
        return _usage(error)
    except BrokenPipeError:
        raise
    except PodwireError as error:
        return _failed(error)
    except OSError as error:
        return _say(f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error))


def _usage(error: click.ClickException) -> int:
    """Print what is wrong with the command line, and where its help is."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return USAGE
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context is not None else PROGRAM
    message = error.format_message().replace("\n", " ").rstrip(".")
    _say(f"{message}; see: {path} --help" if error.exit_code == USAGE else message)
    return error.exit_code


def _failed(error: PodwireError) -> int:
    """Print a failure: refusals of the controller in kubectl's words, everything else as it is, one line a problem."""
    from emulator.api.messages import ControlError, ErrorCode

    titles = {
        ErrorCode.NOT_FOUND: "NotFound",
        ErrorCode.ALREADY_EXISTS: "AlreadyExists",
        ErrorCode.CONFLICT: "Conflict",
    }
    title = titles.get(error.code) if isinstance(error, ControlError) else None
    return _say(str(error), f"Error from server ({title}): " if title else "error: ")


def _say(message: str, prefix: str = "error: ") -> int:
    from emulator.cli.output import print_error

    print_error(message, prefix)
    return FAILED


def _open_standard_streams() -> None:
    """Have /dev/null where the shell closed a standard stream (`>&-`): the next file opened would take its number."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, "w", closefd=False))


def main() -> NoReturn:
    """Run the command line of this process."""
    instruction = os.environ.get(COMPLETE)
    status = INTERRUPTED
    _open_standard_streams()
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if instruction:
            from click.shell_completion import shell_complete

            status = shell_complete(cli(), {}, PROGRAM, COMPLETE, instruction)
        else:
            status = run(sys.argv[1:])
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        status = OK  # whoever read our output has seen enough
    except KeyboardInterrupt:
        status = INTERRUPTED
    # Everything is written, closed and joined: taking the interpreter apart would cost each command 15 ms more.
    os._exit(status)
