"""`-m connmark`: the connection's mark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.netfilter.options import format_masked, parse_masked

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb


class Connmark(Match, frozen=True):
    """`-m connmark --mark 0x10/0xff`. A packet without a connection never matches."""

    name = "connmark"
    options: ClassVar[Mapping[str, int]] = {"--mark": 1}
    invertible = frozenset({"--mark"})
    needs_conntrack = True

    value: int
    mask: int
    inverted: bool = False

    @classmethod
    def parse(cls, options: Options) -> Connmark:
        option = options.require("--mark")
        return cls(*parse_masked(option.value, "connmark: --mark"), option.inverted)

    def format(self) -> str:
        return f"{'! ' if self.inverted else ''}--mark {format_masked(self.value, self.mask)}"

    def listing(self, names: Names) -> str:
        return f"connmark match {'!' if self.inverted else ''} {format_masked(self.value, self.mask)}"

    def seen(self, skb: Skb, context: Context) -> str:
        return "no connection" if skb.ct is None else f"connection mark {skb.ct.mark:#x}"

    def matches(self, skb: Skb, context: Context) -> bool:
        return skb.ct is not None and (skb.ct.mark & self.mask == self.value) is not self.inverted
