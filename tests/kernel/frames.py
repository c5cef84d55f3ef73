"""Frames as bytes, built without the code under test but for its checksum."""

from __future__ import annotations

import struct

from emulator.packet.address import ipv4_to_int, mac_to_int
from emulator.packet.checksum import checksum


def ethernet(destination: str, source: str, payload: bytes, ethertype: int = 0x0800) -> bytes:
    """Build a frame."""
    addresses = mac_to_int(destination).to_bytes(6, "big") + mac_to_int(source).to_bytes(6, "big")
    return addresses + ethertype.to_bytes(2, "big") + payload


def ipv4(source: str, destination: str, protocol: int, payload: bytes, *, ttl: int = 64, identification: int = 1,
         fragment: int = 0, tos: int = 0, options: bytes = b"") -> bytes:  # fmt: skip
    """Build an IPv4 packet with a right checksum."""
    words = 5 + len(options) // 4
    header = bytearray(struct.pack("!BBHHHBBHII", 0x40 | words, tos, words * 4 + len(payload), identification, fragment,
                                   ttl, protocol, 0, ipv4_to_int(source), ipv4_to_int(destination)))  # fmt: skip
    header += options
    header[10:12] = checksum(header).to_bytes(2, "big")
    return bytes(header) + payload


def udp(source: str, destination: str, sport: int, dport: int, payload: bytes = b"x") -> bytes:
    """Build a UDP datagram with a right checksum."""
    segment = bytearray(struct.pack("!HHHH", sport, dport, 8 + len(payload), 0)) + payload
    pseudo = ipv4_to_int(source) + ipv4_to_int(destination) + 17 + len(segment)
    segment[6:8] = checksum(segment, pseudo).to_bytes(2, "big")
    return bytes(segment)


def echo(identifier: int = 1, sequence: int = 1, payload: bytes = b"payload", kind: int = 8) -> bytes:
    """Build an ICMP echo message with a right checksum."""
    message = bytearray(struct.pack("!BBHHH", kind, 0, 0, identifier, sequence)) + payload
    message[2:4] = checksum(message).to_bytes(2, "big")
    return bytes(message)


def arp(operation: int, sender: str, sip: str, target: str, tip: str) -> bytes:
    """Build an ARP packet."""
    head = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    return (
        head + mac_to_int(sender).to_bytes(6, "big") + ipv4_to_int(sip).to_bytes(4, "big")
        + mac_to_int(target).to_bytes(6, "big") + ipv4_to_int(tip).to_bytes(4, "big")
    )  # fmt: skip
