"""Schedulers that fill one real server before the next (ip_vs_fo.c, ip_vs_ovf.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.netfilter.ipvs.scheduler.base import Scheduler, takes_new

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipvs.service import Destination


def _weight(destination: Destination) -> int:
    return destination.weight


class Failover(Scheduler):
    """The one with the highest weight that takes connections at all."""

    name = "fo"

    def schedule(self, caddr: int, cport: int, vaddr: int) -> Destination | None:
        """Take the heaviest; of equal ones the first of the list."""
        return max(filter(takes_new, self.service.destinations), key=_weight, default=None)


class Overflow(Scheduler):
    """The one with the highest weight that has no more active connections than that."""

    name = "ovf"

    def schedule(self, caddr: int, cport: int, vaddr: int) -> Destination | None:
        """Take the heaviest that is not full; of equal ones the first of the list."""
        free = [each for each in self.service.destinations if takes_new(each) and each.active <= each.weight]
        return max(free, key=_weight, default=None)
