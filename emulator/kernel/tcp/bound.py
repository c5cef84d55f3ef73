"""A TCP socket between bind(2) and listen(2) or connect(2): it holds a port, and no packet finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.socket.base import Address, Socket, SocketInfo

if TYPE_CHECKING:
    from emulator.kernel.tcp.connection import TcpSocket
    from emulator.kernel.tcp.listener import TcpListener
    from emulator.kernel.tcp.protocol import Tcp
    from emulator.kernel.trace import Trace


class BoundTcp(Socket):
    """Holds a port until it is closed or has become a listener or a connection, which then hold it in its place."""

    __slots__ = ("_tcp",)

    def __init__(self, tcp: Tcp) -> None:
        super().__init__(tcp.netns)
        self._tcp = tcp

    def listen(self, backlog: int = 128) -> TcpListener:
        """Become a listener. EADDRINUSE where another socket listens on the port that SO_REUSEADDR let both have."""
        self._check_open()
        listener = self._tcp.listen_on(self, backlog)
        self.closed = True
        return listener

    def connect(self, address: Address, trace: Trace | None = None) -> TcpSocket:
        """Become a connection from this port. EADDRNOTAVAIL where there is one to that peer; ENETUNREACH, ..."""
        self._check_open()
        connection = self._tcp.connect(address, None, trace, bound=self)
        self.closed = True
        return connection

    def close(self) -> None:
        """Give the port back. Calling it again does nothing."""
        if not self.closed:
            self.detach()
            self.netns.kernel.wake(self)

    def detach(self) -> None:
        """Leave the table, silently."""
        self.closed = True
        self._tcp.ports.release(self)

    def info(self) -> SocketInfo:
        """Return its row of `ss --bound-inactive`."""
        return SocketInfo("tcp", "UNCONN", 0, 0, self.local_address, self.remote_address)
