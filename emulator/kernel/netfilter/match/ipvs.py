"""`-m ipvs`: what IPVS has made of a packet (xt_ipvs.c). kube-proxy keeps nodes from their own balancers with it.

It looks the connection up by the packet's addresses the wrong way round, as if it were an answer: so it finds it where
the packet is on its way to a real server, IPVS having rewritten it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.netfilter.options import (
    format_network,
    format_protocol,
    parse_host_mask,
    parse_long_port,
    parse_protocol,
)
from emulator.kernel.skb import CtInfo
from emulator.packet.address import format_ipv4

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.ipvs.connection import IpvsConnection
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Option, Options
    from emulator.kernel.skb import Skb

_METHODS = {"GATE": "Route", "IPIP": "Tunnel", "MASQ": "Masq"}
_DIRECTIONS = ("ORIGINAL", "REPLY")


class Value(Struct, frozen=True):
    """One option: `words` as printed; `number` (and `mask`) or the name of a method to compare with."""

    option: str
    words: str
    inverted: bool
    number: int = 0
    mask: int = 0

    def __str__(self) -> str:
        return f"{'! ' if self.inverted else ''}{self.option} {self.words}"


class Ipvs(Match, frozen=True):
    """`-m ipvs --vaddr 10.0.0.1 --vproto tcp --vport 80`. Without `values` only `--ipvs` itself is asked."""

    name = "ipvs"
    options: ClassVar[Mapping[str, int]] = {
        "--ipvs": 0,
        "--vproto": 1,
        "--vaddr": 1,
        "--vport": 1,
        "--vdir": 1,
        "--vmethod": 1,
        "--vportctl": 1,
    }
    invertible = frozenset(options) - {"--vdir"}

    values: tuple[Value, ...] = ()
    inverted: bool = False

    @classmethod
    def parse(cls, options: Options) -> Ipvs:
        if not options.by_name:
            raise RuleError("IPVS: At least one option is required")
        own = options.get("--ipvs")
        values = tuple(
            _READ[name](option) for name in cls.options if name in _READ and (option := options.get(name)) is not None
        )
        inverted = own is not None and own.inverted
        if inverted and values:
            raise RuleError("! --ipvs cannot be together with other options")
        return cls(values, inverted)

    def format(self) -> str:
        if not self.values:
            return f"{'! ' if self.inverted else ''}--ipvs"
        return " ".join(map(str, self.values))

    def listing(self, names: Names) -> str:
        return self.format().replace("--", "")

    def matches(self, skb: Skb, context: Context) -> bool:
        if not self.values:
            return skb.ipvs is not self.inverted
        if not skb.ipvs:
            return False
        connection = _connection(skb, context)
        return connection is not None and all(_holds(value, skb, connection) for value in self.values)

    def seen(self, skb: Skb, context: Context) -> str:
        if not skb.ipvs:
            return "not of IPVS"
        found = _connection(skb, context)
        if found is None:
            return "of no connection"
        return f"virtual {format_protocol(found.protocol)} {format_ipv4(found.vaddr)}:{found.vport}"


def _connection(skb: Skb, context: Context) -> IpvsConnection | None:
    ipvs = context.netfilter.ipvs
    if skb.protocol not in ipvs.protocols:
        return None
    return ipvs.connections.find_out(skb.protocol, skb.daddr, skb.dport, skb.saddr, skb.sport)


def _holds(value: Value, skb: Skb, connection: IpvsConnection) -> bool:
    """Whether one option agrees with a packet and its connection."""
    match value.option:
        case "--vproto":
            found = skb.protocol == value.number
        case "--vaddr":
            found = not (connection.vaddr ^ value.number) & value.mask
        case "--vport":
            found = connection.vport == value.number
        case "--vdir":
            found = skb.ct is not None and (skb.ctinfo >= CtInfo.ESTABLISHED_REPLY) == bool(value.number)
        case "--vmethod":
            found = connection.forwarding.value == _METHODS[value.words]
        case _:
            control = connection.control
            found = control is not None and control.vport == value.number
    return found is not value.inverted


def _protocol(option: Option) -> Value:
    number = parse_protocol(option.value)
    return Value(option.name, str(number), option.inverted, number)


def _address(option: Option) -> Value:
    address, mask = parse_host_mask(option.value)
    return Value(option.name, format_network(address, mask, host_length=False), option.inverted, address, mask)


def _port(option: Option) -> Value:
    try:
        port = parse_long_port(option.value)
    except RuleError:
        raise RuleError(f'Port "{option.value}" does not resolve to anything.') from None
    return Value(option.name, str(port), option.inverted, port)


def _direction(option: Option) -> Value:
    word = option.value.upper()
    if word not in _DIRECTIONS:
        raise RuleError(f'ipvs: Bad value for "--vdir" option: "{option.value}"')
    return Value(option.name, word, False, _DIRECTIONS.index(word))


def _method(option: Option) -> Value:
    word = option.value.upper()
    if word not in _METHODS:
        raise RuleError(f'ipvs: Bad value for "--vmethod" option: "{option.value}"')
    return Value(option.name, word, option.inverted)


_READ = {
    "--vproto": _protocol,
    "--vaddr": _address,
    "--vport": _port,
    "--vdir": _direction,
    "--vmethod": _method,
    "--vportctl": _port,
}
