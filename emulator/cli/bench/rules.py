"""`emulator bench rules`: how long very many rules take to load, beside the real `iptables-restore`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from emulator.cli.command import command
from emulator.cli.exit_status import OK
from emulator.cli.options import output_option
from emulator.cli.output import Table, note, print_json, print_lines

if TYPE_CHECKING:
    from emulator.runtime.bench.rules import RulesReport

EXAMPLES = """
emulator bench rules
emulator bench rules --rules 10000 --runs 10 -o json
emulator bench rules --kernel
"""
LOAD_TARGET = "5 s for 100,000"


@command("rules", examples=EXAMPLES)
@click.option("--rules", type=click.IntRange(1, 1_000_000), default=100_000, show_default=True, metavar="N")
@click.option("--runs", type=click.IntRange(min=1), default=3, show_default=True, metavar="R", help="Loads.")
@click.option("--kernel", is_flag=True, help="The real iptables-restore too, in a namespace of its own (needs root).")
@output_option("json")
def rules(rules: int, runs: int, kernel: bool, output: str | None) -> int:
    """Load rules as kube-proxy writes them, load them again, print them: processor time inside one process."""
    from emulator.runtime.bench.kernel_path import missing
    from emulator.runtime.bench.rules import measure_rules

    if kernel and (reason := missing("ip", "iptables-restore")):
        raise click.UsageError(f"--kernel: {reason}")
    report = measure_rules(rules, runs, kernel=kernel, say=note)
    if output == "json":
        import msgspec

        print_json(msgspec.to_builtins(report))
    else:
        print_lines(rules_lines(report))
    return OK


def rules_lines(report: RulesReport) -> list[str]:
    """Return the report as text."""
    rows = [[f"{report.rules:,} rules ({report.size / 1e6:.1f} MB of text)", "median", "min", "max", "target"]]
    spreads = (
        ("load", report.load, LOAD_TARGET),
        ("load the same again", report.update, ""),
        ("print", report.save, ""),
    )
    for name, spread, target in spreads:
        rows.append([name, *(f"{value:.2f} s" for value in (spread.median, spread.minimum, spread.maximum)), target])
    if report.kernel is not None:
        from emulator.runtime.bench.rules import KERNEL_LIMIT

        stopped = report.kernel >= KERNEL_LIMIT
        taken = f"over {KERNEL_LIMIT:.0f} s, stopped" if stopped else f"{report.kernel:.2f} s"
        rows.append(["this machine's iptables-restore", taken, "", "", ""])
    machine = f"on {os.cpu_count()} processors with a load of {report.load_average:.1f} before"
    return [*Table().lines(rows), machine]
