"""`emulator traffic`: traffic by a script from the cluster's pods, with a report."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emulator.cli.command import LazyGroup, command, pass_session
from emulator.cli.exit_status import FAILED, OK
from emulator.cli.options import output_option
from emulator.cli.session import Session
from emulator.errors import PodwireError

if TYPE_CHECKING:
    from emulator.runtime.cluster.cluster import Cluster
    from emulator.runtime.cluster.traffic import Progress, Report

    Main = Callable[..., Awaitable[Report]]

EXAMPLES = """
emulator traffic run scripts/traffic/web.py
emulator traffic run scripts/traffic/web.py --set duration=60 --set rate=200
emulator traffic run my-load.py -o json
"""

traffic = LazyGroup(
    "traffic",
    modules={"run": ("emulator.cli.traffic:run", "Run a script of traffic and print its report.")},
    help="Send traffic from the cluster's pods by a script.",
)


@command("run", examples=EXAMPLES)
@click.argument("script", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A keyword argument of the script's main.")
@output_option("json")
@pass_session
def run(session: Session, script: Path, settings: tuple[str, ...], output: str | None) -> int:
    """Run FILE's `async def main(cluster, ...)` against the running cluster; it returns the report of a load.

    The exit status is 1 if any request failed.
    """
    main = load_main(script)
    keywords = keywords_of(main, script, settings)
    directory = session.directory
    report = _run(directory.name, directory.path, main, keywords)
    if output == "json":
        from emulator.cli.output import print_json

        print_json(report.summary())
    else:
        from emulator.cli.output import print_lines

        print_lines(report.lines())
    return FAILED if report.total.failed or not report.total.succeeded else OK


def load_main(script: Path) -> Main:
    """Return the script's `main`. Raises PodwireError, which says what is wrong with the script."""
    spec = importlib.util.spec_from_file_location("podwire_traffic_script", script)
    if spec is None or spec.loader is None:
        raise PodwireError(f"{script}: not a Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except (SyntaxError, ImportError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise PodwireError(f"{script}{line}: {error.msg}") from None
    main: Main | None = getattr(module, "main", None)
    if not inspect.iscoroutinefunction(main):
        raise PodwireError(f"{script}: has no `async def main(cluster)`")
    return main


def keywords_of(main: Main, script: Path, settings: tuple[str, ...]) -> dict[str, Any]:
    """Return `--set` options as keyword arguments, of the type of their defaults. Raises click.UsageError."""
    defaults = {
        parameter.name: parameter.default
        for parameter in inspect.signature(main).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and parameter.default is not inspect.Parameter.empty
    }
    keywords = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or name not in defaults:
            known = ", ".join(defaults) or "none"
            raise click.UsageError(f"--set {setting}: {script.name} has no such setting; it has: {known}")
        kind = type(defaults[name])
        try:
            keywords[name] = kind(text)
        except ValueError:
            raise click.UsageError(f"--set {setting}: not of the type {kind.__name__}") from None
    return keywords


def _run(name: str, directory: Path, main: Main, keywords: dict[str, Any]) -> Report:
    import trio

    from emulator.runtime.cluster.cluster import Cluster
    from emulator.runtime.cluster.traffic import Report, progress_line

    async def run_attached() -> Report:
        async with Cluster.attach(name, state_dir=str(directory)) as cluster:
            return await _call(main, cluster, keywords)

    token = progress_line.set(_show_progress if sys.stderr.isatty() else None)
    try:
        report = trio.run(run_attached)
    except BaseExceptionGroup as group:
        raise _only(group) from None
    finally:
        progress_line.reset(token)
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
    if not isinstance(report, Report):
        raise PodwireError("the script's main returned no report; end it with: return await load.run()")
    return report


async def _call(main: Main, cluster: Cluster, keywords: dict[str, Any]) -> Report:
    return await main(cluster, **keywords)


def _show_progress(progress: Progress) -> None:
    sys.stderr.write(f"\r\x1b[K{progress}")
    sys.stderr.flush()


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the one failure in nested groups, which is what the user's script met."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
