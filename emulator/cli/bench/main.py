"""`emulator bench`: measures how fast clusters start and how fast packets go, beside their targets."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from emulator.cli.command import LazyGroup, command
from emulator.cli.exit_status import FAILED, OK
from emulator.cli.options import output_option
from emulator.cli.output import Table, note, print_json, print_lines

if TYPE_CHECKING:
    from emulator.runtime.bench.forward import ForwardReport
    from emulator.runtime.bench.node_cost import NodeCost
    from emulator.runtime.bench.spread import Spread
    from emulator.runtime.bench.start import StartReport
    from emulator.runtime.bench.traffic import Transfer

SMALL, LARGE = 3, 50
"""Nodes of the clusters that are started where none are named."""

TARGETS = {
    ("answered", SMALL): "1.5 s",
    ("ready", LARGE): "8 s",
    ("memory", SMALL): "15 MiB",
    ("memory", LARGE): "15 MiB",
}
FIRST_TARGET, LATER_TARGET = "200 µs", "80 µs"

START_EXAMPLES = """
emulator bench start
emulator bench start --nodes 10 --runs 3
emulator bench start -o json
"""
FORWARD_EXAMPLES = """
emulator bench forward
emulator bench forward --packets 500000 --size 1400
emulator bench forward --kernel -o json
"""

bench = LazyGroup(
    "bench",
    modules={
        "start": ("emulator.cli.bench.main:start", "From the start to the first answer, memory, and the end."),
        "forward": ("emulator.cli.bench.main:forward", "Packets, bytes and requests a second through a VIP."),
        "conntrack": ("emulator.cli.bench.conntrack:conntrack", "Memory and time of connections in a table of many."),
        "rules": ("emulator.cli.bench.rules:rules", "How long very many rules take to load."),
        "services": ("emulator.cli.bench.services:services", "One endpoint's change to the rules of every node."),
    },
    help="Measure. What starts clusters starts its own, beside those that run, and leaves nothing of them.",
)


@command("start", examples=START_EXAMPLES)
@click.option(
    "--nodes", type=click.IntRange(1, 200), metavar="N", help=f"A cluster of so many; by default {SMALL}, then {LARGE}."
)
@click.option("--runs", type=click.IntRange(min=1), default=5, show_default=True, metavar="R", help="Starts of each.")
@output_option("json")
def start(nodes: int | None, runs: int, output: str | None) -> int:
    """Start clusters as a user does, ask through a VIP from a pod, measure the memory, stop them.

    Without --nodes the large cluster is started once. Exits with 1 if a stop has left anything.
    """
    from emulator.runtime.bench.start import measure_start

    end_on_sigterm()
    plans = [(nodes, runs)] if nodes else [(SMALL, runs), (LARGE, 1)]
    reports = [measure_start(each, times, note) for each, times in plans]
    if output == "json":
        import msgspec

        print_json([msgspec.to_builtins(report) for report in reports])
    else:
        print_lines([line for report in reports for line in start_lines(report)])
    return FAILED if any(report.left for report in reports) else OK


@command("forward", examples=FORWARD_EXAMPLES)
@click.option("--packets", type=click.IntRange(min=0), default=200_000, show_default=True, metavar="N", help="UDP.")
@click.option(
    "--size", type=click.IntRange(5, 65_507), default=64, show_default=True, metavar="B", help="Bytes in a packet."
)
@click.option("--megabytes", type=click.IntRange(min=0), default=100, show_default=True, metavar="M", help="TCP.")
@click.option("--requests", type=click.IntRange(min=0), default=1_000, show_default=True, metavar="N", help="HTTP.")
@click.option(
    "--cost-packets", type=click.IntRange(min=0), default=5_000, show_default=True, metavar="N", help="In one process."
)
@click.option("--kernel", is_flag=True, help="This machine's kernel too (needs root): veth, bridge, DNAT, bridge.")
@output_option("json")
def forward(
    packets: int, size: int, megabytes: int, requests: int, cost_packets: int, kernel: bool, output: str | None
) -> int:
    """Measure the way from a pod on one node through a VIP to a pod on another; 0 leaves a part out.

    First with real processes: UDP packets counted by the receiver, bytes over TCP, HTTP requests on new connections.
    Then inside one process: the processor time that a connection's first packet and a later one cost each node. Exits
    with 1 if the bytes over TCP do not arrive as they were sent.
    """
    from emulator.runtime.bench.forward import ForwardPlan, measure_forward
    from emulator.runtime.bench.kernel_path import missing

    if kernel and (reason := missing()):
        raise click.UsageError(f"--kernel: {reason}")
    end_on_sigterm()
    plan = ForwardPlan(
        packets=packets,
        size=size,
        bytes=megabytes * 1_000_000,
        requests=requests,
        cost_packets=cost_packets,
        kernel=kernel,
    )
    report = measure_forward(plan, note)
    if output == "json":
        print_json(forward_json(report))
    else:
        print_lines(forward_lines(report))
    return OK if report.tcp is None or report.tcp.intact else FAILED


def end_on_sigterm() -> None:
    """End as by Ctrl-C, which leaves nothing behind."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def start_lines(report: StartReport) -> list[str]:
    """Return the report as text."""
    runs = "1 run" if report.runs == 1 else f"{report.runs} runs"
    rows = [[f"{report.nodes} nodes, {runs}", "median", "min", "max", "target"]]

    def add(name: str, spread: Spread, unit: str, target: str) -> None:
        digits = 1 if unit == "MiB" else 2
        values = [f"{value:.{digits}f} {unit}" for value in (spread.median, spread.minimum, spread.maximum)]
        rows.append([name, *values, TARGETS.get((target, report.nodes), "")])

    add("all ready", report.ready, "s", "ready")
    add("first answer through a VIP", report.answered, "s", "answered")
    add("  processor time until then", report.processor, "s", "processor")
    add("stop, nothing left", report.stopped, "s", "stopped")
    if report.node_pss is not None and report.node_private is not None:
        add("memory of a node (PSS)", report.node_pss, "MiB", "memory")
        add("  of it private", report.node_private, "MiB", "private")
    others = [each for each in report.processes if not each.name.startswith("node-")]
    lines = Table().lines(rows)
    lines += [f"{each.name}: PSS {each.pss:.1f} MiB, private {each.private:.1f} MiB" for each in others]
    lines.append(_machine(report.load))
    lines += [f"LEFT BEHIND: {line}" for line in report.left]
    return [*lines, ""]


