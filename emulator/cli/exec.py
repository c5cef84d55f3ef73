"""`emulator exec`: a command in a pod or on a node; the command runs there, here only its bytes pass."""

from __future__ import annotations

import os
import select
import sys

import click

from emulator.api.messages import EXEC, ControlError, ErrorCode, ExecOutput, ExecParams, ExecResult, OutputStream
from emulator.cli.client import Client, Exchange
from emulator.cli.command import Command, pass_session
from emulator.cli.exit_status import INTERRUPTED
from emulator.cli.options import DEFAULT_NAMESPACE, complete_target, namespace_option
from emulator.cli.session import Session
from emulator.cli.target import find_target

EXAMPLES = """
emulator exec client -- curl -s http://web/
emulator exec client -- ping -c 3 10.244.0.1
emulator exec deploy/web -- ip addr
emulator exec node/node-a -- iptables-save -t nat
printf 'GET / HTTP/1.0\\r\\n\\r\\n' | emulator exec -i client -- nc web 80
emulator exec -it client -- hostname
"""

_STDIN = 0
_CHUNK = 65_536
_PATIENCE = 2.0
"""Seconds that an interrupted command has for its last words, such as ping's statistics."""


class ExecCommand(Command):
    """Takes its options on both sides of the target, as kubectl does; from `--` on all words are the command's."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words. Without a `--` the command begins behind the target, and its options are its own."""
        ctx.allow_interspersed_args = "--" in args
        return super().parse_args(ctx, args)


@click.command("exec", cls=ExecCommand, examples=EXAMPLES)
@namespace_option
@click.option("-c", "--container", default="", metavar="NAME", help="Which container, where it matters.")
@click.option("-i", "--stdin", is_flag=True, help="Pass standard input on; without it the command's input is empty.")
@click.option(
    "-t",
    "--tty",
    is_flag=True,
    expose_value=False,
    help="Taken as kubectl takes it, without effect: output is always passed on.",
)
@click.argument("target", shell_complete=complete_target)
@click.argument("words", metavar="-- COMMAND…", nargs=-1, required=True, type=click.UNPROCESSED)
@pass_session
def exec_command(
    session: Session, namespace: str | None, container: str, stdin: bool, target: str, words: tuple[str, ...]
) -> int:
    """Run a command in a pod or on a node; the exit status is the command's.

    TARGET is a pod's name, deploy/NAME or svc/NAME for one of its pods, or node/NAME. The commands are the familiar
    ones: ping, curl, nc, nslookup, ip, bridge, ss, iptables, iptables-save, conntrack, sysctl and others.
    """
    if words[0].startswith("-"):
        raise click.UsageError(f'"{words[0]}" is no command; write options, then --, then the command')
    with session.controller() as controller:
        found = find_target(controller, target, namespace or DEFAULT_NAMESPACE)
    passes_input = stdin and _has_input()
    params = ExecParams(
        command=words, namespace=found.namespace, pod=found.pod, container=container, stdin=passes_input
    )
    with session.node(found.node) as client:
        return _run(client, params)


def _has_input() -> bool:
    """Whether there is a standard input: a shell's `<&-` closes it."""
    try:
        os.fstat(_STDIN)
    except OSError:
        return False
    return True


def _run(client: Client, params: ExecParams) -> int:
    exchange = client.open(EXEC, params)
    try:
        _pass(client, exchange, _STDIN if params.stdin else -1)
        return exchange.result.exit_status
    except KeyboardInterrupt:
        return _interrupt(exchange)


def _pass(client: Client, exchange: Exchange[ExecOutput, ExecResult], source: int) -> None:
    """Carry input (from `source`, -1: none) and output until the command ends.

    Input waits in `pending` and not in a blocking send: a command that does not read must not hold up its output.
    """
    pending = b""
    while not exchange.ended:
        reads = [client.socket.fileno()] + ([source] if source >= 0 and not pending else [])
        readable, writable, _ = select.select(reads, [client.socket.fileno()] if pending else [], [])
        if client.socket.fileno() in readable:
            _write(exchange.receive())
        if writable:
            pending = pending[client.send_some(pending) :]
        if source in readable:
            data = os.read(source, _CHUNK)
            pending = exchange.encode_input(data or None)
            source = source if data else -1


def _write(outputs: list[ExecOutput]) -> None:
    for output in outputs:
        stream = sys.stdout if output.stream is OutputStream.STDOUT else sys.stderr
        if stream is not None:  # None: the shell closed it (`>&-`)
            stream.buffer.write(output.data)
            stream.buffer.flush()


def _interrupt(exchange: Exchange[ExecOutput, ExecResult]) -> int:
    """End the command there; a second Ctrl-C does not wait for its last words."""
    try:
        exchange.cancel()
        while not exchange.ended:
            _write(exchange.receive(_PATIENCE))
        return exchange.result.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED
    except ControlError as error:
        if error.code in (ErrorCode.CANCELLED, ErrorCode.UNAVAILABLE):
            return INTERRUPTED
        raise
