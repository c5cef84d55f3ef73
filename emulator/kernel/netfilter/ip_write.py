"""Writing to a packet's headers, checksums kept right, for targets that change single bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.packet.checksum import update_checksum

if TYPE_CHECKING:
    from emulator.kernel.skb import Skb

TOS, TTL, _IP_CHECKSUM = 1, 8, 10
_TCP_CHECKSUM = 16


def set_ip_byte(skb: Skb, at: int, value: int) -> None:
    """Set a byte of the IP header and correct the header's checksum."""
    _set(skb.data, skb.network, skb.network + at, value, skb.network + _IP_CHECKSUM)


def set_tcp_byte(skb: Skb, at: int, value: int) -> None:
    """Set a byte of the TCP header, its options included, and correct TCP's checksum."""
    _set(skb.data, skb.transport, skb.transport + at, value, skb.transport + _TCP_CHECKSUM)


def _set(data: bytearray, header: int, at: int, value: int, checksum: int) -> None:
    word = at - (at - header) % 2
    before = data[word] << 8 | data[word + 1]
    data[at] = value
    after = data[word] << 8 | data[word + 1]
    if before != after:
        found = update_checksum(data[checksum] << 8 | data[checksum + 1], before, after)
        data[checksum : checksum + 2] = found.to_bytes(2, "big")
