"""`-m iprange`: addresses from one to another (xt_iprange.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.netfilter.options import parse_address
from emulator.packet.address import format_ipv4

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb


class Span(Struct, frozen=True):
    """Addresses from `low` to `high`, both included; none if they are the wrong way round, as Linux has it."""

    low: int
    high: int
    inverted: bool = False

    def holds(self, address: int) -> bool:
        """Whether an address is among them, or is not if inverted."""
        return (self.low <= address <= self.high) is not self.inverted

    def __str__(self) -> str:
        return f"{format_ipv4(self.low)}-{format_ipv4(self.high)}"


class Iprange(Match, frozen=True):
    """`-m iprange --src-range 10.0.0.1-10.0.0.9 ! --dst-range 10.1.0.0-10.1.0.255`."""

    name = "iprange"
    options: ClassVar[Mapping[str, int]] = {"--src-range": 1, "--dst-range": 1}
    invertible = frozenset(options)

    source: Span | None = None
    destination: Span | None = None

    @classmethod
    def parse(cls, options: Options) -> Iprange:
        source, destination = _span(options, "--src-range"), _span(options, "--dst-range")
        if source is None and destination is None:
            raise RuleError("iprange match: You must specify `--src-range' or `--dst-range'")
        return cls(source, destination)

    def format(self) -> str:
        words = []
        for name, span in (("--src-range", self.source), ("--dst-range", self.destination)):
            if span is not None:
                words.append(f"{'! ' if span.inverted else ''}{name} {span}")
        return " ".join(words)

    def listing(self, names: Names) -> str:
        words = []
        for name, span in (("source", self.source), ("destination", self.destination)):
            if span is not None:
                words.append(f"{name} IP range{' !' if span.inverted else ''} {span}")
        return " ".join(words)

    def seen(self, skb: Skb, context: Context) -> str:
        return f"{format_ipv4(skb.saddr)} to {format_ipv4(skb.daddr)}"

    def matches(self, skb: Skb, context: Context) -> bool:
        if self.source is not None and not self.source.holds(skb.saddr):
            return False
        return self.destination is None or self.destination.holds(skb.daddr)


def _span(options: Options, name: str) -> Span | None:
    option = options.get(name)
    if option is None:
        return None
    low, dash, high = option.value.partition("-")
    first = _address(low, name)
    return Span(first, _address(high, name) if dash else first, option.inverted)


def _address(text: str, name: str) -> int:
    try:
        return parse_address(text)
    except RuleError:
        raise RuleError(f'iprange: Bad value for "{name}" option: "{text}"') from None
