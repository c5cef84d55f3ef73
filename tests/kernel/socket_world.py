"""Two namespaces on one cable, for the tests of sockets; and a link between them that can lose, repeat and reorder."""

from __future__ import annotations

import random
from collections.abc import Callable

from emulator.kernel.kernel import Kernel
from emulator.kernel.link import veth
from emulator.kernel.link.link import Link
from emulator.kernel.link.nic import Nic
from emulator.kernel.netns import Netns
from emulator.packet.address import ipv4_to_int

CLIENT, SERVER = "10.0.0.1", "10.0.0.2"
MAC_CLIENT, MAC_SERVER = 0x020000000001, 0x020000000002


class World:
    """A client and a server namespace of one machine, joined by a veth pair."""

    def __init__(self, seed: int = 1, mtu: int = 1500) -> None:
        self.kernel = Kernel("machine", random.Random(seed))
        self.client = Netns(self.kernel, "client")
        self.server = Netns(self.kernel, "server")
        near, far = veth.pair(self.client, "eth0", self.server, "eth0", MAC_CLIENT, MAC_SERVER, mtu)
        self.near: Link = near
        self.far: Link = far
        attach(self.client, near, CLIENT)
        attach(self.server, far, SERVER)

    def run(self, seconds: float = 0.0) -> None:
        """Let time pass, timer by timer; with 0 only carry what is queued."""
        end = self.kernel.now + seconds
        while True:
            while self.kernel.run(self.kernel.now):
                pass
            deadline = self.kernel.next_deadline()
            if deadline is None or deadline > end:
                break
            self.kernel.run(deadline)
        self.kernel.run(end)
        assert not self.kernel.faults, self.kernel.faults[0].error

    def run_until(self, condition: Callable[[], bool], limit: float = 1000.0) -> None:
        """Let time pass until `condition` holds."""
        end = self.kernel.now + limit
        while not condition():
            deadline = self.kernel.next_deadline()
            assert deadline is not None, "nothing more will happen"
            assert deadline <= end, "the condition did not come true in time"
            self.kernel.run(deadline)
            assert not self.kernel.faults, self.kernel.faults[0].error


def attach(netns: Netns, link: Link, address: str) -> None:
    """Bring a link up with an address of a /24."""
    link.set_up()
    netns.add_address(link, ipv4_to_int(address), 24)


class Unreliable:
    """Two machines whose NICs are joined by a wire with a delay, that loses, repeats and reorders frames.

    Everything is drawn from `seed`: the same seed plays the same story again. With `whole` the wire takes a frame of
    several TCP segments as it is, and so loses, repeats and delays all of them.
    """

    def __init__(
        self, seed: int, *, loss: float, duplicate: float, jitter: float, delay: float = 0.005, whole: bool = False
    ) -> None:
        self._random = random.Random(seed)
        self._loss, self._duplicate, self._jitter, self._delay = loss, duplicate, jitter, delay
        self.kernels = (Kernel("a", random.Random(seed + 1)), Kernel("b", random.Random(seed + 2)))
        self.client, self.server = (Netns(kernel, "root") for kernel in self.kernels)
        self.nics = (Nic(self.client, "eth0", MAC_CLIENT), Nic(self.server, "eth0", MAC_SERVER))
        attach(self.client, self.nics[0], CLIENT)
        attach(self.server, self.nics[1], SERVER)
        if whole:
            for nic in self.nics:
                nic.tso_max_size = 0xFFFF
        self._wire: list[tuple[float, int, int, bytes, int]] = []
        self._count = 0
        self.cut = False  # a cut wire loses everything but ARP
        self.now = 0.0

    def step(self) -> bool:
        """Go on to the next event; False if nothing will ever happen again."""
        times = [deadline for kernel in self.kernels if (deadline := kernel.next_deadline()) is not None]
        if self._wire:
            times.append(min(self._wire)[0])
        if not times:
            return False
        self.now = max(self.now, min(times))
        for entry in sorted(entry for entry in self._wire if entry[0] <= self.now):
            self._wire.remove(entry)
            self.nics[entry[2]].receive_frame(entry[3], None, entry[4])
        self.settle()
        return True

    def settle(self) -> None:
        """Run both machines at this moment, and put what they send on the wire."""
        for side, kernel in enumerate(self.kernels):
            while kernel.run(self.now):
                pass
            assert not kernel.faults, kernel.faults[0].error
            queue = self.nics[side].transmit_queue
            while queue:
                frame, _, gso_size = queue.popleft()
                self._send(1 - side, frame, gso_size)

    def _send(self, receiver: int, frame: bytes, gso_size: int) -> None:
        is_arp = frame[12:14] == b"\x08\x06"
        copies = 1 + (self._random.random() < self._duplicate)
        for _ in range(copies):
            if not is_arp and (self.cut or self._random.random() < self._loss):
                continue
            self._count += 1
            arrival = self.now + self._delay + self._random.random() * self._jitter
            self._wire.append((arrival, self._count, receiver, frame, gso_size))
