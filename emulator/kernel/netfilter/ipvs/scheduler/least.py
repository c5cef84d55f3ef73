"""Schedulers by what each real server has to do (ip_vs_lc.c, ip_vs_wlc.c, ip_vs_sed.c, ip_vs_nq.c).

Of equal ones the first of the list is taken: the one that was added last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.netfilter.ipvs.scheduler.base import Scheduler, takes_new

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.kernel.netfilter.ipvs.service import Destination


def _load(destination: Destination) -> int:
    """An active connection costs about 256 times what an inactive one does (`ip_vs_dest_conn_overhead`)."""
    return (destination.active << 8) + destination.inactive


def _expected(destination: Destination) -> int:
    """The active connections, with the one that is to come."""
    return destination.active + 1


def _least(destinations: list[Destination], load: Callable[[Destination], int]) -> Destination | None:
    """Return the one with the least load for its weight; cross-multiplied, so that nothing is rounded."""
    least: Destination | None = None
    least_load = 0
    for each in destinations:
        if takes_new(each):
            found = load(each)
            if least is None or least_load * each.weight > found * least.weight:
                least, least_load = each, found
    return least


class LeastConnections(Scheduler):
    """The fewest connections, whatever the weights, as long as these are not zero."""

    name = "lc"

    def schedule(self, caddr: int, cport: int, vaddr: int) -> Destination | None:
        """Take the one with the least load."""
        return min(filter(takes_new, self.service.destinations), key=_load, default=None)


class WeightedLeastConnections(Scheduler):
    """The fewest connections for its weight."""

    name = "wlc"

    def schedule(self, caddr: int, cport: int, vaddr: int) -> Destination | None:
        """Take the one with the least load for its weight."""
        return _least(self.service.destinations, _load)


class ShortestExpectedDelay(Scheduler):
    """The fewest active connections for its weight, counted with the new one."""

    name = "sed"

    def schedule(self, caddr: int, cport: int, vaddr: int) -> Destination | None:
        """Take the one where the new connection waits least."""
        return _least(self.service.destinations, _expected)


class NeverQueue(Scheduler):
    """The first that has nothing to do; if none is idle, as `sed`."""

    name = "nq"

    def schedule(self, caddr: int, cport: int, vaddr: int) -> Destination | None:
        """Take an idle one, or the one where the new connection waits least."""
        destinations = self.service.destinations
        idle = next((each for each in destinations if takes_new(each) and not each.active), None)
        return _least(destinations, _expected) if idle is None else idle
