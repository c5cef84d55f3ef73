"""A load that this node's pods make, as its control socket is asked for it: `emulator traffic run` and the Python API.

All requests are made here; what crosses the socket is a message with counts twice a second.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

import trio

from emulator.api.messages import ControlError, ErrorCode
from emulator.api.messages.load import MOST_RATE, MOST_UNDER_WAY, LoadClient, LoadNews, LoadParams
from emulator.apps.load.client import Client
from emulator.apps.load.generator import Generator
from emulator.apps.load.requests import PROTOCOLS, requests_to
from emulator.runtime.control.server import Exchange
from emulator.runtime.machine.command import while_open
from emulator.runtime.machine.services import Place
from emulator.runtime.node.endpoints import EndpointNames

LEAST_INTERVAL = 0.1


class NodeLoad:
    """One load on one node."""

    def __init__(self, params: LoadParams, find: Callable[[LoadClient], Place], endpoints: EndpointNames) -> None:
        """`find` gives a client's place; ControlError (NOT_FOUND) for a pod that is not here."""
        _check(params)
        self._params = params
        self._places = [find(client) for client in params.clients]
        self._generators = [
            self._generator(client, place, endpoints)
            for client, place in zip(params.clients, self._places, strict=True)
        ]
        self._gone: list[int] = []

    def _generator(self, client: LoadClient, place: Place, endpoints: EndpointNames) -> Generator:
        pace = self._params.pace
        surroundings = Client(
            network=place.network,
            find_endpoint=partial(endpoints.find, namespace=client.namespace),
            keep=pace.keep,
            lookup_each=pace.lookup_each,
        )
        return Generator(client, pace, [requests_to(surroundings, target) for target in self._params.targets])

    async def run(self, exchange: Exchange[LoadNews]) -> LoadNews:
        """Run to the end, or until Ctrl-C, and send news meanwhile; return the last."""
        async with trio.open_nursery() as watching:
            watching.start_soon(self._tell, exchange)
            async with trio.open_nursery() as sending:
                exchange.on_interrupt = sending.cancel_scope.cancel
                for number in range(len(self._generators)):
                    sending.start_soon(self._run_one, number)
            watching.cancel_scope.cancel()
        return self._news()

    async def _run_one(self, number: int) -> None:
        closed = self._places[number].closed
        generator = self._generators[number]
        async with AsyncExitStack() as stack:
            stack.push_async_callback(generator.aclose)
            await while_open(closed, generator.run)
        if closed is not None and closed.is_set():
            self._gone.append(number)

    async def _tell(self, exchange: Exchange[LoadNews]) -> None:
        while True:
            await trio.sleep(max(self._params.interval, LEAST_INTERVAL))
            await exchange.send(self._news())

    def _news(self) -> LoadNews:
        tallies = [
            tally.take(number, target)
            for number, generator in enumerate(self._generators)
            for target, tally in enumerate(generator.tallies)
            if not tally.is_empty
        ]
        gone, self._gone = self._gone, []
        return LoadNews(tallies=tuple(tallies), gone=tuple(gone))


def _check(params: LoadParams) -> None:
    """Refuse what would never end or cannot be asked. ControlError (INVALID)."""
    unknown = sorted({target.protocol for target in params.targets} - {*PROTOCOLS})
    if unknown:
        raise ControlError(ErrorCode.INVALID, f"no such protocol: {', '.join(unknown)}; known: {', '.join(PROTOCOLS)}")
    if not params.targets or not params.clients:
        raise ControlError(ErrorCode.INVALID, "a load needs targets and clients")
    if any(client.rate <= 0 and client.concurrency < 1 for client in params.clients):
        raise ControlError(ErrorCode.INVALID, "each client needs a rate or a concurrency")
    if params.pace.in_flight < 1 or params.pace.timeout <= 0:
        raise ControlError(ErrorCode.INVALID, "in_flight must be at least 1, timeout more than 0")
    if not all(client.rate <= MOST_RATE for client in params.clients):  # not NaN either
        raise ControlError(ErrorCode.INVALID, f"a rate can be at most {MOST_RATE:,.0f}")
    if max(params.pace.in_flight, *(client.concurrency for client in params.clients)) > MOST_UNDER_WAY:
        raise ControlError(ErrorCode.INVALID, f"in_flight and concurrency can be at most {MOST_UNDER_WAY:,}")
