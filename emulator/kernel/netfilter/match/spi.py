"""What `-m esp`, `-m ah` and `-m ipcomp` share: a range of SPIs, which stand somewhere in their headers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.match.base import Hotdrop, Match
from emulator.kernel.netfilter.options import U32, format_port_range, parse_integer_range

if TYPE_CHECKING:
    from typing import Self

    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_FRAGMENT_OFFSET = 0x1FFF


class SpiMatch(Match, frozen=True):
    """`--espspi 256:511`, both ends included. A subclass says where the SPI stands."""

    option: ClassVar[str]
    protocol: ClassVar[str]
    word: ClassVar[str]  # how `iptables -L` names it
    listed: ClassVar[str]  # and without an SPI
    place: ClassVar[int]  # offset in the header, in bytes
    width: ClassVar[int] = 4
    header: ClassVar[int]  # the least that must be there

    low: int = 0
    high: int = U32
    inverted: bool = False

    @classmethod
    def parse(cls, options: Options) -> Self:
        options.require_protocol(cls.protocol)
        option = options.get(cls.option)
        if option is None:
            return cls()
        return cls(*parse_integer_range(option, cls.name, U32), option.inverted)

    def format(self) -> str:
        if self.low == 0 and self.high == U32:
            return ""
        return f"{'! ' if self.inverted else ''}{self.option} {format_port_range(self.low, self.high)}"

    def listing(self, names: Names) -> str:
        if self.low == 0 and self.high == U32 and not self.inverted:
            return self.listed
        plural = "" if self.low == self.high else "s"
        sign = "!" if self.inverted else ""
        return f"{self.word} spi{plural}:{sign}{format_port_range(self.low, self.high)}"

    def _spi(self, skb: Skb) -> int | None:
        at = skb.transport + self.place
        if skb.fragment & _FRAGMENT_OFFSET or len(skb.data) < skb.transport + self.header:
            return None
        return int.from_bytes(skb.data[at : at + self.width], "big")

    def seen(self, skb: Skb, context: Context) -> str:
        spi = self._spi(skb)
        return "no header" if spi is None else f"spi {spi}"

    def matches(self, skb: Skb, context: Context) -> bool:
        if skb.fragment & _FRAGMENT_OFFSET:
            return False
        spi = self._spi(skb)
        if spi is None:
            raise Hotdrop(self.name)
        return (self.low <= spi <= self.high) is not self.inverted
