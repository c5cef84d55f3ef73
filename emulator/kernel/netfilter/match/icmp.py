"""`-m icmp`: type and code."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.match.base import Hotdrop, Match
from emulator.kernel.netfilter.match.port import FRAGMENT_OFFSET
from emulator.kernel.netfilter.options import parse_integer

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_HEADER = 8
_ANY = 255
# Names to type and code; no code stands for all.
_NAMES: Mapping[str, tuple[int, int | None]] = MappingProxyType(
    {
        "any": (_ANY, None),
        "echo-reply": (0, None),
        "pong": (0, None),
        "destination-unreachable": (3, None),
        "network-unreachable": (3, 0),
        "host-unreachable": (3, 1),
        "protocol-unreachable": (3, 2),
        "port-unreachable": (3, 3),
        "fragmentation-needed": (3, 4),
        "source-route-failed": (3, 5),
        "network-unknown": (3, 6),
        "host-unknown": (3, 7),
        "network-prohibited": (3, 9),
        "host-prohibited": (3, 10),
        "TOS-network-unreachable": (3, 11),
        "TOS-host-unreachable": (3, 12),
        "communication-prohibited": (3, 13),
        "host-precedence-violation": (3, 14),
        "precedence-cutoff": (3, 15),
        "source-quench": (4, None),
        "redirect": (5, None),
        "network-redirect": (5, 0),
        "host-redirect": (5, 1),
        "TOS-network-redirect": (5, 2),
        "TOS-host-redirect": (5, 3),
        "echo-request": (8, None),
        "ping": (8, None),
        "router-advertisement": (9, None),
        "router-solicitation": (10, None),
        "time-exceeded": (11, None),
        "ttl-exceeded": (11, None),
        "ttl-zero-during-transit": (11, 0),
        "ttl-zero-during-reassembly": (11, 1),
        "parameter-problem": (12, None),
        "ip-header-bad": (12, 0),
        "required-option-missing": (12, 1),
        "timestamp-request": (13, None),
        "timestamp-reply": (14, None),
        "address-mask-request": (17, None),
        "address-mask-reply": (18, None),
    }
)


class Icmp(Match, frozen=True):
    """`-p icmp -m icmp --icmp-type 3/1`. No `code`: any; type 255: any."""

    name = "icmp"
    options: ClassVar[Mapping[str, int]] = {"--icmp-type": 1}
    invertible = frozenset(options)

    type: int
    code: int | None = None
    inverted: bool = False

    @classmethod
    def parse(cls, options: Options) -> Icmp:
        options.require_protocol("icmp")
        option = options.require("--icmp-type")
        if option.value in _NAMES:
            return cls(*_NAMES[option.value], option.inverted)
        kind, slash, code = option.value.partition("/")
        if not kind[:1].isdigit():
            raise RuleError(f"Unknown ICMP type `{option.value}'")
        number = parse_integer(code, "icmp: code", 0, 255) if slash else None
        return cls(parse_integer(kind, "icmp: --icmp-type", 0, 255), number, option.inverted)

    def format(self) -> str:
        text = "any" if self.type == _ANY else str(self.type) if self.code is None else f"{self.type}/{self.code}"
        return f"{'! ' if self.inverted else ''}--icmp-type {text}"

    def listing(self, names: Names) -> str:
        mark = "!" if self.inverted else ""
        name = next((name for name, value in _NAMES.items() if value == (self.type, self.code)), "")
        if name and not names.numeric:
            return f"icmp {mark}{name}"
        code = "" if self.code is None else f" code {self.code}"
        return f"icmp{' !' if self.inverted else ''}type {self.type}{code}"

    def seen(self, skb: Skb, context: Context) -> str:
        data, transport = skb.data, skb.transport
        return f"type {data[transport]} code {data[transport + 1]}" if len(data) >= transport + 2 else "no type"

    def matches(self, skb: Skb, context: Context) -> bool:
        data, transport = skb.data, skb.transport
        if skb.fragment & FRAGMENT_OFFSET:
            return False
        if len(data) < transport + _HEADER:  # nothing to look at (icmp_match)
            raise Hotdrop(self.name)
        found = self.type == _ANY or (
            data[transport] == self.type and (self.code is None or data[transport + 1] == self.code)
        )
        return found is not self.inverted
