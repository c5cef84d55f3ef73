"""Fields of the packet's headers: `ip saddr`, `tcp dport`, `th sport`, `icmp type` and their like (nft_payload.c)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.kernel.netfilter.conntrack.tuple import ICMP, PORT_PROTOCOLS, SCTP, TCP, UDP
from emulator.kernel.netfilter.nft import datatype as types
from emulator.kernel.netfilter.nft.datatype import Datatype, integer
from emulator.kernel.netfilter.nft.expression.expression import Expression, Getter, Key

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.skb import Skb

LINK, NETWORK, TRANSPORT = range(3)
ICMPV6 = 58
_FRAGMENT_OFFSET = 0x1FFF
_MAC_HEADER = 14


class Field(Struct, frozen=True):
    """Where a field stands in its header, in bits, and of what type it is."""

    offset: int
    bits: int
    datatype: Datatype


class Header(Struct, frozen=True):
    """A protocol's header. `transport` is the protocol number that must be there for it, -1 for any."""

    layer: int
    network: str
    transport: int
    fields: Mapping[str, Field]


def _ports(**more: Field) -> dict[str, Field]:
    return {"sport": Field(0, 16, types.SERVICE), "dport": Field(16, 16, types.SERVICE), **more}


_IP = {
    "version": Field(0, 4, integer(4)),
    "hdrlength": Field(4, 4, integer(4)),
    "dscp": Field(8, 6, types.DIFFSERV),
    "ecn": Field(14, 2, integer(2)),
    "length": Field(16, 16, integer(16)),
    "id": Field(32, 16, integer(16)),
    "frag-off": Field(48, 16, integer(16)),
    "ttl": Field(64, 8, integer(8)),
    "protocol": Field(72, 8, types.PROTOCOL),
    "checksum": Field(80, 16, integer(16)),
    "saddr": Field(96, 32, types.IPV4),
    "daddr": Field(128, 32, types.IPV4),
}
_IP6 = {
    "version": Field(0, 4, integer(4)),
    "length": Field(32, 16, integer(16)),
    "nexthdr": Field(48, 8, types.PROTOCOL),
    "hoplimit": Field(56, 8, integer(8)),
    "saddr": Field(64, 128, types.IPV6),
    "daddr": Field(192, 128, types.IPV6),
}
_TCP = _ports(
    sequence=Field(32, 32, integer(32)),
    ackseq=Field(64, 32, integer(32)),
    doff=Field(96, 4, integer(4)),
    flags=Field(104, 8, types.TCP_FLAG),
    window=Field(112, 16, integer(16)),
    checksum=Field(128, 16, integer(16)),
    urgptr=Field(144, 16, integer(16)),
)
_UDP = _ports(length=Field(32, 16, integer(16)), checksum=Field(48, 16, integer(16)))
_SCTP = _ports(vtag=Field(32, 32, integer(32)), checksum=Field(64, 32, integer(32)))
_ICMP = {
    "type": Field(0, 8, types.ICMP_TYPE),
    "code": Field(8, 8, types.ICMP_CODE),
    "checksum": Field(16, 16, integer(16)),
    "mtu": Field(48, 16, integer(16)),
    "gateway": Field(32, 32, types.IPV4),
}
_ICMP6 = {"type": Field(0, 8, types.ICMPV6_TYPE), "code": Field(8, 8, integer(8))}
_ETHER = {
    "daddr": Field(0, 48, types.ETHER),
    "saddr": Field(48, 48, types.ETHER),
    "type": Field(96, 16, types.ETHER_TYPE),
}
HEADERS: Mapping[str, Header] = MappingProxyType(
    {
        "ether": Header(LINK, "", -1, _ETHER),
        "ip": Header(NETWORK, "ip", -1, _IP),
        "ip6": Header(NETWORK, "ip6", -1, _IP6),
        "tcp": Header(TRANSPORT, "", TCP, _TCP),
        "udp": Header(TRANSPORT, "", UDP, _UDP),
        "sctp": Header(TRANSPORT, "", SCTP, _SCTP),
        "th": Header(TRANSPORT, "", -1, _ports()),
        "icmp": Header(TRANSPORT, "ip", ICMP, _ICMP),
        "icmpv6": Header(TRANSPORT, "ip6", ICMPV6, _ICMP6),
    }
)  # fmt: skip
TRANSPORT_NAMES = {TCP: "tcp", UDP: "udp", SCTP: "sctp"}


