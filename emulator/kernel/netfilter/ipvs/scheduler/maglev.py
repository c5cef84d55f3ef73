"""Maglev hashing (ip_vs_mh.c; Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", 2016).

Each real server has its own order of the table's places and takes one after the other in turn, so that few clients
change theirs when a server goes. Places are by HalfSipHash's 64-bit kin, SipHash-1-3 cut to 32 bits, with fixed keys.
"""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.ipvs.scheduler.base import FALLBACK, PORT, Scheduler, takes_new
from emulator.kernel.siphash import hsiphash_u32

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipvs.service import Destination, Service

SIZE = 4093  # a prime: CONFIG_IP_VS_MH_TAB_INDEX is 12 unless somebody chose another
_BITS = 6  # half of that index: weights are cut down to so many
_FIRST_KEY = (2654435761, 2654435761)
_SECOND_KEY = (2654446892, 2654446892)


def hash_key(address: int, port: int, key: tuple[int, int], offset: int = 0) -> int:
    """Return the hash of an address and a port (`ip_vs_mh_hashkey`)."""
    return hsiphash_u32(offset + port + address & 0xFFFFFFFF, key)


class Maglev(Scheduler):
    """The table is made when it is first asked for after a change: kube-proxy adds many servers one by one."""

    name = "mh"

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._table: list[Destination | None] | None = None

    def schedule(self, caddr: int, cport: int, vaddr: int) -> Destination | None:
        """Take the client's own; with `mh-fallback` another's if that one takes nothing."""
        if self._table is None:
            self._table = self._populate()
        flags = self.service.options.scheduler_flags
        port = cport if flags & PORT else 0
        own = hash_key(caddr, port, _FIRST_KEY) % SIZE
        found = self._table[own]
        if found is None or takes_new(found):
            return found
        if not flags & FALLBACK:
            return None
        for step in range(SIZE):
            place = hash_key(caddr, port, _FIRST_KEY, (step + own) % SIZE) % SIZE
            found = self._table[place]
            if found is not None and takes_new(found):
                return found
        return None

    def updated(self, destination: Destination) -> None:
        """Make the table anew, later."""
        self._table = None

    def _populate(self) -> list[Destination | None]:
        """`ip_vs_mh_permutate` and `ip_vs_mh_populate`."""
        table: list[Destination | None] = [None] * SIZE
        destinations = [each for each in self.service.destinations if each.last_weight]
        if not destinations:
            return table
        divisor = gcd(*(each.last_weight for each in destinations))
        shift = max(0, (max(each.last_weight for each in destinations) // divisor).bit_length() - _BITS)
        turns = [(each.last_weight // divisor >> shift) or 1 for each in destinations]
        places = [hash_key(each.address, each.port, _FIRST_KEY) % SIZE for each in destinations]
        skips = [hash_key(each.address, each.port, _SECOND_KEY) % (SIZE - 1) + 1 for each in destinations]
        filled = 0
        while True:
            for index, destination in enumerate(destinations):
                place, skip = places[index], skips[index]
                for _ in range(turns[index]):
                    while table[place] is not None:
                        place = (place + skip) % SIZE
                    table[place] = destination
                    filled += 1
                    if filled == SIZE:
                        return table
                places[index] = place
