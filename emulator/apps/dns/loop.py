"""The plugin `loop`: a server that forwards to itself ends, rather than ask itself without end.

Source: CoreDNS's plugin/loop: at the start it asks for a name that nobody has, and counts how often it comes back.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from emulator.apps.dns.client import exchange
from emulator.apps.dns.request import Handler, Request
from emulator.apps.environment import Network
from emulator.errors import PodwireError
from emulator.packet import dns
from emulator.packet.dns_record import Question

HINFO = 13
_MOST = 2
_TRIES = 3
_PATIENCE = 30.0  # seconds in which the name may come back


class Loop:
    """Watches for its own question. `draw` gives a number of so many random bits."""

    def __init__(self, zone: str, draw: Callable[[int], int], following: Handler) -> None:
        self.zone = zone
        self.name = f"{draw(62)}.{draw(62)}.{'' if zone == '.' else zone}"
        self._next = following
        self._seen = 0
        self._client = ""
        self._detected = trio.Event()

    async def serve(self, request: Request) -> dns.Message:
        """Count the question, and hand it on."""
        if request.question.type == HINFO and request.name == self.name:
            self._seen += 1
            self._client = request.client
            if self._seen > _MOST:
                self._detected.set()
                return request.error(dns.SERVFAIL)
        return await self._next.serve(request)

    async def look(self, network: Network, port: int) -> None:
        """Ask the question. PodwireError if it comes back."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._ask, network, port)
            with trio.move_on_after(_PATIENCE):
                await self._detected.wait()
                raise PodwireError(
                    f"plugin/loop: Loop ({self._client} -> :{port}) detected for zone "
                    f'"{self.zone}", see https://coredns.io/plugins/loop#troubleshooting. Query: "HINFO {self.name}"'
                )
            nursery.cancel_scope.cancel()

    async def _ask(self, network: Network, port: int) -> None:
        for _ in range(_TRIES):
            identifier = network.netns.kernel.random.getrandbits(16)
            query = dns.Message(identifier, (Question(self.name, HINFO),), recursion_desired=True)
            try:
                with trio.fail_after(_PATIENCE / _TRIES):
                    await exchange(network, ("127.0.0.1", port), query)
                return
            except (OSError, trio.TooSlowError, trio.BrokenResourceError):
                continue
