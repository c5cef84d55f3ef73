"""The underlay of a simulated cluster: datagrams in memory, with seeded loss, delay, duplication and reordering."""

from __future__ import annotations

import heapq
import math
from random import Random

import trio
from msgspec import Struct

from emulator.runtime.underlay.underlay import Deliver, UdpAddress, Underlay

_QUEUE_LIMIT = 4096
QUEUE_FULL = "no room in the queue"


class Conditions(Struct, frozen=True):
    """How well datagrams travel: probabilities from 0 to 1, times in seconds.

    `delay` is the least, `jitter` what is added at most, drawn evenly. A duplicate is delayed by itself; a datagram
    that is reordered waits `reorder_delay` more.
    """

    loss: float = 0.0
    duplication: float = 0.0
    reorder: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0
    reorder_delay: float = 0.01


class MemoryNetwork:
    """The wire between the nodes of a simulated cluster. What it does follows from `random` alone."""

    def __init__(self, random: Random, conditions: Conditions | None = None) -> None:
        self.conditions = conditions or Conditions()
        self.cut: set[frozenset[UdpAddress]] = set()
        self._random = random
        self._attached: dict[UdpAddress, MemoryUnderlay] = {}

    def attach(self, name: str, epoch: int, address: UdpAddress) -> MemoryUnderlay:
        """Return the underlay of a node that has `address`; a node that comes again takes its old address over."""
        underlay = MemoryUnderlay(name, epoch, self, address)
        self._attached[address] = underlay
        return underlay

    def carry(self, data: bytes, source: UdpAddress, destination: UdpAddress) -> None:
        """Bring a datagram to its destination, or not."""
        conditions, random = self.conditions, self._random
        target = self._attached.get(destination)
        if target is None or (self.cut and frozenset((source, destination)) in self.cut):
            return
        if conditions.loss and random.random() < conditions.loss:
            return
        copies = 2 if conditions.duplication and random.random() < conditions.duplication else 1
        for _ in range(copies):
            target.arrive(data, source, trio.current_time() + self._draw_delay())

    def _draw_delay(self) -> float:
        conditions, random = self.conditions, self._random
        delay = conditions.delay
        if conditions.jitter:
            delay += conditions.jitter * random.random()
        if conditions.reorder and random.random() < conditions.reorder:
            delay += conditions.reorder_delay
        return delay


class MemoryUnderlay(Underlay):
    """One node's place on a `MemoryNetwork`."""

    def __init__(self, name: str, epoch: int, network: MemoryNetwork, address: UdpAddress) -> None:
        super().__init__(name, epoch)
        self._network = network
        self._address = address
        self._arriving: list[tuple[float, int, bytes, UdpAddress]] = []
        self._number = 0
        self._arrived = trio.Event()

    @property
    def address(self) -> UdpAddress:
        """The node's address on the network."""
        return self._address

    def transmit(self, data: bytes, address: UdpAddress) -> None:
        """Hand a datagram to the network."""
        self._network.carry(data, self._address, address)

    def arrive(self, data: bytes, source: UdpAddress, time: float) -> None:
        """Take a datagram that will be there at `time`."""
        if len(self._arriving) >= _QUEUE_LIMIT:
            self.refused[QUEUE_FULL] += 1
            return
        self._number += 1
        heapq.heappush(self._arriving, (time, self._number, data, source))
        self._arrived.set()

    async def run(self, deliver: Deliver) -> None:
        """Deliver each datagram at its time, until cancelled."""
        while True:
            self._arrived = trio.Event()
            now = trio.current_time()
            while self._arriving and self._arriving[0][0] <= now:
                _, _, data, source = heapq.heappop(self._arriving)
                self.accept(data, source, deliver)
            with trio.move_on_at(self._arriving[0][0] if self._arriving else math.inf):
                await self._arrived.wait()
