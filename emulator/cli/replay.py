"""`emulator replay`: packets from capture files through a node's saved state; for each, what the node does with it."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from emulator.cli.command import command, mistyped
from emulator.cli.exit_status import FAILED, OK
from emulator.cli.output import note

if TYPE_CHECKING:
    from emulator.bundle.inputs import Source
    from emulator.bundle.replay import Options, Replay
    from emulator.bundle.row import Row

EXAMPLES = """
emulator replay node-a --in eth0=eth0.pcap
emulator replay node-a --in eth0=in.pcap --in local=out.pcap -o text
emulator replay node-a --in eth0=in.pcap -v
emulator replay node-a --in eth0=in.pcap -w sent
tcpdump -w - -Q in -i eth0 -c 10 | emulator replay node-a --in eth0=-
"""

_AT_ONCE = 200
"""Rows that are written together."""


def _read_sources(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[Source, ...]:
    """Split each LINK=FILE; the files are opened later."""
    from emulator.bundle.inputs import STANDARD_INPUT, Source

    sources = []
    for value in values:
        link, equals, path = value.partition("=")
        if not (link and equals and path):
            raise click.BadParameter(f"{value!r} is not LINK=FILE, such as eth0=eth0.pcap", ctx, parameter)
        sources.append(Source(link, path))
    if sum(source.path == STANDARD_INPUT for source in sources) > 1:
        raise click.BadParameter("standard input can be read once only", ctx, parameter)
    return tuple(sources)


def _complete_source(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Complete the link's name from the bundle, then a path."""
    link, equals, begin = incomplete.partition("=")
    if equals:
        return [f"{link}={path}" for path in _paths(begin)]
    return [f"{name}=" for name in _link_names(ctx.params.get("bundle")) if name.startswith(link)]


def _paths(begin: str) -> list[str]:
    """Return the paths that begin so; directories end in a slash."""
    folder = begin.rpartition("/")[0]
    parent = Path(folder or ("/" if begin.startswith("/") else "."))
    try:
        entries = sorted(parent.iterdir())
    except OSError:
        return []
    prefix = begin[: len(begin) - len(begin.rpartition("/")[2])]
    found = [f"{prefix}{entry.name}{'/' if entry.is_dir() else ''}" for entry in entries]
    return [path for path in found if path.startswith(begin)]


def _link_names(bundle: str | None) -> list[str]:
    """Return the names of a bundle's links, none if it cannot be read: completion must not disturb."""
    import json

    try:
        links = json.loads((Path(bundle or ".") / "links.json").read_bytes())
        return ["local", *(str(link["ifname"]) for link in links if "ifname" in link)]
    except (OSError, ValueError, TypeError, RecursionError):
        return ["local"]


@command("replay", examples=EXAMPLES)
@click.argument("bundle", metavar="BUNDLE", type=click.Path())
@click.option("--in", "sources", metavar="LINK=FILE", multiple=True, required=True, callback=_read_sources,
              shell_complete=_complete_source,
              help="Packets that come in at a link, or that the node makes itself (local=FILE): pcap or pcapng, - for "
                   "standard input. May be given several times.")  # fmt: skip
@click.option("-w", "--write", "directory", metavar="DIRECTORY", type=click.Path(),
              help="Write what the node sends at each link to LINK.pcapng in this directory.")  # fmt: skip
@click.option("-o", "--output", type=click.Choice(["json", "text"]), help="One JSON line a packet (default), or text.")
@click.option("-v", "--verbose", count=True,
              help="Text with each step and each rule that was considered; -vv: rules that did not match for one "
                   "reason are not folded.")  # fmt: skip
@click.option("--ignore-unknown", is_flag=True, help="Rules with an unknown match or target never match.")
@click.option("--assume-neighbours/--ask-neighbours", default=None,
              help="Make up the MACs of unknown next hops, or send ARP requests for them as Linux does. With neither, "
                   "they are made up only where the bundle has no neigh.json.")  # fmt: skip
