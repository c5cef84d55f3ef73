"""`-m mac`: the sender's address in the Ethernet header (xt_mac.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.hook import Hook
from emulator.kernel.netfilter.match.base import Match

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_DIGITS = frozenset("0123456789abcdefABCDEF")

_HOOKS = frozenset({Hook.PREROUTING, Hook.INPUT, Hook.FORWARD})


class Mac(Match, frozen=True):
    """`-m mac --mac-source 02:00:00:00:00:01`. What came by the loopback has no Ethernet header and never matches."""

    name = "mac"
    options: ClassVar[Mapping[str, int]] = {"--mac-source": 1}
    invertible = frozenset(options)

    source: bytes
    inverted: bool = False

    @property
    def hooks(self) -> frozenset[Hook]:
        return _HOOKS

    @classmethod
    def parse(cls, options: Options) -> Mac:
        option = options.require("--mac-source")
        parts = option.value.split(":")
        if len(parts) != 6 or not all(0 < len(part) < 3 and _DIGITS.issuperset(part) for part in parts):
            raise RuleError("Invalid MAC address specified.")
        return cls(bytes(int(part, 16) for part in parts), option.inverted)

    def format(self) -> str:
        return f"{'! ' if self.inverted else ''}--mac-source {self.source.hex(':')}"

    def listing(self, names: Names) -> str:
        return f"MAC{' !' if self.inverted else ''} {self.source.hex(':')}"

    def seen(self, skb: Skb, context: Context) -> str:
        return f"source MAC {skb.data[6:12].hex(':')}" if skb.in_link is not None else "no source MAC yet"

    def matches(self, skb: Skb, context: Context) -> bool:
        if skb.in_link is None or skb.in_link.loopback:
            return False
        return (skb.data[6:12] == self.source) is not self.inverted
