"""`emulator bench services`: a change of one endpoint among ten thousand Services, to the rules of every node."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from emulator.api.cluster_file import AVAILABLE, PROXY_MODES
from emulator.cli.bench.main import end_on_sigterm
from emulator.cli.command import command
from emulator.cli.exit_status import OK
from emulator.cli.options import output_option
from emulator.cli.output import Table, note, print_json, print_lines

if TYPE_CHECKING:
    from emulator.runtime.bench.services import ModeReport, ServicesReport
    from emulator.runtime.bench.spread import Spread

EXAMPLES = """
emulator bench services
emulator bench services --services 1000 --nodes 3 --mode nftables
emulator bench services --mode iptables --mode ipvs -o json
"""
CHANGE_TARGET, FIRST_TARGET = "p99 200 ms", "10 s"
_MODES = [mode for mode in PROXY_MODES if mode in AVAILABLE]


@command("services", examples=EXAMPLES)
@click.option("--services", type=click.IntRange(1, 50_000), default=10_000, show_default=True, metavar="N")
@click.option("--nodes", type=click.IntRange(1, 100), default=10, show_default=True, metavar="N")
@click.option(
    "--changes", type=click.IntRange(min=1), default=200, show_default=True, metavar="C", help="In each mode."
)
@click.option("--restarts", type=click.IntRange(min=0), default=2, show_default=True, metavar="R", help="Of a node.")
@click.option("--mode", "modes", type=click.Choice(_MODES), multiple=True, help="May be repeated; by default all.")
@output_option("json")
def services(services: int, nodes: int, changes: int, restarts: int, modes: tuple[str, ...], output: str | None) -> int:
    """Measure how long one endpoint's change takes to the rules of every node, and a node's first sync.

    Starts a cluster, creates the Services with two endpoints each, then takes a pod in and out of another Service. Each
    change goes all the way: pod, EndpointSlice controller, store, watches, kube-proxy, rules in force.
    """
    from emulator.runtime.bench.services import ServicesPlan, measure_services

    end_on_sigterm()
    plan = ServicesPlan(
        services=services, nodes=nodes, changes=changes, restarts=restarts, modes=modes or tuple(_MODES)
    )
    report = measure_services(plan, note)
    if output == "json":
        import msgspec

        print_json(msgspec.to_builtins(report))
    else:
        print_lines(services_lines(report))
    return OK


def services_lines(report: ServicesReport) -> list[str]:
    """Return the report as text."""
    lines = []
    for mode in report.modes:
        lines += [*_mode_lines(report, mode), ""]
    lines.append(f"{report.services:,} Services made and on all nodes: {report.created:.1f} s")
    lines.append(f"on {os.cpu_count()} processors with a load of {report.load:.1f} before")
    return lines


def _mode_lines(report: ServicesReport, mode: ModeReport) -> list[str]:
    head = f"{mode.mode}, {report.services:,} Services, {report.nodes} nodes"
    rows = [[head, "median", "p99", "max", "target"]]
    for name, spread, percentile, target in (
        (f"change on every node ({report.changes})", mode.all_nodes, mode.percentile, CHANGE_TARGET),
        ("change on one node", mode.one_node, mode.one_percentile, ""),
        ("  of it kube-proxy's sync", mode.sync, None, ""),
    ):
        shown = "" if percentile is None else f"{percentile * 1e3:.0f} ms"
        rows.append([name, f"{spread.median * 1e3:.1f} ms", shown, f"{spread.maximum * 1e3:.0f} ms", target])
    rows += _seconds("a node's first sync", mode.first_sync, FIRST_TARGET)
    rows += _seconds("  from its start", mode.restart, "")
    if mode.memory is not None:
        rows.append(
            ["memory of a node (PSS)", f"{mode.memory.median:.0f} MiB", "", f"{mode.memory.maximum:.0f} MiB", ""]
        )
    return Table().lines(rows)


def _seconds(name: str, spread: Spread | None, target: str) -> list[list[str]]:
    return [] if spread is None else [[name, f"{spread.median:.2f} s", "", f"{spread.maximum:.2f} s", target]]
