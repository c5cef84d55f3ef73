"""`-m length`: the length of the IP packet, header included (xt_length.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.netfilter.options import format_port_range, parse_integer_range

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb


class Length(Match, frozen=True):
    """`-m length --length 64:128`, in bytes, both ends included."""

    name = "length"
    options: ClassVar[Mapping[str, int]] = {"--length": 1}
    invertible = frozenset(options)

    low: int
    high: int
    inverted: bool = False

    @classmethod
    def parse(cls, options: Options) -> Length:
        option = options.require("--length")
        return cls(*parse_integer_range(option, "length", 0xFFFF), option.inverted)

    def format(self) -> str:
        return f"{'! ' if self.inverted else ''}--length {format_port_range(self.low, self.high)}"

    def listing(self, names: Names) -> str:
        return f"length {'!' if self.inverted else ''}{format_port_range(self.low, self.high)}"

    def seen(self, skb: Skb, context: Context) -> str:
        return f"length {len(skb.data) - skb.network}"

    def matches(self, skb: Skb, context: Context) -> bool:
        return (self.low <= len(skb.data) - skb.network <= self.high) is not self.inverted