@click.option("--skip-sent", is_flag=True, help="Leave out packets that the capture saw as the node sent them.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of what the node draws at random.")
def replay(
    bundle: str,
    sources: tuple[Source, ...],
    directory: str | None,
    output: str | None,
    verbose: int,
    ignore_unknown: bool,
    assume_neighbours: bool | None,
    skip_sent: bool,
    seed: int,
) -> int:
    """Put captured packets through a node's saved state, offline, and tell what the node does with each.

    BUNDLE is a directory that scripts/snapshot-node made on the node: what ip, iptables-save, conntrack and their like
    print. The packets' times are the clock. docs/replay.md has the files, the rows and the limits.
    """
    from emulator.bundle.replay import Options

    if directory is not None and Path(directory).resolve() == Path(bundle).resolve():
        raise click.BadParameter(f"{directory} is the bundle itself; name another directory", param_hint="--write")
    run, cut = _prepare(
        Path(bundle), sources, seed, Options(ignore_unknown, assume_neighbours, bool(verbose), skip_sent)
    )
    for line in run.bundle.notes:
        note(f"note: {line}")
    if run.sent and not skip_sent:
        were = "1 packet was captured as the node sent it"
        if run.sent > 1:
            were = f"{run.sent} packets were captured as the node sent them"
        note(f"note: {were}; --skip-sent leaves such packets out")
    if verbose and run.bundle.ignored_sysctls:
        note(f"note: sysctl.txt: {run.bundle.ignored_sysctls} values are not of what is emulated")
    text = output == "text" or (output is None and verbose > 0)
    rows = run.rows() if directory is None else _captured(run, Path(directory))
    with _seldom_collected():
        _print(_lines(rows, text=text, verbose=verbose))
    for line in run.waiting():
        note(f"note: at the end {line}")
    if run.faults:
        note(f"error: {run.faults} packets met a fault of the emulator; their rows have it")
    for line in cut:
        note(f"error: {line}")
    return FAILED if run.faults or cut else OK


def _prepare(bundle: Path, sources: Sequence[Source], seed: int, options: Options) -> tuple[Replay, list[str]]:
    """Read the captures and the bundle; what is wrong with any of them is told at once.

    Only captures that end too early are told of after the rows: the lines of these are returned.
    """
    from random import Random

    from emulator.bundle.inputs import read_inputs
    from emulator.bundle.problem import BundleError, Problems
    from emulator.bundle.replay import Replay, UnknownLinkError

    problems = Problems()
    arrivals = read_inputs(sources, problems)
    try:
        run = Replay(bundle, arrivals, [source.link for source in sources], Random(seed), options)
    except BundleError as error:
        problems.found += error.problems
    except UnknownLinkError as error:
        raise mistyped(str(error), error.known, error.link) from None
    else:
        problems.check()
        return run, problems.cut
    raise BundleError(problems.found)


def _captured(run: Replay, directory: Path) -> Iterator[Row]:
    """Pass the rows on, and write what the node sent to files."""
    from emulator.bundle.writer import Writer

    with Writer(directory, run.bundle.netns.links) as writer:
        for row in run.rows():
            writer.write(row.timers)
            writer.write(row.out)
            yield row


def _lines(rows: Iterator[Row], *, text: bool, verbose: int) -> Iterator[str]:
    for row in rows:
        steps: list[str] = []
        if verbose:
            from emulator.bundle.trace_lines import trace_lines

            steps = trace_lines(row.steps, unfolded=verbose > 1)
        if text:
            yield "\n".join(row.to_text(steps))
        else:
            yield row.to_json(**({"trace": steps} if verbose else {}))


@contextlib.contextmanager
def _seldom_collected() -> Iterator[None]:
    """Look for cycles seldom, and not among what was loaded: that would cost a tenth of the time."""
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(100_000, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def _print(lines: Iterator[str]) -> None:
    """Write lines to standard output, many at once."""
    gathered: list[str] = []
    for line in lines:
        gathered.append(line)
        if len(gathered) >= _AT_ONCE:
            click.echo("\n".join(gathered))
            gathered.clear()
    if gathered:
        click.echo("\n".join(gathered))
