"""`-m connbytes`: how much a connection has carried so far (xt_connbytes.c). A rule with it switches counting on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.conntrack.connection import Connection, Status
from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.netfilter.options import parse_integer

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_U64 = 0xFFFFFFFFFFFFFFFF
_DIRECTIONS = ("original", "reply", "both")
_MODES = ("packets", "bytes", "avgpkt")


class Connbytes(Match, frozen=True):
    """`-m connbytes --connbytes 100000: --connbytes-mode bytes --connbytes-dir both`; the ends are included."""

    name = "connbytes"
    options: ClassVar[Mapping[str, int]] = {"--connbytes": 1, "--connbytes-dir": 1, "--connbytes-mode": 1}
    invertible = frozenset({"--connbytes"})
    needs_conntrack = True
    prepares = True

    low: int
    high: int
    mode: str
    direction: str
    inverted: bool = False

    @classmethod
    def parse(cls, options: Options) -> Connbytes:
        option = options.require("--connbytes")
        direction = options.require("--connbytes-dir").value
        mode = options.require("--connbytes-mode").value
        first, colon, last = option.value.partition(":")
        what = "connbytes: --connbytes"
        low = parse_integer(first, what, 0, _U64, near=True) if first else 0
        high = parse_integer(last, what, 0, _U64, near=True) if colon and last else _U64
        if high < low:
            raise RuleError(f"{low} should be less than {high}")
        if direction not in _DIRECTIONS:
            raise RuleError(f"Unknown --connbytes-dir `{direction}'")
        if mode not in _MODES:
            raise RuleError(f"Unknown --connbytes-mode `{mode}'")
        return cls(low, high, mode, direction, option.inverted and low != high)

    def _range(self) -> str:
        return f"{self.low}:{self.high}" if 0 < self.high < _U64 else str(self.low)

    def format(self) -> str:
        sign = "! " if self.inverted else ""
        return f"{sign}--connbytes {self._range()} --connbytes-mode {self.mode} --connbytes-dir {self.direction}"

    def listing(self, names: Names) -> str:
        sign = "! " if self.inverted else ""
        return f"{sign}connbytes {self._range()} connbytes mode {self.mode} connbytes direction {self.direction}"

    def prepare(self, netfilter: Netfilter) -> None:
        """Switch net.netfilter.nf_conntrack_acct on, as the kernel does for a rule that needs it."""
        netfilter.netns.sysctl.set("net.netfilter.nf_conntrack_acct", "1")

    def seen(self, skb: Skb, context: Context) -> str:
        value = self._value(skb)
        return "no counters" if value is None else f"{value} {self.mode}"

    def matches(self, skb: Skb, context: Context) -> bool:
        value = self._value(skb)
        if value is None:
            return False
        if self.inverted:
            return value < self.low or value > self.high
        return self.low <= value <= self.high

    def _value(self, skb: Skb) -> int | None:
        ct = skb.ct
        if not isinstance(ct, Connection) or not ct.status & Status.ACCOUNTED:
            return None
        packets, octets = _of(ct.packets, self.direction), _of(ct.bytes, self.direction)
        if self.mode == "packets":
            return packets
        return octets if self.mode == "bytes" else octets // packets if packets else 0


def _of(counters: tuple[int, int], direction: str) -> int:
    return sum(counters) if direction == "both" else counters[_DIRECTIONS.index(direction)]
