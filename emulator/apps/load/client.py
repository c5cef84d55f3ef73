"""What requests of a load are made with: the client's sockets, names looked up once or each time, who answered."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from emulator.apps.environment import Address, Network, TcpStream
from emulator.apps.layered_stream import LayeredStream
from emulator.apps.load.tally import Tally

TCP, UDP = 6, 17

FindEndpoint = Callable[[int, Address, Address], str]
"""Given a protocol, this end and the address that was asked: the endpoint that a Service chose, by name or address."""


class Client(Struct, frozen=True):
    """One client of a load, as its requests see it."""

    network: Network
    find_endpoint: FindEndpoint
    keep: bool = False
    lookup_each: bool = False


class Lookup:
    """The addresses of one name, looked up once unless it is said that each connection asks anew, as k6 and wrk do."""

    def __init__(self, client: Client, host: str) -> None:
        self._client = client
        self._host = host
        self._known = ""

    async def address(self) -> str:
        """Return the first address. ResolveError."""
        if not self._known or self._client.lookup_each:
            self._known = (await self._client.network.resolve(self._host))[0]
        return self._known


class CountedStream(LayeredStream):
    """A TCP stream whose bytes are counted; all else is the stream's own."""

    def __init__(self, transport: TcpStream, tally: Tally) -> None:
        super().__init__(transport)
        self.tally = tally

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of `data`."""
        await super().send_all(data)
        self.tally.bytes_sent += len(data)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Wait for some bytes."""
        data = await super().receive_some(max_bytes)
        self.tally.bytes_received += len(data)
        return data
