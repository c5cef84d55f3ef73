"""A packet in one line, as the kernel's log has it (nf_log_syslog.c): `IN=eth0 OUT= MAC=... SRC=10.0.0.1 ...`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.conntrack.tuple import ICMP, TCP, UDP, UDPLITE

if TYPE_CHECKING:
    from emulator.kernel.skb import Skb

_TCP_FLAGS = (
    ("CWR", 0x80), ("ECE", 0x40), ("URG", 0x20), ("ACK", 0x10), ("PSH", 0x08), ("RST", 0x04), ("SYN", 0x02),
    ("FIN", 0x01),
)  # fmt: skip
_NAMES = {ICMP: "ICMP", TCP: "TCP", UDP: "UDP", UDPLITE: "UDPLITE"}
_HEADERS = {ICMP: 4, TCP: 20, UDP: 8, UDPLITE: 8}  # what must be there, in bytes
_ECHO, _REDIRECT, _PARAMETER = (0, 8), 5, 12
_QUOTING = (3, 4, _REDIRECT, 11)  # ICMP errors that quote the packet they are about
_UNREACHABLE, _FRAGMENTATION_NEEDED = 3, 4


def packet_words(skb: Skb) -> str:
    """Return the line for a packet."""
    return " ".join(_words(skb))


def _words(skb: Skb) -> Iterator[str]:
    yield f"IN={'' if skb.in_link is None else skb.in_link.name}"
    yield f"OUT={'' if skb.out_link is None else skb.out_link.name}"
    if skb.in_link is not None:
        yield "MAC=" + skb.data[: skb.network].hex(":")
    yield from _ip_words(bytes(skb.data[skb.network :]), quoted=False)
    if skb.mark:
        yield f"MARK={skb.mark:#x}"


def _ip_words(data: bytes, *, quoted: bool) -> Iterator[str]:
    """Yield the words of a packet from its IP header; one quoted by an ICMP error quotes no other."""
    if len(data) < 20:
        yield "TRUNCATED"
        return
    tos, fragment, protocol = data[1], _u16(data, 6), data[9]
    yield f"SRC={'.'.join(map(str, data[12:16]))} DST={'.'.join(map(str, data[16:20]))} LEN={_u16(data, 2)}"
    yield f"TOS=0x{tos & 0x1E:02X} PREC=0x{tos & 0xE0:02X} TTL={data[8]} ID={_u16(data, 4)}"
    flags = (("CE", 0x8000), ("DF", 0x4000), ("MF", 0x2000))
    yield from (name for name, bit in flags if fragment & bit)
    if fragment & 0x1FFF:
        yield f"FRAG:{fragment & 0x1FFF}"
    yield f"PROTO={_NAMES.get(protocol, protocol)}"
    if fragment & 0x1FFF or protocol not in _NAMES:
        return
    header = data[(data[0] & 0xF) * 4 :]
    if len(header) < _HEADERS[protocol]:
        yield f"INCOMPLETE [{len(header)} bytes]"
    elif protocol == ICMP:
        yield from _icmp_words(header, quoted)
    else:
        yield f"SPT={_u16(header, 0)} DPT={_u16(header, 2)}"
        if protocol != TCP:
            yield f"LEN={_u16(header, 4)}"
            return
        yield f"WINDOW={_u16(header, 14)} RES=0x{(header[12] & 0xF) << 2:02x}"
        yield from (name for name, bit in _TCP_FLAGS if header[13] & bit)
        yield f"URGP={_u16(header, 18)}"


def _icmp_words(header: bytes, quoted: bool) -> Iterator[str]:
    kind, code = header[0], header[1]
    yield f"TYPE={kind} CODE={code}"
    if kind not in (*_ECHO, *_QUOTING, _PARAMETER):
        return
    if len(header) < 8:
        yield f"INCOMPLETE [{len(header)} bytes]"
        return
    if kind in _ECHO:
        yield f"ID={_u16(header, 4)} SEQ={_u16(header, 6)}"
    elif kind == _PARAMETER:
        yield f"PARAMETER={header[4]}"
    if kind == _REDIRECT:
        yield f"GATEWAY={'.'.join(map(str, header[4:8]))}"
    if kind in _QUOTING and not quoted:
        yield f"[{' '.join(_ip_words(header[8:], quoted=True))} ]"
    if kind == _UNREACHABLE and code == _FRAGMENTATION_NEEDED:
        yield f"MTU={_u16(header, 6)}"


def _u16(data: bytes, at: int) -> int:
    return data[at] << 8 | data[at + 1]
