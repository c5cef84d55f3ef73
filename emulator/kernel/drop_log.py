"""The machine's bounded log of dropped packets; the runtime drains it into flows. A record is described when read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.kernel.drop import DropReason
from emulator.kernel.netfilter.conntrack.connection import REPLY, TEMPLATE
from emulator.kernel.skb import ETHERNET_LENGTH, CtInfo
from emulator.packet.describe import describe_frame
from emulator.packet.ipv4 import PROTOCOL_TCP
from emulator.packet.tcp import ACK, SYN

if TYPE_CHECKING:
    from emulator.kernel.netfilter.conntrack.connection import Connection
    from emulator.kernel.netns import Netns
    from emulator.kernel.skb import Skb

SNAP_LENGTH = 128


class DropRecord(Struct, frozen=True):
    """One dropped packet. `frame` is its beginning; the tuple's fields are 0 where it was not read that far."""

    time: float
    netns: str
    reason: DropReason
    link: str
    frame: bytes
    length: int
    protocol: int
    saddr: int
    daddr: int
    sport: int
    dport: int
    connection: Connection | None = None  # that the packet belongs to, be it in the table yet or not
    answers: int = 0  # packets that had come back on it until then, this one among them

    @classmethod
    def of(cls, netns: Netns, skb: Skb, reason: DropReason) -> DropRecord:
        """Note a packet as it is now."""
        link = skb.in_link or skb.out_link
        connection = _connection_of(skb)
        return cls(
            netns.kernel.now,
            netns.name,
            reason,
            "" if link is None else link.name,
            bytes(skb.data[:SNAP_LENGTH]),
            len(skb.data),
            skb.protocol,
            skb.saddr,
            skb.daddr,
            skb.sport,
            skb.dport,
            connection,
            0 if connection is None else connection.packets[REPLY],
        )

    @property
    def begins_flow(self) -> bool:
        """Whether it may be the first packet of a conversation: of TCP only a SYN is, all else is late or lost."""
        if self.protocol != PROTOCOL_TCP or len(self.frame) < ETHERNET_LENGTH + 1:
            return True
        flags = ETHERNET_LENGTH + (self.frame[ETHERNET_LENGTH] & 0xF) * 4 + 13
        return len(self.frame) > flags and self.frame[flags] & (SYN | ACK) == SYN

    @property
    def line(self) -> str:
        """The packet in one line, as tcpdump prints it."""
        return describe_frame(self.frame)


def _connection_of(skb: Skb) -> Connection | None:
    """Return a packet's connection; None for ICMP errors, which only are about one, and for templates of `-j CT`."""
    connection = skb.ct
    if connection is None or connection.status & TEMPLATE or skb.ctinfo in (CtInfo.RELATED, CtInfo.RELATED_REPLY):
        return None
    return connection
