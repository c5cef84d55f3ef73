"""`-m ttl`: the packet's time to live, which forwarding has lowered already (xt_hl.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.netfilter.options import parse_integer

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_LISTED = {"--ttl-eq": "==", "--ttl-lt": "<", "--ttl-gt": ">"}


class Ttl(Match, frozen=True):
    """`-m ttl --ttl-lt 5`; `test` is --ttl-eq, --ttl-lt or --ttl-gt, and only the first can be inverted."""

    name = "ttl"
    options: ClassVar[Mapping[str, int]] = {"--ttl-lt": 1, "--ttl-gt": 1, "--ttl-eq": 1, "--ttl": 1}
    invertible = frozenset({"--ttl-eq", "--ttl"})

    test: str
    value: int
    inverted: bool = False

    @classmethod
    def parse(cls, options: Options) -> Ttl:
        name = options.only_one(*cls.options)
        if name is None:
            raise RuleError("TTL match: You must specify one of `--ttl-eq', `--ttl-lt', `--ttl-gt")
        option = options.require(name)
        test = "--ttl-eq" if name == "--ttl" else name
        return cls(test, parse_integer(option.value, f"ttl: {name}", 0, 255), option.inverted)

    def format(self) -> str:
        return f"{'! ' if self.inverted else ''}{self.test} {self.value}"

    def listing(self, names: Names) -> str:
        return f"TTL match TTL {'!=' if self.inverted else _LISTED[self.test]} {self.value}"

    def seen(self, skb: Skb, context: Context) -> str:
        return f"ttl {skb.data[skb.network + 8]}"

    def matches(self, skb: Skb, context: Context) -> bool:
        ttl = skb.data[skb.network + 8]
        if self.test == "--ttl-eq":
            return (ttl == self.value) is not self.inverted
        return ttl < self.value if self.test == "--ttl-lt" else ttl > self.value
