"""Round robin, plain and by weight (ip_vs_rr.c, ip_vs_wrr.c). The newest real server is the first of a round."""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.ipvs.scheduler.base import Scheduler, takes_new

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipvs.service import Destination, Service

_HEAD = -1  # before the first of the list


class RoundRobin(Scheduler):
    """One after the other, whatever their weights, as long as these are not zero. `_place`: the last that was taken."""

    name = "rr"

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._place = _HEAD

    def schedule(self, caddr: int, cport: int, vaddr: int) -> Destination | None:
        """Take the next one."""
        destinations = self.service.destinations
        count = len(destinations)
        for step in range(1, count + 1):
            place = (self._place + step) % count
            if takes_new(destinations[place]):
                self._place = place
                return destinations[place]
        return None

    def added(self, destination: Destination) -> None:
        """The one that was taken last is one further back."""
        if self._place != _HEAD:
            self._place += 1

    def removed(self, destination: Destination, place: int) -> None:
        """Go on behind the one before a removed one."""
        if place <= self._place:
            self._place -= 1


class WeightedRoundRobin(Scheduler):
    """Rounds with a falling threshold: in each those take part whose weight reaches it (`struct ip_vs_wrr_mark`).

    `_step` is the greatest common divisor of the weights, `_most` the greatest weight less (`_step` - 1), so that the
    last round has threshold 1.
    """

    name = "wrr"

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._place = _HEAD
        self._measure()
        self._threshold = self._most

    def schedule(self, caddr: int, cport: int, vaddr: int) -> Destination | None:
        """Take the next one that reaches the threshold."""
        if not self._most:
            return None
        destinations = self.service.destinations
        last = self._place
        begin = last + 1
        stop: int | None = None
        last_pass = restarted = False
        while True:
            for place in range(begin, len(destinations)):
                found = destinations[place]
                if not found.overloaded and found.weight >= self._threshold:
                    self._place = place
                    return found
                if place == stop:
                    self._place = place
                    return None
            begin = 0
            self._threshold -= self._step
            if self._threshold <= 0:
                self._threshold = self._most
                # All were tried with threshold 1: now, or in the round before this one.
                if last_pass or last == _HEAD:
                    self._place = _HEAD
                    return None
                restarted = True
            last_pass = self._threshold <= self._step
            if last_pass and restarted and last != _HEAD:
                stop = last

    def updated(self, destination: Destination) -> None:
        """Begin a round anew; the threshold stays if it can (`ip_vs_wrr_dest_changed`)."""
        self._place = _HEAD
        self._measure()
        if self._threshold > self._most or not self._threshold:
            self._threshold = self._most
        elif self._step > 1:
            self._threshold = self._threshold // self._step * self._step + 1

    def _measure(self) -> None:
        weights = [each.weight for each in self.service.destinations]
        self._step = gcd(*weights) or 1
        self._most = max(weights, default=0) - (self._step - 1)
