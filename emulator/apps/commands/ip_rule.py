"""`ip rule`: show the policy rules that pick a routing table."""

from __future__ import annotations

from emulator.apps.commands.ip_context import SHOW, Context, Json, Words, is_command, unknown_command
from emulator.kernel.fib import Rule
from emulator.kernel.route import TABLE_NAMES
from emulator.packet.address import format_ipv4, format_network


def run(context: Context, arguments: list[str]) -> None:
    """Run the rest of an `ip rule` line."""
    words = Words(arguments)
    command = words.next() if words else "show"
    if not is_command(command, *SHOW):
        raise unknown_command(command, "rule")
    rules = [] if context.has("inet6") else context.netns.fib.rules
    if context.has("json"):
        context.write_json([_as_json(rule) for rule in rules])
    else:
        context.write("".join(f"{rule.format()}\n" for rule in rules))


def _as_json(rule: Rule) -> dict[str, Json]:
    row: dict[str, Json] = {"priority": rule.priority, "src": "all"}
    if rule.source[1]:
        row["src"] = format_ipv4(rule.source[0])
        if rule.source[1] != 32:
            row["srclen"] = rule.source[1]
    if rule.destination[1]:
        row["dst"] = format_network(*rule.destination)
    if rule.mask:
        row["fwmark"] = f"{rule.mark:#x}"
        if rule.mask != 0xFFFFFFFF:
            row["fwmask"] = f"{rule.mask:#x}"
    if rule.in_link:
        row["iif"] = rule.in_link
    return {**row, "table": TABLE_NAMES.get(rule.table, str(rule.table))}
