"""A packet in one line, as the kernel's log has it (nf_log_syslog.c): `IN=eth0 OUT= MAC=... SRC=10.0.0.1 ...`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.tuple import ICMP, PROTOCOL_NAMES, TCP, UDP
from emulator.packet.address import format_ipv4

if TYPE_CHECKING:
    from emulator.kernel.skb import Skb

_TCP_FLAGS = (("URG", 0x20), ("ACK", 0x10), ("PSH", 0x08), ("RST", 0x04), ("SYN", 0x02), ("FIN", 0x01))


def packet_words(skb: Skb) -> str:
    """Return the line for a packet."""
    return " ".join(_words(skb))


def _words(skb: Skb) -> Iterator[str]:
    data, network, transport = skb.data, skb.network, skb.transport
    yield f"IN={'' if skb.in_link is None else skb.in_link.name}"
    yield f"OUT={'' if skb.out_link is None else skb.out_link.name}"
    if skb.in_link is not None:
        yield "MAC=" + data[:network].hex(":")
    tos = data[network + 1]
    yield f"SRC={format_ipv4(skb.saddr)} DST={format_ipv4(skb.daddr)} LEN={len(data) - network}"
    yield f"TOS=0x{tos & 0x1E:02X} PREC=0x{tos & 0xE0:02X} TTL={data[network + 8]}"
    yield f"ID={data[network + 4] << 8 | data[network + 5]}"
    if skb.fragment & 0x4000:
        yield "DF"
    if skb.fragment & 0x2000:
        yield "MF"
    if skb.fragment & 0x1FFF:
        yield f"FRAG:{skb.fragment & 0x1FFF}"
    yield f"PROTO={PROTOCOL_NAMES.get(skb.protocol, str(skb.protocol)).upper()}"
    if skb.protocol in (TCP, UDP) and len(data) >= transport + 8:
        yield f"SPT={skb.sport} DPT={skb.dport}"
    if skb.protocol == UDP and len(data) >= transport + 8:
        yield f"LEN={data[transport + 4] << 8 | data[transport + 5]}"
    if skb.protocol == TCP and len(data) >= transport + 20:
        yield f"WINDOW={data[transport + 14] << 8 | data[transport + 15]} RES=0x00"
        yield from (name for name, bit in _TCP_FLAGS if data[transport + 13] & bit)
        yield f"URGP={data[transport + 18] << 8 | data[transport + 19]}"
    if skb.protocol == ICMP and len(data) >= transport + 8:
        yield f"TYPE={data[transport]} CODE={data[transport + 1]}"
        if data[transport] in (0, 8):
            yield f"ID={data[transport + 4] << 8 | data[transport + 5]}"
            yield f"SEQ={data[transport + 6] << 8 | data[transport + 7]}"
    if skb.mark:
        yield f"MARK={skb.mark:#x}"
