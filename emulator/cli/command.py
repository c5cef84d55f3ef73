"""What every command is made of: examples in its help, the global options after its name, import when it is used."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click

from emulator.cli.session import Session

HELP_OPTIONS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}

pass_session = click.make_pass_decorator(Session)


class Command(click.Command):
    """A command whose help ends with examples, and which takes the global options as kubectl does: anywhere.

    One that is `offline` asks no cluster, and has these names for options of its own.
    """

    def __init__(self, *args: Any, examples: str = "", offline: bool = False, **attributes: Any) -> None:
        attributes.setdefault("context_settings", {}).update(HELP_OPTIONS)
        super().__init__(*args, **attributes)
        self.examples = examples
        if not offline:
            self.params += global_options(keep=_set_global)

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are."""
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples.strip().split("\n"):
                    formatter.write(f"  {line.strip()}\n")


def command(name: str, *, examples: str, **attributes: Any) -> Callable[[Callable[..., Any]], Command]:
    """Make a command of a function, whose docstring is its help."""
    return click.command(name, cls=Command, examples=examples, **attributes)


class LazyGroup(click.Group):
    """A group that knows of each command only its module and its line in the overview."""

    def __init__(self, *args: Any, modules: Mapping[str, tuple[str, str]], **attributes: Any) -> None:
        attributes.setdefault("context_settings", {}).update(HELP_OPTIONS)
        super().__init__(*args, **attributes)
        self.modules = modules
        self.commands = dict.fromkeys(modules)  # type: ignore[assignment]  # names only, for "did you mean"

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return all names, in the order of the overview."""
        return list(self.modules)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in self.modules:
            return None
        module, _, attribute = self.modules[cmd_name][0].partition(":")
        found = getattr(importlib.import_module(module), attribute)
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview without importing any command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in self.modules.items()])


def global_options(keep: Callable[[click.Context, click.Parameter, Any], None] | None = None) -> list[click.Parameter]:
    """Return the options that say which cluster is meant; without `keep` they read their environment variables too."""
    first = keep is None
    state_dir = click.Option(
        ["--state-dir"],
        metavar="DIRECTORY",
        envvar="PODWIRE_STATE_DIR" if first else None,
        show_envvar=first,
        expose_value=first,
        callback=keep,
        help="The cluster's state directory, where it is not at its default place.",
    )
    cluster = click.Option(
        ["--cluster"],
        metavar="NAME",
        envvar="PODWIRE_CLUSTER" if first else None,
        show_envvar=first,
        expose_value=first,
        callback=keep,
        help="Which cluster; needed only where several run.",
        shell_complete=complete_cluster,
    )
    return [state_dir, cluster]


def _set_global(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    """Note a global option that stands behind the command's name; it wins over one before it."""
    session = ctx.find_object(Session)
    if value is not None and session is not None and parameter.name is not None:
        setattr(session, parameter.name, value)


def complete_cluster(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of a running cluster."""
    from emulator.runtime.state_directory import running_clusters

    return [directory.name for directory in running_clusters() if directory.name.startswith(incomplete)]


def mistyped(message: str, known: Iterable[str] = (), word: str = "") -> click.UsageError:
    """Return a usage error (exit status 2), with the known word that is close to `word`."""
    from emulator.api.problem import closest

    close = closest(word, known)
    return click.UsageError(f'{message}; did you mean "{close}"?' if close else message)
