"""The machine's bounded log of dropped packets; the runtime drains it into flows. A record is described when read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from emulator.kernel.drop import DropReason
from emulator.packet.describe import describe_frame

if TYPE_CHECKING:
    from emulator.kernel.netns import Netns
    from emulator.kernel.skb import Skb

SNAP_LENGTH = 128


@dataclass(frozen=True, slots=True)
class DropRecord:
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

    @classmethod
    def of(cls, netns: Netns, skb: Skb, reason: DropReason) -> DropRecord:
        """Note a packet as it is now."""
        link = skb.in_link or skb.out_link
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
        )

    @property
    def line(self) -> str:
        """The packet in one line, as tcpdump prints it."""
        return describe_frame(self.frame)
