"""`[PROTO:]PORT` in elements: how it is read, printed and found in a packet (lib/parse.c, ip_set_getport.c)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.ipset.error import IpsetError, IpsetSyntaxError
from emulator.kernel.netfilter.ipset.family import INET, INET6, Family
from emulator.kernel.netfilter.ipset.number import parse_number
from emulator.kernel.netfilter.options import format_protocol
from emulator.kernel.netfilter.service_names import PROTOCOL_ALIASES, PROTOCOLS, service_port

if TYPE_CHECKING:
    from emulator.kernel.skb import Skb

ICMP, TCP, UDP, ICMPV6, SCTP, UDPLITE = 1, 6, 17, 58, 132, 136
WITH_PORTS = frozenset({TCP, UDP, SCTP, UDPLITE})
_HEADERS: Mapping[int, int] = MappingProxyType({TCP: 20, UDP: 8, SCTP: 12, UDPLITE: 8, ICMP: 8})
_FRAGMENT_OFFSET = 0x1FFF

# In the order in which a prefix of a name is looked up; the first name of a type and code is the one printed.
ICMP_NAMES: tuple[tuple[str, int], ...] = (
    ("echo-reply", 0x0000),
    ("pong", 0x0000),
    ("network-unreachable", 0x0300),
    ("host-unreachable", 0x0301),
    ("protocol-unreachable", 0x0302),
    ("port-unreachable", 0x0303),
    ("fragmentation-needed", 0x0304),
    ("source-route-failed", 0x0305),
    ("network-unknown", 0x0306),
    ("host-unknown", 0x0307),
    ("network-prohibited", 0x0309),
    ("host-prohibited", 0x030A),
    ("TOS-network-unreachable", 0x030B),
    ("TOS-host-unreachable", 0x030C),
    ("communication-prohibited", 0x030D),
    ("host-precedence-violation", 0x030E),
    ("precedence-cutoff", 0x030F),
    ("source-quench", 0x0400),
    ("network-redirect", 0x0500),
    ("host-redirect", 0x0501),
    ("TOS-network-redirect", 0x0502),
    ("TOS-host-redirect", 0x0503),
    ("echo-request", 0x0800),
    ("ping", 0x0800),
    ("router-advertisement", 0x0900),
    ("router-solicitation", 0x0A00),
    ("ttl-zero-during-transit", 0x0B00),
    ("ttl-zero-during-reassembly", 0x0B01),
    ("ip-header-bad", 0x0C00),
    ("required-option-missing", 0x0C01),
    ("timestamp-request", 0x0D00),
    ("timestamp-reply", 0x0E00),
    ("address-mask-request", 0x1100),
    ("address-mask-reply", 0x1200),
)
ICMPV6_NAMES: tuple[tuple[str, int], ...] = (
    ("no-route", 0x0100),
    ("communication-prohibited", 0x0101),
    ("address-unreachable", 0x0103),
    ("port-unreachable", 0x0104),
    ("packet-too-big", 0x0200),
    ("ttl-zero-during-transit", 0x0300),
    ("ttl-zero-during-reassembly", 0x0301),
    ("bad-header", 0x0400),
    ("unknown-header-type", 0x0401),
    ("unknown-option", 0x0402),
    ("echo-request", 0x8000),
    ("ping", 0x8000),
    ("echo-reply", 0x8100),
    ("pong", 0x8100),
    ("router-solicitation", 0x8500),
    ("router-advertisement", 0x8600),
    ("neighbour-solicitation", 0x8700),
    ("neigbour-solicitation", 0x8700),
    ("neighbour-advertisement", 0x8800),
    ("neigbour-advertisement", 0x8800),
    ("redirect", 0x8900),
)
_TYPE_NAMES: Mapping[int, Mapping[int, str]] = MappingProxyType(
    {
        ICMP: {code: name for name, code in reversed(ICMP_NAMES)},
        ICMPV6: {code: name for name, code in reversed(ICMPV6_NAMES)},
    }
)


def parse_proto_port(text: str, family: Family) -> tuple[int, int, int | None]:
    """Read to (protocol, port, port_to); an ICMP type and code are one port number."""
    colon = text.find(":")
    if colon <= 0 or text[-1] == ":":
        return (TCP, *_parse_ports(text, "tcp"))
    name, rest = text[:colon], text[colon + 1 :]
    protocol = _parse_protocol(name)
    if protocol in WITH_PORTS:
        return (protocol, *_parse_ports(rest, name))
    if protocol == ICMP and family is INET:
        return protocol, _parse_icmp(rest, ICMP_NAMES, "ICMP"), None
    if protocol == ICMPV6 and family is INET6:
        return protocol, _parse_icmp(rest, ICMPV6_NAMES, "ICMPv6"), None
    if protocol in (ICMP, ICMPV6):
        title, only = ("ICMP", "inet") if protocol == ICMP else ("ICMPv6", "inet6")
        raise IpsetSyntaxError(f"Protocol {title} can be used with family {only} only")
    if rest != "0":
        raise IpsetSyntaxError(f"Protocol {name} can be used with pseudo port value 0 only.")
    return protocol, 0, None


def parse_tcp_udp_port(text: str, family: Family) -> tuple[int, int | None]:
    """Read a port where the protocol serves to look a service's name up only."""
    protocol, port, port_to = parse_proto_port(text, family)
    if protocol not in (TCP, UDP):
        raise IpsetSyntaxError("Only protocols TCP and UDP are valid")
    return port, port_to


