"""`-m mark`: the packet's mark."""

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


class Mark(Match, frozen=True):
    """`-m mark --mark 0x4000/0x4000`."""

    name = "mark"
    options: ClassVar[Mapping[str, int]] = {"--mark": 1}
    invertible = frozenset({"--mark"})

    value: int
    mask: int
    inverted: bool = False

    @classmethod
    def parse(cls, options: Options) -> Mark:
        option = options.require("--mark")
        return cls(*parse_masked(option.value, "mark: --mark"), option.inverted)

    def format(self) -> str:
        return f"{'! ' if self.inverted else ''}--mark {format_masked(self.value, self.mask)}"

    def listing(self, names: Names) -> str:
        return f"mark match {'! ' if self.inverted else ''}{format_masked(self.value, self.mask)}"

    def seen(self, skb: Skb, context: Context) -> str:
        return f"mark {skb.mark:#x}"

    def matches(self, skb: Skb, context: Context) -> bool:
        return (skb.mark & self.mask == self.value) is not self.inverted
