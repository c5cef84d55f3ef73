"""The underlay between processes: one UDP socket a node, emptied before others get their turn."""

from __future__ import annotations

import errno
import mmap
import socket
from collections import deque

import trio

from emulator.runtime.underlay.underlay import Deliver, UdpAddress, Underlay

_BATCH = 64  # datagrams received before other tasks get their turn
_BUFFER = 65_536
_PENDING_LIMIT = 256  # datagrams of up to 60 kB that may wait for room in the socket
SOCKET_FULL = "no room in the socket"


class UdpUnderlay(Underlay):
    """Frames over a bound, non-blocking UDP socket; the socket stays the caller's to close."""

    def __init__(self, name: str, epoch: int, udp: socket.socket) -> None:
        super().__init__(name, epoch)
        self._socket = udp
        self._buffer = memoryview(mmap.mmap(-1, _BUFFER))  # its pages come when they are written to
        self._pending: deque[tuple[bytes, UdpAddress]] = deque()
        self._blocked = trio.Event()
        host, port = udp.getsockname()[:2]
        self._address = (host, port)

    @property
    def address(self) -> UdpAddress:
        """The socket's address."""
        return self._address

    async def run(self, deliver: Deliver) -> None:
        """Receive, and send what the socket had no room for, until cancelled."""
        self._discard()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._receive, deliver)
            nursery.start_soon(self._send_pending)

    def transmit(self, data: bytes, address: UdpAddress) -> None:
        """Send now, or keep the datagram until the socket has room; beyond a limit it is dropped and counted."""
        if self._pending:
            self._keep(data, address)
            return
        try:
            self._socket.sendto(data, address)
        except BlockingIOError:
            self._keep(data, address)
        except OSError as error:
            self._count(error)

    def _keep(self, data: bytes, address: UdpAddress) -> None:
        if len(self._pending) >= _PENDING_LIMIT:
            self.refused[SOCKET_FULL] += 1
            return
        self._pending.append((data, address))
        self._blocked.set()

    def _discard(self) -> None:
        """Throw away what came while nobody listened, as a machine that starts has not heard it."""
        while True:
            try:
                self._socket.recv_into(self._buffer)
            except BlockingIOError:
                return
            except OSError as error:
                self._count(error)

    async def _receive(self, deliver: Deliver) -> None:
        receive, buffer = self._socket.recvfrom_into, self._buffer
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            for _ in range(_BATCH):
                try:
                    length, source = receive(buffer)
                except BlockingIOError:
                    break
                except OSError as error:  # an ICMP error about something sent earlier
                    self._count(error)
                    continue
                self.accept(buffer[:length], source, deliver)

    async def _send_pending(self) -> None:
        while True:
            await self._blocked.wait()
            await trio.lowlevel.wait_writable(self._socket)
            while self._pending:
                try:
                    self._socket.sendto(*self._pending[0])
                except BlockingIOError:
                    break
                except OSError as error:
                    self._count(error)
                self._pending.popleft()
            if not self._pending:
                self._blocked = trio.Event()

    def _count(self, error: OSError) -> None:
        self.refused[errno.errorcode.get(error.errno or 0, "error")] += 1
