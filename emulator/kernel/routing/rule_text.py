"""A policy rule as `ip rule` prints it, in text and JSON (iproute2's ip/iprule.c, print_rule)."""

from __future__ import annotations

from collections.abc import Container, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from emulator.kernel.routing.fib_rule import ANY_PORTS, RuleAction
from emulator.kernel.routing.route_text import Field, table_name, tos_name
from emulator.packet.address import format_ipv4

if TYPE_CHECKING:
    from emulator.kernel.routing.fib_rule import Rule

IP_PROTOCOLS: Mapping[int, str] = MappingProxyType(
    {
        1: "icmp", 2: "igmp", 4: "ipencap", 6: "tcp", 17: "udp", 33: "dccp", 41: "ipv6", 46: "rsvp", 47: "gre",
        50: "esp", 51: "ah", 58: "ipv6-icmp", 88: "eigrp", 89: "ospf", 103: "pim", 108: "ipcomp", 112: "vrrp",
        115: "l2tp", 132: "sctp", 136: "udplite",
    }
)  # fmt: skip
"""IP protocols by the names that getprotobynumber(3) has for them."""

_ALL_BITS = 0xFFFFFFFF


def rule_line(rule: Rule) -> str:
    """Return the line of a rule whose links and targets are all there."""
    return line(rule_fields(rule))


def line(fields: list[Field]) -> str:
    """Join the texts of a rule's fields."""
    (_, _, priority), *rest = fields
    return f"{priority}\t{' '.join(text for _, _, text in rest if text)}"


def rule_fields(
    rule: Rule, *, links: Container[str] | None = None, targets: Container[int] | None = None, details: bool = False
) -> list[Field]:
    """Return what is said about a rule, in order. `links` and `targets` tell what is there; None: all is."""
    fields: list[Field] = [("priority", rule.priority, f"{rule.priority}:")]
    if rule.inverted:
        fields.append(("not", None, "not"))
    fields += _prefix("src", "srclen", "from", rule.source) or [("src", "all", "from all")]
    fields += _prefix("dst", "dstlen", "to", rule.destination)
    if rule.tos:
        fields.append(("tos", tos_name(rule.tos), f"tos {tos_name(rule.tos)}"))
    if rule.mark or rule.mask:
        fields += _mark(rule.mark, rule.mask)
    for key, name in (("iif", rule.in_link), ("oif", rule.out_link)):
        if name:
            fields.append((key, name, f"{key} {name}"))
            if links is not None and name not in links:
                fields.append((f"{key}_detached", None, "[detached]"))
    if rule.uid_range is not None:
        first, last = rule.uid_range
        fields += [("uid_start", first, f"uidrange {first}-{last}"), ("uid_end", last, "")]
    if rule.ip_protocol:
        name = ip_protocol_name(rule.ip_protocol)
        fields.append(("ipproto", name, f"ipproto {name}"))
    fields += _ports("sport", rule.sport) + _ports("dport", rule.dport)
    fields += _action(rule, targets)
    if rule.protocol not in {"kernel", "unspec"} or details:
        fields.append(("protocol", rule.protocol, f"proto {rule.protocol}"))
    return fields


def ip_protocol_name(number: int) -> str:
    """Return what ip(8) calls an IP protocol."""
    return IP_PROTOCOLS.get(number, f"ipproto-{number}")


def _action(rule: Rule, targets: Container[int] | None) -> list[Field]:
    fields = _table(rule)
    if rule.action is RuleAction.GOTO:
        fields += [("goto", rule.target, f"goto {rule.target}")]
        if targets is not None and rule.target not in targets:
            fields.append(("unresolved", None, "[unresolved]"))
    elif rule.action is RuleAction.NOP:
        fields.append(("nop", None, "nop"))
    elif rule.action is not RuleAction.LOOKUP:
        fields.append(("action", rule.action.value, rule.action.value))
    return fields


def _table(rule: Rule) -> list[Field]:
    if not rule.table:
        return []
    fields: list[Field] = [("table", table_name(rule.table), f"lookup {table_name(rule.table)}")]
    if rule.suppress_prefixlength >= 0:
        length = rule.suppress_prefixlength
        fields.append(("suppress_prefixlen", length, f"suppress_prefixlength {length}"))
    if rule.suppress_group >= 0:
        group = "default" if rule.suppress_group == 0 else str(rule.suppress_group)
        fields.append(("suppress_ifgroup", group, f"suppress_ifgroup {group}"))
    return fields


def _prefix(key: str, length_key: str, word: str, prefix: tuple[int, int]) -> list[Field]:
    address, length = prefix
    if not length:
        return []
    text = format_ipv4(address)
    if length == 32:
        return [(key, text, f"{word} {text}")]
    return [(key, text, f"{word} {text}/{length}"), (length_key, length, "")]


def _mark(mark: int, mask: int) -> list[Field]:
    if mask == _ALL_BITS:
        return [("fwmark", _hex(mark), f"fwmark {_hex(mark)}")]
    return [("fwmark", _hex(mark), f"fwmark {_hex(mark)}/{_hex(mask)}"), ("fwmask", _hex(mask), "")]


def _hex(number: int) -> str:
    """As C's %#x has it: zero goes without the prefix."""
    return f"{number:#x}" if number else "0"


def _ports(key: str, ports: tuple[int, int]) -> list[Field]:
    if ports == ANY_PORTS:
        return []
    first, last = ports
    if first == last:
        return [(key, first, f"{key} {first}")]
    return [(f"{key}_start", first, f"{key} {first}-{last}"), (f"{key}_end", last, "")]