def forward_lines(report: ForwardReport) -> list[str]:
    """Return the report as text."""
    rows = [["pod to VIP to pod of another node", "arrived", "rate"]]
    udp, tcp, http = report.udp, report.tcp, report.http
    if udp is not None:
        rows.append([f"UDP, {report.size} bytes", _arrived(udp), f"{udp.rate:,.0f} packets/s"])
    if tcp is not None:
        arrived = f"{tcp.delivered / 1e6:,.0f} MB{', intact' if tcp.intact else ', CORRUPTED'}"
        rate = f"{tcp.rate * 8 / 1e6:,.0f} Mbit/s ({tcp.rate / 1e6:.1f} MB/s, {tcp.seconds:.1f} s)"
        rows.append(["TCP, one connection", arrived, rate])
    if http is not None:
        middle = "" if http.median is None else f", median {http.median * 1e3:.1f} ms"
        rows.append(["HTTP, new connections", _arrived(http), f"{http.rate:,.0f} requests/s{middle}"])
    if report.kernel is not None:
        rate = f"{report.kernel.rate:,.0f} packets/s"
        rows.append([f"this machine's kernel, UDP, {report.size} bytes", _arrived(report.kernel), rate])
    return [*(Table().lines(rows) if len(rows) > 1 else []), *_cost_lines(report.costs), _machine(report.load)]


def _machine(load: float) -> str:
    """Say what ran beside the measurement: the times of a machine that is busy with others say little."""
    return f"on {os.cpu_count()} processors with a load of {load:.1f} before"


def _arrived(transfer: Transfer) -> str:
    return f"{transfer.delivered:,} of {transfer.sent:,} ({transfer.loss:.2%} lost)"


def _cost_lines(costs: Sequence[NodeCost]) -> list[str]:
    if not costs:
        return []
    rows = [["one packet's processor time at a node", "first", "later", "loading all rules"]]
    for cost in costs:
        rows.append(
            [
                f"sender's, {cost.services} Services ({cost.rules} rules)",
                f"{cost.sender_first.median:.0f} µs",
                f"{cost.sender_later.median:.0f} µs",
                f"{cost.loading:,.0f} ms",
            ]
        )
        rows.append(["receiver's", f"{cost.receiver_first.median:.0f} µs", f"{cost.receiver_later.median:.0f} µs", ""])
    rows.append(["target, 10 Services", FIRST_TARGET, LATER_TARGET, ""])
    return ["", *Table().lines(rows)]


def forward_json(report: ForwardReport) -> dict[str, Any]:
    """Return the report as JSON, rates (a second) and losses (0 to 1) with it."""
    import msgspec

    plain: dict[str, Any] = msgspec.to_builtins(report)
    for name in ("udp", "tcp", "http", "kernel"):
        transfer: Transfer | None = getattr(report, name)
        if transfer is not None:
            plain[name] |= {"rate": transfer.rate, "loss": transfer.loss}
    return plain
