"""The line of a LOG rule: packets as they were, and what Linux 6.18 logged of them."""

from __future__ import annotations

import pytest

from emulator.kernel.netfilter.packet_words import packet_words
from emulator.kernel.skb import Skb

A, B = bytes([10, 9, 9, 1]), bytes([10, 9, 9, 2])


def ip(length: int, ident: int, protocol: int, source: bytes, target: bytes, *, tos: int = 0, flags: int = 0) -> bytes:
    """Return a header; nothing that is logged depends on its checksum."""
    numbers = (length, ident, flags)
    length_bytes, ident_bytes, flag_bytes = (number.to_bytes(2, "big") for number in numbers)
    head = b"\x45" + bytes([tos]) + length_bytes + ident_bytes + flag_bytes
    return head + bytes([64, protocol, 0, 0]) + source + target


def udp(source: int, target: int, length: int) -> bytes:
    return b"".join(number.to_bytes(2, "big") for number in (source, target, length, 0))


QUOTED = ip(29, 14835, 17, A, B, flags=0x4000) + udp(48318, 99, 9) + b"x"
CASES = (
    (
        QUOTED,
        "IN= OUT= SRC=10.9.9.1 DST=10.9.9.2 LEN=29 TOS=0x00 PREC=0x00 TTL=64 ID=14835 DF PROTO=UDP SPT=48318 DPT=99 "
        "LEN=9",
    ),
    (
        ip(57, 21167, 1, B, A, tos=0xC0) + bytes([3, 3, 0, 0, 0, 0, 0, 0]) + QUOTED,
        "IN= OUT= SRC=10.9.9.2 DST=10.9.9.1 LEN=57 TOS=0x00 PREC=0xC0 TTL=64 ID=21167 PROTO=ICMP TYPE=3 CODE=3 "
        "[SRC=10.9.9.1 DST=10.9.9.2 LEN=29 TOS=0x00 PREC=0x00 TTL=64 ID=14835 DF PROTO=UDP SPT=48318 DPT=99 LEN=9 ]",
    ),
    (
        ip(40, 0, 6, B, A, flags=0x4000)
        + bytes.fromhex("0050d914") + bytes(8) + bytes.fromhex("5014") + bytes(6),
        "IN= OUT= SRC=10.9.9.2 DST=10.9.9.1 LEN=40 TOS=0x00 PREC=0x00 TTL=64 ID=0 DF PROTO=TCP SPT=80 DPT=55572 "
        "WINDOW=0 RES=0x00 ACK RST URGP=0",
    ),
)  # fmt: skip


@pytest.mark.parametrize(("packet", "line"), CASES)
def test_a_packet_is_logged_as_linux_does(packet: bytes, line: str) -> None:
    skb = Skb(bytearray(14) + packet)
    skb.network = 14
    assert packet_words(skb) == line