def _parse_protocol(text: str) -> int:
    name = "ipv6-icmp" if text.lower() == "icmpv6" else text
    number = PROTOCOLS.get(name, PROTOCOL_ALIASES.get(name))
    if number:
        return number
    with suppress(IpsetError):
        return parse_number(text, 0, 255)
    if text.lower() == "ip":
        raise IpsetSyntaxError(f"Unsupported protocol '{text}'")
    raise IpsetSyntaxError(f"cannot parse '{text}' as a protocol")


def _parse_ports(text: str, protocol: str) -> tuple[int, int | None]:
    dash = text.find("-")
    if dash <= 0 or text[-1] == "-":
        return _parse_port(text, protocol), None
    last = _parse_port(text[dash + 1 :], protocol)
    return _parse_port(text[:dash], protocol), last


def _parse_port(text: str, protocol: str) -> int:
    try:
        return parse_number(text, 0, 0xFFFF)
    except IpsetSyntaxError as error:
        port = service_port(text, protocol)
        if port is not None:
            return port
        # The real tool adds what it tried next; it takes the protocol's name for a number on the way.
        tried = f"\nSyntax error: '{protocol}' is invalid as number\ncannot parse '{text}' as a {protocol} port"
        raise IpsetError(f"{error}{tried}") from None


def _parse_icmp(text: str, names: tuple[tuple[str, int], ...], title: str) -> int:
    for name, code in names:
        if name.startswith(text):
            return code
    kind, slash, code_text = text.partition("/")
    if not slash or not kind or not code_text:
        raise IpsetError(f"Cannot parse {text} as an {title} type/code.")
    return parse_number(kind, 0, 255) << 8 | parse_number(code_text, 0, 255)


def format_proto_port(protocol: int, port: int) -> str:
    """Print `tcp:80`, `icmp:echo-request`, `icmp:3/1`, `gre:0`."""
    names = _TYPE_NAMES.get(protocol)
    shown = str(port) if names is None else names.get(port) or f"{port >> 8}/{port & 255}"
    return f"{format_protocol(protocol) if protocol else 'ip'}:{shown}"


def packet_port(skb: Skb, source: bool) -> int | None:
    """Return a packet's port, or ICMP type and code; 0 for protocols without, None where there is none to be had."""
    protocol = skb.protocol
    header = _HEADERS.get(protocol)
    if skb.fragment & _FRAGMENT_OFFSET or not protocol:
        return None
    if header is None:
        return 0
    if len(skb.data) < skb.transport + header:
        return None
    if protocol == ICMP:
        return skb.data[skb.transport] << 8 | skb.data[skb.transport + 1]
    return skb.sport if source else skb.dport
