"""`-j TTL`: sets, raises or lowers the packet's time to live (xt_HL.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.ip_write import TTL, set_ip_byte
from emulator.kernel.netfilter.options import parse_integer
from emulator.kernel.netfilter.target.base import Target

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.hook import Verdict
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_LISTED = {"--ttl-set": "set to", "--ttl-dec": "decrement by", "--ttl-inc": "increment by"}


class Ttl(Target, frozen=True):
    """`-j TTL --ttl-inc 1`; it stays between 0 and 255. A packet that is left with 0 still goes out."""

    name = "TTL"
    options: ClassVar[Mapping[str, int]] = dict.fromkeys(_LISTED, 1)
    tables = frozenset({"mangle"})

    change: str
    value: int

    @classmethod
    def parse(cls, options: Options) -> Ttl:
        name = options.only_one(*cls.options)
        if name is None:
            raise RuleError("TTL: You must specify an action")
        least = 0 if name == "--ttl-set" else 1
        return cls(name, parse_integer(options.require(name).value, f"TTL: {name}", least, 255))

    def format(self) -> str:
        return f"{self.change} {self.value}"

    def listing(self, names: Names) -> str:
        return f"TTL {_LISTED[self.change]} {self.value}"

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        ttl = skb.data[skb.network + TTL]
        changed = {"--ttl-set": self.value, "--ttl-inc": ttl + self.value, "--ttl-dec": ttl - self.value}[self.change]
        set_ip_byte(skb, TTL, min(max(changed, 0), 255))
        return None
