"""The data streams of an iperf3 test: what is sent and received, and what is counted of it."""

from __future__ import annotations

import struct
from collections.abc import Callable

import trio
from msgspec import Struct

from emulator.apps.environment import Address, TcpStream, UdpEndpoint
from emulator.apps.iperf3.protocol import Parameters, StreamResult

_HEADER = struct.Struct(">III")  # seconds and microseconds at which it was sent, number
_STILL = 0.01
"""Seconds to wait after a block where the clock stands still meanwhile: in simulations all work takes no time, and a
sender without a limit would never come to an end. It makes 100 Mbit/s of TCP's blocks; real clocks always move."""


class Counts(Struct):
    """What a stream has moved so far. `window` and `path_mtu` are in bytes, times in seconds."""

    size: int = 0
    packets: int = 0  # sent; received: the highest number
    errors: int = 0  # packets that are missing
    out_of_order: int = 0
    jitter: float = 0.0
    retransmits: int = 0
    window: int = 0
    round_trip: float = 0.0
    variance: float = 0.0
    path_mtu: int = 0


class Flow:
    """One data stream of either side. `number` is what stands in brackets: a file descriptor in the original."""

    def __init__(self, identifier: int, number: int, local: Address, remote: Address, *, sender: bool) -> None:
        self.identifier = identifier
        self.number = number
        self.local = local
        self.remote = remote
        self.sender = sender
        self.counts = Counts()
        self.on_received: Callable[[], None] | None = None

    def read(self) -> Counts:
        """Return the counts as they are now."""
        return self.counts

    def _note(self, size: int) -> None:
        self.counts.size += size
        if self.on_received is not None:
            self.on_received()

    def result(self, end: float) -> StreamResult:
        """Return what this side tells the other of it."""
        counts = self.read()
        retransmits = counts.retransmits if self.sender and isinstance(self, TcpFlow) else -1
        return StreamResult(
            self.identifier, counts.size, retransmits, counts.jitter, counts.errors, counts.packets, end
        )

    async def send_block(self, block: bytes) -> None:
        """Send one block or packet."""
        raise NotImplementedError

    async def receive(self) -> None:
        """Count what comes until cancelled, or the stream ends."""
        raise NotImplementedError

    async def close(self) -> None:
        """End the stream."""
        raise NotImplementedError


class TcpFlow(Flow):
    """A TCP connection."""

    def __init__(self, identifier: int, number: int, stream: TcpStream, *, sender: bool) -> None:
        super().__init__(identifier, number, stream.local_address, stream.remote_address, sender=sender)
        self._stream = stream

    def read(self) -> Counts:
        """Return the counts, with the connection's own."""
        counts, socket = self.counts, self._stream.socket
        if not socket.closed:
            counts.retransmits = socket.tx.retransmits
            counts.window = socket.cc.window * socket.mss
            counts.round_trip, counts.variance = socket.rtt.smoothed or 0.0, socket.rtt.variance
            counts.path_mtu = socket.path_mtu
        return counts

    async def send_block(self, block: bytes) -> None:
        """Hand a block to the connection."""
        await self._stream.send_all(block)
        self.counts.size += len(block)

    async def receive(self) -> None:
        """Count bytes until the end."""
        while data := await self._stream.receive_some(1 << 18):
            self._note(len(data))

    async def close(self) -> None:
        """Close the connection."""
        self.read()
        await self._stream.aclose()


class UdpFlow(Flow):
    """Packets to one address, through a socket that may serve several streams."""

    def __init__(
        self,
        identifier: int,
        number: int,
        endpoint: UdpEndpoint,
        remote: Address,
        now: Callable[[], float],
        *,
        sender: bool,
        own: bool,
    ) -> None:
        super().__init__(identifier, number, endpoint.local_address, remote, sender=sender)
        self._endpoint = endpoint
        self._now = now
        self._own = own  # whether the socket is this stream's alone
        self._transit: float | None = None

    async def send_block(self, block: bytes) -> None:
        """Send one packet with the time and its number in front. What the kernel refuses is not counted."""
        now = self._now()
        self.counts.packets += 1
        head = _HEADER.pack(int(now) & 0xFFFFFFFF, int(now % 1 * 1_000_000), self.counts.packets & 0xFFFFFFFF)
        await self._endpoint.send_to(head + block[_HEADER.size :], self.remote)
        self.counts.size += len(block)

    async def receive(self) -> None:
        """Count packets until cancelled. Of a socket that serves several streams, its owner gives each its packets."""
        if not self._own:
            await trio.sleep_forever()
        while True:
            self.take((await self._endpoint.receive()).payload)

    def take(self, payload: bytes) -> None:
        """Count a packet: its bytes, gaps in the numbers, jitter (RFC 1889, A.8)."""
        if len(payload) < _HEADER.size:
            return
        counts = self.counts
        seconds, microseconds, number = _HEADER.unpack_from(payload)
        self._note(len(payload))
        if number > counts.packets:
            counts.errors += number - 1 - counts.packets
            counts.packets = number
        else:
            counts.out_of_order += 1
            counts.errors = max(0, counts.errors - 1)
        transit = self._now() - (seconds + microseconds / 1_000_000)
        if self._transit is not None:
            counts.jitter += (abs(transit - self._transit) - counts.jitter) / 16
        self._transit = transit

    async def close(self) -> None:
        """Close the socket if it is this stream's alone."""
        if self._own:
            self._endpoint.close()
        await trio.lowlevel.checkpoint()


class Load:
    """What all senders of one side send together: the bound that `-n` or `-k` sets is for the sum."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._size = self._blocks = 0
        self.sent_all = trio.Event()

    async def send(self, flow: Flow) -> None:
        """Send blocks on a stream until cancelled or until all is sent; evenly where there is a bit rate."""
        parameters = self._parameters
        block = bytes(parameters.length)
        began = before = trio.current_time()
        while not self.sent_all.is_set():
            if parameters.bitrate:
                due = began + flow.counts.size * 8 / parameters.bitrate
                await trio.sleep_until(due)
            await flow.send_block(block)
            self._size += len(block)
            self._blocks += 1
            if parameters.size and self._size >= parameters.size:
                self.sent_all.set()
            if parameters.blocks and self._blocks >= parameters.blocks:
                self.sent_all.set()
            now = trio.current_time()
            if now == before:
                await trio.sleep(_STILL * len(block) / (128 << 10))
            before = now
