"""`-m tcpmss`: the segment size that a TCP packet announces (xt_tcpmss.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.match.base import Hotdrop, Match
from emulator.kernel.netfilter.options import format_port_range, parse_integer_range

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_MSS, _MSS_LENGTH = 2, 4
_HEADER = 20


class Tcpmss(Match, frozen=True):
    """`-p tcp -m tcpmss --mss 500:600`. A packet without the option matches only if inverted; a cut one is dropped."""

    name = "tcpmss"
    options: ClassVar[Mapping[str, int]] = {"--mss": 1}
    invertible = frozenset(options)

    low: int
    high: int
    inverted: bool = False

    @classmethod
    def parse(cls, options: Options) -> Tcpmss:
        option = options.require("--mss")
        low, high = parse_integer_range(option, "tcpmss", 0xFFFF)
        if low > high:
            raise RuleError("tcpmss: invalid range given")
        options.require_protocol("tcp")
        return cls(low, high, option.inverted)

    def format(self) -> str:
        return f"{'! ' if self.inverted else ''}--mss {format_port_range(self.low, self.high)}"

    def listing(self, names: Names) -> str:
        return f"tcpmss match {'!' if self.inverted else ''}{format_port_range(self.low, self.high)}"

    def matches(self, skb: Skb, context: Context) -> bool:
        data, transport = skb.data, skb.transport
        if len(data) < transport + _HEADER:
            raise Hotdrop(self.name)
        end = transport + (data[transport + 12] >> 4) * 4
        if end < transport + _HEADER or len(data) < end:
            raise Hotdrop(self.name)
        at = transport + _HEADER
        while at < end:
            kind = data[at]
            if kind == _MSS and end - at >= _MSS_LENGTH and data[at + 1] == _MSS_LENGTH:
                return (self.low <= data[at + 2] << 8 | data[at + 3] <= self.high) is not self.inverted
            at += 1 if kind < _MSS or at + 1 == end else data[at + 1] or 1
        return self.inverted
