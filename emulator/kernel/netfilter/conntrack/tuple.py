"""What tells one direction of a connection from all others, the key of the conntrack table.

As in Linux (include/net/netfilter/nf_conntrack_tuple.h) ICMP keeps its identifier where the source port would be, and
its type and code where the destination port would be: only the source part can be rewritten by NAT.
"""

from __future__ import annotations

from typing import NamedTuple

from emulator.packet.address import AF_INET, format_ipv4

ICMP, TCP, UDP, DCCP, GRE, SCTP, UDPLITE = 1, 6, 17, 33, 47, 132, 136
PORT_PROTOCOLS = frozenset({TCP, UDP, SCTP, UDPLITE})
CLASH_ALLOWED = frozenset({UDP, UDPLITE})  # two entries of one conversation may become one (`allow_clash`)
PROTOCOL_NAMES = {ICMP: "icmp", TCP: "tcp", UDP: "udp", SCTP: "sctp", GRE: "gre", DCCP: "dccp", UDPLITE: "udplite"}

# The type that answers an ICMP query (nf_conntrack_proto_icmp.c).
ICMP_ANSWERS = {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17}


class Tuple(NamedTuple):
    """Addresses and ports of one direction. Equal to, and hashed as, the plain tuple of its fields."""

    family: int
    protocol: int
    saddr: int
    daddr: int
    sport: int  # ICMP: the identifier
    dport: int  # ICMP: type * 256 + code
    zone: int = 0

    @property
    def icmp_type(self) -> int:
        """The ICMP type, where the protocol is ICMP."""
        return self.dport >> 8

    @property
    def icmp_code(self) -> int:
        """The ICMP code, where the protocol is ICMP."""
        return self.dport & 0xFF

    def __str__(self) -> str:
        addresses = f"src={format_ipv4(self.saddr)} dst={format_ipv4(self.daddr)}"
        if self.protocol == ICMP:
            return f"{addresses} type={self.dport >> 8} code={self.dport & 0xFF} id={self.sport}"
        if self.protocol in PORT_PROTOCOLS:
            return f"{addresses} sport={self.sport} dport={self.dport}"
        if self.protocol == GRE:  # keys are those of PPTP's calls
            return f"{addresses} srckey=0x{self.sport:x} dstkey=0x{self.dport:x}"
        # The tools know DCCP's ports; the kernel tracks it no more than other protocols.
        return f"{addresses} sport=0 dport=0" if self.protocol == DCCP else addresses


def invert(key: Tuple) -> Tuple | None:
    """Return the tuple of the answer, or None for an ICMP type that has no answer (`nf_ct_invert_tuple`)."""
    family, protocol, saddr, daddr, sport, dport, zone = key
    if protocol != ICMP:
        return Tuple(family, protocol, daddr, saddr, dport, sport, zone)
    answer = ICMP_ANSWERS.get(dport >> 8)
    if answer is None:
        return None
    return Tuple(family, protocol, daddr, saddr, sport, answer << 8 | dport & 0xFF, zone)


def of_packet(data: bytearray, protocol: int, transport: int, saddr: int, daddr: int, zone: int = 0) -> Tuple | None:
    """Read the tuple of a packet, or of one that is quoted in an ICMP error; None if its header is cut short."""
    if protocol in PORT_PROTOCOLS:
        if len(data) < transport + 4:
            return None
        sport = data[transport] << 8 | data[transport + 1]
        dport = data[transport + 2] << 8 | data[transport + 3]
        return Tuple(AF_INET, protocol, saddr, daddr, sport, dport, zone)
    if protocol == ICMP:
        if len(data) < transport + 8:
            return None
        identifier = data[transport + 4] << 8 | data[transport + 5]
        return Tuple(AF_INET, protocol, saddr, daddr, identifier, data[transport] << 8 | data[transport + 1], zone)
    return Tuple(AF_INET, protocol, saddr, daddr, 0, 0, zone)
