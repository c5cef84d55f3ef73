"""Policy rules: which routing table is asked for which packets (net/core/fib_rules.c, net/ipv4/fib_rules.c)."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from emulator.kernel.drop import DropReason
from emulator.kernel.routing.route import TABLE_DEFAULT, TABLE_LOCAL, TABLE_MAIN, TABLE_UNSPEC, TOS_MASK
from emulator.packet.address import MASKS

if TYPE_CHECKING:
    from emulator.kernel.link.link import Link

LOCAL_OUTPUT = "lo"  # the input link of packets that this machine makes
ANY_PORTS = (0, 0)


class RuleAction(enum.Enum):
    """What a rule that matches does."""

    LOOKUP = "lookup"
    GOTO = "goto"
    NOP = "nop"
    BLACKHOLE = "blackhole"
    UNREACHABLE = "unreachable"
    PROHIBIT = "prohibit"


FAILING_ACTIONS = {
    RuleAction.BLACKHOLE: DropReason.IP_RULE_BLACKHOLE,
    RuleAction.UNREACHABLE: DropReason.IP_RULE_UNREACHABLE,
    RuleAction.PROHIBIT: DropReason.IP_RULE_PROHIBIT,
}


class Flow(NamedTuple):
    """What routing looks at of a packet (struct flowi4). `out_link`: the one that a socket is bound to."""

    daddr: int
    saddr: int = 0
    mark: int = 0
    in_link: str = LOCAL_OUTPUT
    out_link: Link | None = None
    tos: int = 0
    protocol: int = 0
    sport: int = 0
    dport: int = 0


class Rule(Struct, frozen=True):
    """One policy rule. What is left at its default matches everything; `in_link` "lo" is local output.

    `source` and `destination` are (address, prefix length); `sport` and `dport` are ranges, both ends included, and
    `ANY_PORTS` is none. `table` is 0 unless the action is LOOKUP; `target` is the priority that GOTO goes on at.
    `suppress_prefixlength` refuses answers of that length or less, -1 none. `suppress_group` and `uid_range` are kept:
    links here have group 0 (`default`), and every packet is root's. `protocol` is who made the rule, as ip(8) names it.
    """

    priority: int
    table: int = TABLE_UNSPEC
    source: tuple[int, int] = (0, 0)
    destination: tuple[int, int] = (0, 0)
    mark: int = 0
    mask: int = 0
    in_link: str = ""
    out_link: str = ""
    tos: int = 0
    ip_protocol: int = 0
    sport: tuple[int, int] = ANY_PORTS
    dport: tuple[int, int] = ANY_PORTS
    uid_range: tuple[int, int] | None = None
    action: RuleAction = RuleAction.LOOKUP
    target: int = 0
    inverted: bool = False
    suppress_prefixlength: int = -1
    suppress_group: int = -1
    protocol: str = "unspec"

    @property
    def reads_ports(self) -> bool:
        """Whether it looks at the transport header (fib_rule_requires_fldissect)."""
        return bool(self.ip_protocol or self.sport != ANY_PORTS or self.dport != ANY_PORTS)

    @property
    def plain(self) -> bool:
        """Whether it matches all packets and asks a table, without a second thought about the answer."""
        return self == Rule(self.priority, self.table, protocol=self.protocol)

    def matches(self, flow: Flow) -> bool:
        """Whether the rule is for this packet (fib_rule_match)."""
        return self._selects(flow) is not self.inverted

    def _selects(self, flow: Flow) -> bool:
        network, length = self.source
        if (flow.saddr ^ network) & MASKS[length]:
            return False
        network, length = self.destination
        if (flow.daddr ^ network) & MASKS[length]:
            return False
        if (flow.mark ^ self.mark) & self.mask or (self.in_link and self.in_link != flow.in_link):
            return False
        if self.out_link and (flow.out_link is None or self.out_link != flow.out_link.name):
            return False
        if self.tos and self.tos != flow.tos & TOS_MASK:
            return False
        if self.ip_protocol and self.ip_protocol != flow.protocol:
            return False
        if self.uid_range is not None and self.uid_range[0] > 0:
            return False
        return _within(flow.sport, self.sport) and _within(flow.dport, self.dport)

    def suppresses(self, prefix_length: int) -> bool:
        """Whether the rule will not have an answer of this length (fib4_rule_suppress)."""
        return prefix_length <= self.suppress_prefixlength or self.suppress_group == 0

    def format(self) -> str:
        """Return the line that `ip rule` prints."""
        from emulator.kernel.routing.rule_text import rule_line

        return rule_line(self)

    def __str__(self) -> str:
        return self.format()

    def describes(self, other: Rule) -> bool:
        """Whether the prefixes and the TOS that this one names are another's (fib4_rule_compare)."""
        return (
            (not self.source[1] or self.source == other.source)
            and (not self.destination[1] or self.destination == other.destination)
            and self.tos in (0, other.tos)
        )

    def repeats(self, other: Rule) -> bool:
        """Whether Linux would refuse it beside another (rule_exists, which also takes a wider prefix for the same)."""
        as_other = replace(
            self, source=other.source, destination=other.destination, tos=other.tos, inverted=other.inverted,
            target=other.target,
        )  # fmt: skip
        return self.describes(other) and as_other == other


class RulePattern(Struct, frozen=True):
    """Which rule to delete: the first that has every field of `rule` that is not at its default."""

    rule: Rule
    with_priority: bool = False

    def matches(self, rule: Rule) -> bool:
        """Whether this rule is meant (rule_find); whether it is inverted does not count."""
        wanted, default = self.rule, Rule(0)
        if self.with_priority and wanted.priority != rule.priority:
            return False
        if wanted.action is not RuleAction.LOOKUP and wanted.action is not rule.action:
            return False
        return wanted.describes(rule) and all(
            getattr(wanted, name) in (getattr(default, name), getattr(rule, name)) for name in _COMPARED
        )


_COMPARED = (
    "table", "mark", "mask", "in_link", "out_link", "ip_protocol", "sport", "dport", "uid_range",
    "suppress_prefixlength", "suppress_group", "protocol",
)  # fmt: skip


def _within(port: int, ports: tuple[int, int]) -> bool:
    return ports == ANY_PORTS or ports[0] <= port <= ports[1]


DEFAULT_RULES = (
    Rule(0, TABLE_LOCAL, protocol="kernel"),
    Rule(32766, TABLE_MAIN, protocol="kernel"),
    Rule(32767, TABLE_DEFAULT, protocol="kernel"),
)
