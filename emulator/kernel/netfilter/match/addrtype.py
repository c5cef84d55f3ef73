"""`-m addrtype`: what kind of address the routing tables say it is (xt_addrtype.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.match.base import Match

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_TYPES = (
    "UNSPEC",
    "UNICAST",
    "LOCAL",
    "BROADCAST",
    "ANYCAST",
    "MULTICAST",
    "BLACKHOLE",
    "UNREACHABLE",
    "PROHIBIT",
    "THROW",
    "NAT",
    "XRESOLVE",
)


class Types(Struct, frozen=True):
    """A list of address types."""

    names: tuple[str, ...]
    inverted: bool = False

    def format(self, option: str) -> str:
        """Print it as an option."""
        return f"{'! ' if self.inverted else ''}{option} {','.join(self.names)}"


class Addrtype(Match, frozen=True):
    """`-m addrtype --dst-type LOCAL`. The limits ask whether it is so on the link the packet came by or leaves by."""

    name = "addrtype"
    options: ClassVar[Mapping[str, int]] = {
        "--src-type": 1,
        "--dst-type": 1,
        "--limit-iface-in": 0,
        "--limit-iface-out": 0,
    }
    invertible = frozenset({"--src-type", "--dst-type"})

    source: Types | None = None
    destination: Types | None = None
    limit_in: bool = False
    limit_out: bool = False

    @classmethod
    def parse(cls, options: Options) -> Addrtype:
        options.only_one("--limit-iface-in", "--limit-iface-out")
        source, destination = _types(options, "--src-type"), _types(options, "--dst-type")
        if source is None and destination is None:
            raise RuleError("addrtype: you must specify --src-type or --dst-type")
        return cls(source, destination, options.has("--limit-iface-in"), options.has("--limit-iface-out"))

    def format(self) -> str:
        words = []
        if self.source is not None:
            words.append(self.source.format("--src-type"))
        if self.destination is not None:
            words.append(self.destination.format("--dst-type"))
        if self.limit_in:
            words.append("--limit-iface-in")
        if self.limit_out:
            words.append("--limit-iface-out")
        return " ".join(words)

    def listing(self, names: Names) -> str:
        words = ["ADDRTYPE match"]
        for word, types in (("src-type", self.source), ("dst-type", self.destination)):
            if types is not None:
                words.append(f"{word} {'!' if types.inverted else ''}{','.join(types.names)}")
        if self.limit_in:
            words.append("limit-in")
        if self.limit_out:
            words.append("limit-out")
        return " ".join(words)

    def seen(self, skb: Skb, context: Context) -> str:
        link = skb.in_link if self.limit_in else skb.out_link if self.limit_out else None
        kinds = (context.netns.fib.address_type(address, link).name for address in (skb.saddr, skb.daddr))
        return "source {}, destination {}".format(*kinds)

    def matches(self, skb: Skb, context: Context) -> bool:
        link = skb.in_link if self.limit_in else skb.out_link if self.limit_out else None
        address_type = context.netns.fib.address_type
        for types, address in ((self.source, skb.saddr), (self.destination, skb.daddr)):
            if types is not None and (address_type(address, link).name in types.names) is types.inverted:
                return False
        return True


def _types(options: Options, name: str) -> Types | None:
    option = options.get(name)
    if option is None:
        return None
    given = {text.upper() for text in option.value.split(",")}
    for text in given:
        if text not in _TYPES:
            raise RuleError(f"addrtype: bad type `{text}'")
    return Types(tuple(known for known in _TYPES if known in given), option.inverted)