class Payload(Expression, frozen=True):
    """`ip daddr`: one field of one header."""

    protocol: str
    field: str

    @property
    def header(self) -> Header:
        """The header that it is in."""
        return HEADERS[self.protocol]

    @property
    def place(self) -> Field:
        """Where it stands there."""
        return self.header.fields[self.field]

    @property
    def types(self) -> tuple[Datatype, ...]:
        return (self.place.datatype,)

    @property
    def network(self) -> str:
        return self.header.network

    @property
    def transport(self) -> int:
        return self.header.transport

    def format(self) -> str:
        return f"{self.protocol} {self.field}"

    def json(self) -> object:
        return {"payload": {"protocol": self.protocol, "field": self.field}}

    def bind(self, netfilter: Netfilter) -> Getter:
        if self.network == "ip6":
            return lambda skb, context: None
        known = _KNOWN.get((self.protocol, self.field))
        if known is not None:
            return known
        layer = self.header.layer
        if layer == LINK:
            return _of_link(self.place)
        return _of_network(self.place) if layer == NETWORK else _of_transport(self.place, self.transport)


FIELDS: Mapping[tuple[str, str], Payload] = MappingProxyType(
    {(name, field): Payload(name, field) for name, header in HEADERS.items() for field in header.fields}
)


def _saddr(skb: Skb, context: Context) -> Key | None:
    return skb.saddr


def _daddr(skb: Skb, context: Context) -> Key | None:
    return skb.daddr


def _protocol(skb: Skb, context: Context) -> Key | None:
    return skb.protocol


def _port(skb: Skb, at: int) -> int | None:
    """Two bytes of any transport header; nothing of a later fragment (`nft_payload_eval`)."""
    if skb.fragment & _FRAGMENT_OFFSET:
        return None
    begin = skb.transport + at
    return skb.data[begin] << 8 | skb.data[begin + 1] if len(skb.data) >= begin + 2 else None


def _sport(skb: Skb, context: Context) -> Key | None:
    if skb.fragment & _FRAGMENT_OFFSET or skb.protocol not in PORT_PROTOCOLS:
        return _port(skb, 0)
    return skb.sport or _port(skb, 0)  # 0 may be a header that is cut short


def _dport(skb: Skb, context: Context) -> Key | None:
    if skb.fragment & _FRAGMENT_OFFSET or skb.protocol not in PORT_PROTOCOLS:
        return _port(skb, 2)
    return skb.dport or _port(skb, 2)


def _dport_of(protocol: int) -> Getter:
    def dport(skb: Skb, context: Context) -> Key | None:
        if skb.protocol != protocol or skb.fragment & _FRAGMENT_OFFSET:
            return None
        return skb.dport or _port(skb, 2)

    return dport


def _sport_of(protocol: int) -> Getter:
    def sport(skb: Skb, context: Context) -> Key | None:
        if skb.protocol != protocol or skb.fragment & _FRAGMENT_OFFSET:
            return None
        return skb.sport or _port(skb, 0)

    return sport


_KNOWN: dict[tuple[str, str], Getter] = {
    ("ip", "saddr"): _saddr,
    ("ip", "daddr"): _daddr,
    ("ip", "protocol"): _protocol,
    ("th", "sport"): _sport,
    ("th", "dport"): _dport,
    **{(name, "dport"): _dport_of(number) for number, name in TRANSPORT_NAMES.items()},
    **{(name, "sport"): _sport_of(number) for number, name in TRANSPORT_NAMES.items()},
}


def _bits(data: bytearray, begin: int, field: Field) -> int | None:
    first = begin + (field.offset >> 3)
    last = begin + (field.offset + field.bits + 7 >> 3)
    if len(data) < last:
        return None
    unused = -(field.offset + field.bits) % 8
    return int.from_bytes(data[first:last], "big") >> unused & (1 << field.bits) - 1


def _of_link(field: Field) -> Getter:
    def read(skb: Skb, context: Context) -> Key | None:
        return _bits(skb.data, 0, field) if skb.in_link is not None and skb.network >= _MAC_HEADER else None

    return read


def _of_network(field: Field) -> Getter:
    def read(skb: Skb, context: Context) -> Key | None:
        return _bits(skb.data, skb.network, field)

    return read


def _of_transport(field: Field, protocol: int) -> Getter:
    def read(skb: Skb, context: Context) -> Key | None:
        if skb.fragment & _FRAGMENT_OFFSET or (protocol >= 0 and skb.protocol != protocol):
            return None
        return _bits(skb.data, skb.transport, field)

    return read
