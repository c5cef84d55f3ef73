"""The link to other machines: the runtime hands received frames in and drains what is to be sent."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from emulator.kernel import gso
from emulator.kernel.drop import DropReason
from emulator.kernel.link.link import Link
from emulator.kernel.skb import Skb
from emulator.kernel.trace import Trace

if TYPE_CHECKING:
    from emulator.kernel.netns import Netns

QUEUE_LIMIT = 20_000


class Nic(Link):
    """An Ethernet card. `transmit_queue` holds (frame, trace, gso_size) in order; the runtime takes from its left."""

    kind = "nic"

    transmit_queue: deque[tuple[bytes, Trace | None, int]]
    tso_max_size = 0  # until the runtime says what its carrier takes

    def __init__(self, netns: Netns, name: str, mac: int, mtu: int = 1500) -> None:
        super().__init__(netns, name, mac, mtu)
        self.transmit_queue = deque()

    def receive_frame(self, frame: bytes, trace: Trace | None = None, gso_size: int = 0) -> None:
        """Take a frame from the underlay. Any bytes do; `Kernel.run` moves it on.

        `gso_size`: the sender's NIC gave it whole, a frame that stands for TCP segments of that size.
        """
        skb = Skb(bytearray(frame), trace)
        if gso_size and gso.is_sound(frame):
            skb.gso_size = gso_size
        self.netns.kernel.enqueue(self, skb)

    def send(self, skb: Skb) -> None:
        """Queue the frame for the runtime; a full queue drops it."""
        if len(self.transmit_queue) >= QUEUE_LIMIT:
            self.refuse(skb, DropReason.FULL_RING)
            return
        self.transmit_queue.append((bytes(skb.data), skb.trace, skb.gso_size))
