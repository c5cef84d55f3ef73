"""`emulator bench conntrack`: what a connection costs in a table of very many."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from emulator.cli.command import command
from emulator.cli.exit_status import OK
from emulator.cli.options import output_option
from emulator.cli.output import Table, note, print_json, print_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emulator.runtime.bench.conntrack import Cost

EXAMPLES = """
emulator bench conntrack
emulator bench conntrack --entries 20000 -o json
"""
MEMORY_TARGET = "1024 B"
_NAMES = {
    "udp": "UDP, one packet",
    "tcp": "TCP, established, data both ways",
    "tcp-nat": "TCP, the same, DNAT and SNAT",
}


@command("conntrack", examples=EXAMPLES)
@click.option("--entries", type=click.IntRange(1, 2_000_000), default=500_000, show_default=True, metavar="N")
@output_option("json")
def conntrack(entries: int, output: str | None) -> int:
    """Fill a conntrack table with connections, send packets of them, let them end: memory and processor time.

    Each kind of connection in a process of its own, through the hooks of connection tracking and NAT alone.
    """
    from emulator.runtime.bench.conntrack import measure

    costs = measure(entries, note)
    if output == "json":
        print_json([cost._asdict() for cost in costs])
    else:
        print_lines(conntrack_lines(costs))
    return OK


def conntrack_lines(costs: Sequence[Cost]) -> list[str]:
    """Return the report as text."""
    rows = [[f"{costs[0].entries:,} connections", "an entry", "target", "new", "a packet", "the end"]]
    rows += [
        [
            _NAMES[cost.kind],
            f"{cost.bytes_an_entry:.0f} B",
            MEMORY_TARGET,
            f"{cost.inserts_a_second:,.0f}/s",
            f"{cost.lookup_us:.1f} µs",
            f"{cost.expire_us:.1f} µs",
        ]
        for cost in costs
    ]
    cores = os.cpu_count() or 1
    return [*Table().lines(rows), f"{cores} processors, load {os.getloadavg()[0]:.1f}; processor time in one process"]
