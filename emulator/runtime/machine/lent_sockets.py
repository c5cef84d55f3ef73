"""Sockets of pods lent over a node's control socket: what `Cluster.pod(...)` uses from outside, at the node's end."""

from __future__ import annotations

import errno

import msgspec
import trio

from emulator.api.messages import ControlError, ErrorCode, TcpData, UdpReceived
from emulator.apps.environment import ResolveError
from emulator.runtime.control.server import Exchange
from emulator.runtime.sockets.network import NetnsNetwork
from emulator.runtime.sockets.sockets import UdpEndpoint
from emulator.runtime.sockets.tcp_stream import TcpStream

_CHUNK = 65_536


async def carry_tcp(network: NetnsNetwork, host: str, port: int, exchange: Exchange[TcpData]) -> None:
    """Connect, say so, and carry bytes both ways until both sides have sent their last.

    Raises ControlError (UNAVAILABLE, with the errno's name in front) where the connection cannot be made or breaks.
    """
    try:
        stream = await network.open_tcp_stream(host, port)
    except OSError as error:
        raise socket_error(error) from None
    async with stream:
        await exchange.send(TcpData())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_send_input, stream, exchange)
            try:
                while data := await stream.receive_some(_CHUNK):
                    await exchange.send(TcpData(data=data))
            except trio.BrokenResourceError as error:
                raise socket_error(error.__cause__ or error) from None
            await exchange.send(TcpData())


async def _send_input(stream: TcpStream, exchange: Exchange[TcpData]) -> None:
    try:
        async for data in exchange.inputs:
            await stream.send_all(data)
        await stream.send_eof()
    except trio.BrokenResourceError:
        return  # the receiving side meets the same end, and tells the client


Address = tuple[str, int]


async def carry_udp(
    network: NetnsNetwork, port: int, exchange: Exchange[UdpReceived], peer: Address | None = None
) -> None:
    """Bind, connect if there is a peer, say where, and carry datagrams both ways until cancelled or the input ends."""
    try:
        endpoint = network.open_udp(port)
    except OSError as error:
        raise socket_error(error) from None
    with endpoint:
        if peer is not None:
            await _connect(network, endpoint, peer)
        await exchange.send(UdpReceived(host=endpoint.local_address[0], port=endpoint.local_address[1]))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_receive_datagrams, endpoint, exchange)
            async for data in exchange.inputs:
                await _send_datagram(network, endpoint, _parse(data), exchange)
            nursery.cancel_scope.cancel()


async def _connect(network: NetnsNetwork, endpoint: UdpEndpoint, peer: Address) -> None:
    try:
        endpoint.connect(((await network.resolve(peer[0]))[0], peer[1]))
    except OSError as error:
        raise socket_error(error) from None


async def _receive_datagrams(endpoint: UdpEndpoint, exchange: Exchange[UdpReceived]) -> None:
    while True:
        try:
            datagram = await endpoint.receive()
        except OSError as error:  # a peer's, or the way's, by ICMP
            await exchange.send(UdpReceived(errno=error.errno or errno.EIO))
            continue
        host, port = datagram.source
        await exchange.send(UdpReceived(host=host, port=port, payload=datagram.payload))


async def _send_datagram(
    network: NetnsNetwork, endpoint: UdpEndpoint, outgoing: tuple[str, int, bytes], exchange: Exchange[UdpReceived]
) -> None:
    host, port, payload = outgoing
    try:
        await endpoint.send_to(payload, ((await network.resolve(host))[0], port))
    except OSError as error:
        await exchange.send(UdpReceived(host=host, port=port, errno=error.errno or errno.EHOSTUNREACH))


def _parse(data: bytes) -> tuple[str, int, bytes]:
    """Read one input. Raises ControlError (INVALID)."""
    try:
        host, port, payload = msgspec.msgpack.decode(data, type=tuple[str, int, bytes])
    except msgspec.MsgspecError:
        raise ControlError(ErrorCode.INVALID, "a datagram to send is [host, port, payload]") from None
    if not 0 < port <= 0xFFFF:
        raise ControlError(ErrorCode.INVALID, f"port {port}: must be between 1 and 65535")
    return host, port, payload


def socket_error(error: BaseException) -> ControlError:
    """Return what the client makes an OSError of again: `ENAME: text`."""
    if isinstance(error, ResolveError):
        return ControlError(ErrorCode.UNAVAILABLE, f"ENONAME: {error}")
    number = error.errno if isinstance(error, OSError) else None
    name = errno.errorcode.get(number or errno.EIO, "EIO")
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return ControlError(ErrorCode.UNAVAILABLE, f"{name}: {text}")
