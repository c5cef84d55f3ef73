"""Methods of a node's socket that lend its pods' sockets to programs outside: the Python API and scripted traffic."""

from __future__ import annotations

from msgspec import Struct

from emulator.api.messages.envelope import Empty, Method


class TcpConnectParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Connect from a pod (or the node when `pod` is empty) to a name or address.

    Input is what is sent, its end a FIN. The first event is empty and means connected; later ones are what came in, an
    empty one the other side's FIN. The result comes when both sides have ended.
    """

    host: str
    port: int
    namespace: str = "default"
    pod: str = ""


class TcpData(Struct, frozen=True, kw_only=True):
    """Bytes that came in."""

    data: bytes = b""


class UdpOpenParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Open a UDP socket in a pod (or on the node); port 0 draws a free one.

    The first event has the bound address and no payload; later ones are datagrams that came in. Each input is one
    datagram to send: msgpack's [host, port, payload]. Names are looked up as the pod does. With a `peer` (host, port)
    the socket is connected: it hears from nobody else, and of the errors that what it sent has met.
    """

    port: int = 0
    peer: tuple[str, int] | None = None
    namespace: str = "default"
    pod: str = ""


class UdpReceived(Struct, frozen=True, kw_only=True):
    """A datagram, or the error that one which was sent has met (`errno` is then not 0)."""

    host: str = ""
    port: int = 0
    payload: bytes = b""
    errno: int = 0


TCP_CONNECT = Method("socket.tcp", TcpConnectParams, TcpData, Empty)
UDP_OPEN = Method("socket.udp", UdpOpenParams, UdpReceived, Empty)
