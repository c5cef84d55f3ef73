"""`emulator traffic`: traffic by a script from the cluster's pods, with a report."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from emulator.cli.command import LazyGroup, command, pass_session
from emulator.cli.exit_status import FAILED, OK, USAGE
from emulator.cli.options import output_option
from emulator.cli.session import Session

if TYPE_CHECKING:
    from emulator.runtime.cluster.cluster import Cluster
    from emulator.runtime.traffic.report import Report
    from emulator.runtime.traffic.surroundings import Progress

EXAMPLES = """
emulator traffic run scripts/traffic/web-mix.toml
emulator traffic run scripts/traffic/web-mix.toml --junit-file report.xml
emulator traffic run scripts/traffic/rolling-update.py --set graceful=no
emulator traffic run my-load.py -o json
"""
INTERRUPTED = 130  # 128 + SIGINT

traffic = LazyGroup(
    "traffic",
    modules={"run": ("emulator.cli.traffic:run", "Run a script of traffic and print its report.")},
    help="Send traffic from the cluster's pods by a script.",
)


def complete_script(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete directories and what ends in .py or .toml."""
    given = Path(incomplete)
    directory, start = (given, "") if incomplete.endswith("/") or not incomplete else (given.parent, given.name)
    try:
        entries = sorted(directory.iterdir())
    except OSError:
        return []
    fitting = [entry for entry in entries if entry.name.startswith(start) and (start or not entry.name.startswith("."))]
    return [
        CompletionItem(f"{entry}/" if entry.is_dir() else str(entry))
        for entry in fitting
        if entry.is_dir() or entry.suffix in (".py", ".toml")
    ]


@command("run", examples=EXAMPLES)
@click.argument(
    "script",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    shell_complete=complete_script,
)
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A keyword argument of a script's main.")
@output_option("json")
@click.option("--junit-file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
              help="Also write the assertions as JUnit XML, for CI.")  # fmt: skip
@pass_session
def run(session: Session, script: Path, settings: tuple[str, ...], output: str | None, junit_file: Path | None) -> int:
    """Run FILE against the running cluster and print what came of it.

    FILE is a traffic file (TOML: loads, phases, assertions), or a Python file with `async def main(cluster, ...)` that
    returns the report of a load. What it applies goes into the namespace that it names, and is removed at the end.
    Ctrl-C ends the traffic and prints the report so far.

    Exit status: 0, 1 where an assertion does not hold (that no request fails, where FILE has none), 2 where FILE or
    options are wrong, 130 after Ctrl-C.
    """
    from emulator.cli.output import print_error
    from emulator.errors import ManifestError
    from emulator.runtime.traffic.scripts import SettingError, load_script

    try:
        loaded = load_script(script)
        keywords = loaded.settings(settings)
    except ManifestError as error:
        print_error(str(error))
        return USAGE
    except SettingError as error:
        raise click.UsageError(str(error)) from None
    directory = session.directory
    report = _run(directory.name, str(directory.path), partial(loaded.run, settings=keywords))
    if output == "json":
        from emulator.cli.output import print_json

        print_json(report.summary())
    else:
        from emulator.cli.output import print_lines
        from emulator.runtime.traffic.report_text import lines

        print_lines(lines(report))
    if junit_file is not None:  # behind the report, which must not be lost where the file cannot be written
        junit_file.write_text(_junit(report), encoding="utf-8")
    for failure in report.failures:
        print_error(failure, "failed: ")
    if report.interrupted:
        return INTERRUPTED
    return OK if report.passed else FAILED


def _run(name: str, directory: str, main: Callable[[Cluster], Awaitable[Report]]) -> Report:
    """Run a script's main in a cluster that runs, with its progress on standard error where that is a terminal."""
    import trio

    from emulator.runtime.traffic.attached import run_attached

    line = _Line(shown=sys.stderr.isatty())
    try:
        return trio.run(run_attached, name, directory, main, line.progress, line.step)
    except BaseExceptionGroup as group:
        raise _only(group) from None
    finally:
        line.clear()


class _Line:
    """One line on standard error that is written over, on a terminal."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown

    def progress(self, progress: Progress) -> None:
        """Show how it goes."""
        if self._shown:
            sys.stderr.write(f"\r\x1b[K{progress}")
            sys.stderr.flush()

    def step(self, text: str) -> None:
        """Show what is done before and after."""
        if self._shown:
            sys.stderr.write(f"\r\x1b[K{text} …")
            sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")


def _junit(report: Report) -> str:
    """Return the report's assertions as a JUnit document; changes that could not be made are failed cases too."""
    from emulator.api.junit import JunitCase, JunitSuite, junit_document
    from emulator.runtime.traffic.report_text import lines

    text = "\n".join(lines(report))
    cases = [
        JunitCase(
            name=f"{check.of}: {check.assertion.text}" if check.of else check.assertion.text,
            classname=f"traffic.{report.name}",
            message="" if check.passed else f"it is {check.value}",
            detail=text,
        )
        for check in report.checks
    ]
    cases += [
        JunitCase(name=event.text, classname=f"traffic.{report.name}", message=event.text, detail=text)
        for event in report.events
        if event.failed
    ]
    suite = JunitSuite(name=report.name, cases=cases, seconds=report.duration)
    return junit_document("emulator traffic run", [suite])


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the one failure in nested groups, which is what the user's script met."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
