"""One line about a packet, as tcpdump prints it: for traces and the drop log. Any bytes do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.packet.describe import describe_frame

if TYPE_CHECKING:
    from emulator.kernel.skb import Skb


def describe(skb: Skb) -> str:
    """Describe a packet as it is now. A packet of our own that has no Ethernet header yet is described from IPv4 on."""
    data = skb.data
    if data[12:14] == b"\0\0" and len(data) > skb.network and skb.transport:
        return describe_frame(data[:12] + b"\x08\x00" + data[14:])
    return describe_frame(data)
