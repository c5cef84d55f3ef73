"""Packets for tests, built and read with an independent library (dpkt), so that checksums are judged by another."""

from __future__ import annotations

import socket

import dpkt
import dpkt.sctp

SYN, ACK, FIN, RST, PSH = 2, 16, 1, 4, 8


def ip(source: str, destination: str, protocol: int, payload: dpkt.Packet | bytes, **fields: int) -> bytes:
    """Build an IPv4 packet."""
    packet = dpkt.ip.IP(src=socket.inet_aton(source), dst=socket.inet_aton(destination), p=protocol, data=payload)
    packet.id = fields.get("id", 7)
    packet.ttl = fields.get("ttl", 64)
    if fields.get("df"):
        packet.df = 1
    packet.len = len(packet)
    return bytes(packet)


def udp(source: str, sport: int, destination: str, dport: int, data: bytes = b"data", **fields: int) -> bytes:
    """Build a UDP packet."""
    return ip(source, destination, 17, dpkt.udp.UDP(sport=sport, dport=dport, data=data, ulen=8 + len(data)), **fields)


def tcp(source: str, sport: int, destination: str, dport: int, flags: int, seq: int = 0, ack: int = 0,
        data: bytes = b"", window: int = 1000, options: bytes = b"", **fields: int) -> bytes:  # fmt: skip
    """Build a TCP packet."""
    segment = dpkt.tcp.TCP(sport=sport, dport=dport, seq=seq, ack=ack, flags=flags, win=window, data=data, opts=options)
    segment.off = 5 + len(options) // 4
    return ip(source, destination, 6, segment, **fields)


def chunk(kind: int, flags: int = 0, value: bytes = b"") -> dpkt.sctp.Chunk:
    """Build an SCTP chunk."""
    made = dpkt.sctp.Chunk(type=kind, flags=flags, len=4 + len(value), data=value)
    made.padding = bytes(-len(value) % 4)
    return made


def sctp(source: str, sport: int, destination: str, dport: int, tag: int, *chunks: dpkt.sctp.Chunk,
         **fields: int) -> bytes:  # fmt: skip
    """Build an SCTP packet."""
    packet = dpkt.sctp.SCTP(sport=sport, dport=dport, vtag=tag)
    packet.chunks = list(chunks)
    return ip(source, destination, 132, bytes(packet), **fields)


def echo(source: str, destination: str, identifier: int, *, reply: bool = False, **fields: int) -> bytes:
    """Build an ICMP echo request or reply."""
    body = dpkt.icmp.ICMP.Echo(id=identifier, seq=1, data=b"ping")
    return ip(source, destination, 1, dpkt.icmp.ICMP(type=0 if reply else 8, data=body), **fields)


def icmp_error(source: str, destination: str, about: bytes, kind: int = 3, code: int = 3, **fields: int) -> bytes:
    """Build an ICMP error that quotes a packet."""
    return ip(source, destination, 1, dpkt.icmp.ICMP(type=kind, code=code, data=b"\0\0\0\0" + about), **fields)


def ends(packet: bytes) -> tuple[str, int, str, int]:
    """Return addresses and ports (ICMP: the identifier twice), after checking every checksum."""
    parsed = dpkt.ip.IP(packet)
    checked = dpkt.ip.IP(packet)
    checked.sum = 0
    if isinstance(checked.data, dpkt.tcp.TCP | dpkt.udp.UDP | dpkt.icmp.ICMP):
        checked.data.sum = 0
    assert bytes(checked) == packet, "a checksum is wrong"
    source, destination = socket.inet_ntoa(parsed.src), socket.inet_ntoa(parsed.dst)
    if isinstance(parsed.data, dpkt.tcp.TCP | dpkt.udp.UDP):
        return source, parsed.data.sport, destination, parsed.data.dport
    if isinstance(parsed.data, dpkt.icmp.ICMP) and isinstance(parsed.data.data, dpkt.icmp.ICMP.Echo):
        return source, parsed.data.data.id, destination, parsed.data.data.id
    return source, 0, destination, 0
