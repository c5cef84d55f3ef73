"""`-m quota`: bytes that a rule lets through, once (xt_quota.c)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.netfilter.options import parse_integer

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_U64 = 0xFFFFFFFFFFFFFFFF


class Quota(Match, frozen=True):
    """`-m quota --quota 1000000`. What is left is not printed: a saved rule begins anew."""

    name = "quota"
    options: ClassVar[Mapping[str, int]] = {"--quota": 1}
    invertible = frozenset(options)
    has_memory = True

    octets: int
    inverted: bool = False

    @classmethod
    def parse(cls, options: Options) -> Quota:
        option = options.require("--quota")
        return cls(parse_integer(option.value, "quota: --quota", 0, _U64), option.inverted)

    def format(self) -> str:
        return f"{'! ' if self.inverted else ''}--quota {self.octets}"

    def listing(self, names: Names) -> str:
        return f"quota: {self.octets} bytes"

    def matches(self, skb: Skb, context: Context) -> bool:
        """Never asked: what is left is in what `bind` returns."""
        return not self.inverted

    def bind(self, netfilter: Netfilter) -> Callable[[Skb, Context], bool]:
        left = self.octets

        def within(skb: Skb, context: Context) -> bool:
            nonlocal left
            size = len(skb.data) - skb.network
            if left < size:
                left = 0  # after the first that does not fit, no smaller one does
                return self.inverted
            left -= size
            return not self.inverted

        return within
