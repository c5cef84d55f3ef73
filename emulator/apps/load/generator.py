"""The requests of one client: when each is due, how many may be under way, how long each took.

Open loop: requests are due at a rate whatever becomes of those before, and latency counts from when a request was due,
not from when it could be sent, so that a server that stalls is seen in every request that it held up ("coordinated
omission", as Gil Tene calls the mistake). Closed loop: so many are under way at any time, and the next is sent when one
is answered; its latency counts from there.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from random import Random
from typing import Protocol

import trio

from emulator.api.messages.load import LoadClient, LoadPace
from emulator.apps.load.failure import NETWORK_ERRORS, error_kind
from emulator.apps.load.tally import Tally

_UNSENT_AT_ONCE = 1_000
"""Requests without a place that are counted before the node's other tasks have their turn."""


class Request(Protocol):
    """How one client asks one target."""

    async def __call__(self, tally: Tally) -> str:
        """Make one request; return who answered, "" where that cannot be told. Counts bytes and connections itself.

        Raises one of `NETWORK_ERRORS` where it failed.
        """

    async def aclose(self) -> None:
        """Let go of what is kept for the next request."""


class Generator:
    """One client. `tallies` has one for each of the requests, which are made in turn."""

    def __init__(self, client: LoadClient, pace: LoadPace, requests: Sequence[Request]) -> None:
        self.tallies = [Tally() for _ in requests]
        self._client = client
        self._pace = pace
        self._requests = requests
        self._random = Random(client.seed)
        self._turn = itertools.count()
        self._left: float = client.requests or math.inf

    async def run(self) -> None:
        """Send until the time is up or all is sent, and wait for the last answers. Mistakes of requests get through."""
        end = trio.current_time() + self._pace.duration
        if self._client.rate > 0:
            await self._run_open(end)
        else:
            await self._run_closed(end)

    async def aclose(self) -> None:
        """Let go of kept connections."""
        for request in self._requests:
            await request.aclose()

    async def _run_open(self, end: float) -> None:
        places = trio.Semaphore(self._pace.in_flight)
        arrivals = self._arrivals(trio.current_time())
        async with trio.open_nursery() as nursery:
            for due in arrivals:
                if due >= end or self._left <= 0:
                    return
                await trio.sleep_until(due)
                if not await self._enter(places, end):
                    await self._count_unsent(due, arrivals, end)
                    return
                self._left -= 1
                nursery.start_soon(self._do_in_place, due, places)

    async def _enter(self, places: trio.Semaphore, end: float) -> bool:
        """Take a place among the unanswered; False if there was none until the end."""
        try:
            places.acquire_nowait()  # also late: whoever is behind because the machine is busy sends nonetheless
        except trio.WouldBlock:
            with trio.move_on_at(end) as waiting:
                await places.acquire()
            return not waiting.cancelled_caught
        return True

    def _arrivals(self, began: float) -> Iterator[float]:
        """Yield when requests are due; the first ones of clients that begin together do not fall together."""
        rate, draw = self._client.rate, self._random
        if self._pace.poisson:
            due = began
            while True:
                due += draw.expovariate(rate)
                yield due
        phase = draw.random()
        for number in itertools.count():
            yield began + (number + phase) / rate

    async def _count_unsent(self, due: float, arrivals: Iterator[float], end: float) -> None:
        """Count what was due and had no place. At a rate beyond all measure that takes a while: others have turns."""
        for number in itertools.count(1):
            if due >= end or self._left <= 0:
                return
            self._left -= 1
            self.tallies[next(self._turn) % len(self.tallies)].unsent += 1
            due = next(arrivals)
            if number % _UNSENT_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()

    async def _do_in_place(self, due: float, places: trio.Semaphore) -> None:
        try:
            await self._do(due)
        finally:
            places.release()

    async def _run_closed(self, end: float) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(self._client.concurrency):
                nursery.start_soon(self._repeat, end)

    async def _repeat(self, end: float) -> None:
        while self._left > 0 and trio.current_time() < end:
            self._left -= 1
            await self._do(trio.current_time())
            if self._pace.pause:
                await trio.sleep(self._pace.pause)

    async def _do(self, due: float) -> None:
        """Make one request, and count what came of it."""
        turn = next(self._turn) % len(self.tallies)
        tally = self.tallies[turn]
        tally.sent += 1
        try:
            with trio.fail_after(self._pace.timeout):
                endpoint = await self._requests[turn](tally)
        except NETWORK_ERRORS as error:
            tally.errors[error_kind(error)] += 1
            await trio.lowlevel.checkpoint()  # a request that fails at once must not hold all others up
            return
        if endpoint:
            tally.endpoints[endpoint] += 1
        tally.latencies.record(trio.current_time() - due)
