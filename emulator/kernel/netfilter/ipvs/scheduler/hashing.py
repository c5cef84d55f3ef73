"""Schedulers by a hash of an address (ip_vs_sh.c, ip_vs_dh.c): 256 buckets, filled with the real servers in turn.

The hash is the kernel's hash_32: multiplication with the golden ratio (include/linux/hash.h).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.netfilter.ipvs.scheduler.base import FALLBACK, PORT, Scheduler, takes_new

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipvs.service import Destination, Service

BITS = 8
SIZE = 1 << BITS
_GOLDEN_RATIO = 0x61C88647


def hash_32(value: int, bits: int) -> int:
    """Return the upper `bits` of the product of 32-bit numbers."""
    return (value * _GOLDEN_RATIO & 0xFFFFFFFF) >> (32 - bits)


class SourceHashing(Scheduler):
    """A client address has its real server. A real server has as many buckets in a row as its weight says."""

    name = "sh"

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._buckets: list[Destination | None] = []
        self._assign()

    def schedule(self, caddr: int, cport: int, vaddr: int) -> Destination | None:
        """Take the client's own; with `sh-fallback` another bucket's if that one takes nothing."""
        flags = self.service.options.scheduler_flags
        port = cport if flags & PORT else 0
        own = hash_32(caddr + port, BITS)
        found = self._buckets[own]
        if found is None or takes_new(found):
            return found
        if not flags & FALLBACK:
            return None
        for step in range(SIZE):
            # The place is added to the hash once more, as the kernel does: it looks from twice the place on.
            found = self._buckets[((step + own) % SIZE + own) % SIZE]
            if found is not None and takes_new(found):
                return found
        return None

    def updated(self, destination: Destination) -> None:
        """Fill the buckets anew."""
        self._assign()

    def _assign(self) -> None:
        destinations = self.service.destinations
        if not destinations:
            self._buckets = [None] * SIZE
            return
        buckets: list[Destination | None] = []
        place = filled = 0
        for _ in range(SIZE):
            found = destinations[place]
            buckets.append(found)
            filled += 1
            if filled >= found.weight:
                place = (place + 1) % len(destinations)
                filled = 0
        self._buckets = buckets


class DestinationHashing(Scheduler):
    """An address that is asked for has its real server: for caches in front of many addresses (fwmark services)."""

    name = "dh"

    def schedule(self, caddr: int, cport: int, vaddr: int) -> Destination | None:
        """Take the address's own, if it takes connections."""
        destinations = self.service.destinations
        if not destinations:
            return None
        found = destinations[hash_32(vaddr, BITS) % len(destinations)]  # buckets are filled with one after the other
        return found if takes_new(found) else None
