"""nc of OpenBSD (Debian's netcat-openbsd 1.219): connect or listen, TCP or UDP, standard input to the socket."""

from __future__ import annotations

import errno
import math
from collections.abc import Awaitable, Callable

import trio
from msgspec import Struct

from emulator.apps.environment import Address, Invocation, ResolveError, TcpStream, UdpEndpoint
from emulator.apps.options import Options, UsageError, number, parse
from emulator.apps.services import service_name, service_port
from emulator.packet.digits import is_natural

USAGE = """usage: nc [-46CDdFhklNnrStUuvZz] [-I length] [-i interval] [-M ttl]
\t  [-m minttl] [-O length] [-P proxy_username] [-p source_port]
\t  [-q seconds] [-s sourceaddr] [-T keyword] [-V rtable] [-W recvlimit]
\t  [-w timeout] [-X proxy_protocol] [-x proxy_address[:port]]
\t  [destination] [port]
"""
_SHORT = "4dhklNnp:q:s:tT:uvW:w:z"  # -t answers TELNET's questions, which nobody asks here
_UDP_PROBES = 4
_UDP_PROBE_WAIT = 1.0  # seconds in all for an ICMP error to come back, in as many steps as probes


class _Settings(Struct, frozen=True):
    udp: bool
    verbose: bool
    scan: bool
    keep: bool
    shut_down: bool  # -N: say EOF to the peer when standard input ends
    no_input: bool
    idle: float  # seconds
    linger: float  # seconds after the end of standard input
    source: Address | None  # where to come from: -s and -p
    own_address: str  # that -l listens at
    limit: float  # how often to receive before it ends

    @property
    def protocol(self) -> str:
        return "udp" if self.udp else "tcp"


async def main(invocation: Invocation) -> int:
    """Run `nc`. Exit status 0, or 1 where nothing could be connected."""
    try:
        options = parse(invocation.argv[1:], _SHORT)
        if "h" in options:
            raise UsageError("")
        settings = _read(options)
        if "l" in options:
            return await _listen(invocation, settings, _listening_port(options, settings.protocol))
        if len(options.operands) != 2:
            raise UsageError("")
        host, ports = options.operands[0], _ports(options.operands[1], settings.protocol)
        return await _connect_all(invocation, settings, host, ports)
    except UsageError as error:
        invocation.write_error(f"nc: {error}\n" if str(error) else USAGE)
        return 1


def _read(options: Options) -> _Settings:
    return _Settings(
        udp="u" in options,
        verbose="v" in options,
        scan="z" in options,
        keep="k" in options,
        shut_down="N" in options,
        no_input="d" in options,
        idle=_seconds(options, "w", "timeout"),
        linger=_seconds(options, "q", "quit timer"),
        source=_source(options),
        own_address=options.get("s", "0.0.0.0"),
        limit=_seconds(options, "W", "receive limit"),
    )


def _seconds(options: Options, name: str, meaning: str) -> float:
    if name not in options:
        return math.inf
    try:
        return number(options.get(name))
    except ValueError:
        raise UsageError(f"{meaning} too small: {options.get(name)}") from None


def _source(options: Options) -> Address | None:
    if "l" in options or not ("s" in options or "p" in options):
        return None
    protocol = "udp" if "u" in options else "tcp"
    port = _ports(options.get("p"), protocol)[0] if "p" in options else 0
    return options.get("s", "0.0.0.0"), port


def _listening_port(options: Options, protocol: str) -> int:
    text = options.get("p") or (options.operands[-1] if options.operands else "")
    if not text:
        raise UsageError("")
    return _ports(text, protocol)[0]


def _ports(text: str, protocol: str) -> list[int]:
    """Read "80", "http" or "80-90"."""
    first, dash, last = text.partition("-")
    if dash and is_natural(first) and is_natural(last):
        low, high = sorted((int(first), int(last)))
        if not 1 <= low <= high <= 0xFFFF:
            raise UsageError(f"port number invalid: {text}")
        return list(range(low, high + 1))
    port = service_port(text, protocol)
    if port is None:
        raise UsageError(f"port number invalid: {text}")
    return [port]


async def _connect_all(invocation: Invocation, settings: _Settings, host: str, ports: list[int]) -> int:
    try:
        address = (await invocation.network.resolve(host))[0]
    except ResolveError as error:
        invocation.write_error(f'nc: getaddrinfo for host "{host}" port {ports[0]}: {error.reason}\n')
        return 1
    status = 1
    for port in ports:
        connect = _connect_udp if settings.udp else _connect_tcp
        if await connect(invocation, settings, (host, address), port):
            status = 0
    return status


async def _connect_tcp(invocation: Invocation, settings: _Settings, host: tuple[str, str], port: int) -> bool:
    place = f"connect to {host[0]} port {port} (tcp)"
    try:
        with trio.fail_after(settings.idle):
            stream = await invocation.network.open_tcp_stream(host[1], port, source=settings.source)
    except trio.TooSlowError:
        return _complain(invocation, settings, f"{place} timed out: Operation now in progress")
    except OSError as error:
        if settings.source is not None and error.errno in {errno.EADDRNOTAVAIL, errno.EADDRINUSE}:
            raise UsageError(f"bind failed: {error.strerror}") from None
        return _complain(invocation, settings, f"{place} failed: {error.strerror}")
    async with stream:
        _announce(invocation, settings, host[0], port)
        if not settings.scan:
            await _talk_tcp(invocation, settings, stream)
    return True


async def _connect_udp(invocation: Invocation, settings: _Settings, host: tuple[str, str], port: int) -> bool:
    address, local_port = settings.source or ("0.0.0.0", 0)
    try:
        endpoint = invocation.network.open_udp(local_port, address=address)
    except OSError as error:
        raise UsageError(f"bind failed: {error.strerror}") from None
    try:
        endpoint.connect((host[1], port))
        if settings.scan or settings.verbose:
            if not await _probe_udp(endpoint):
                return False
            _announce(invocation, settings, host[0], port)
        if not settings.scan:
            await _talk_udp(invocation, settings, endpoint)
    except OSError as error:
        return _complain(invocation, settings, f"connect to {host[0]} port {port} (udp) failed: {error.strerror}")
    finally:
        endpoint.close()
    return True


async def _probe_udp(endpoint: UdpEndpoint) -> bool:
    """Send some datagrams; whoever says "port unreachable" has no such port."""
    for _ in range(_UDP_PROBES):
        try:
            await endpoint.send_to(b"X")
        except OSError:
            return False
        await trio.sleep(_UDP_PROBE_WAIT / _UDP_PROBES)
    return not any(error.errno == errno.ECONNREFUSED for error in endpoint.socket.errors)


def _announce(invocation: Invocation, settings: _Settings, host: str, port: int) -> None:
    if settings.verbose:
        name = service_name(port, settings.protocol) or "*"
        invocation.write_error(f"Connection to {host} {port} port [{settings.protocol}/{name}] succeeded!\n")


def _complain(invocation: Invocation, settings: _Settings, message: str) -> bool:
    if settings.verbose:
        invocation.write_error(f"nc: {message}\n")
    return False


async def _listen(invocation: Invocation, settings: _Settings, port: int) -> int:
    try:
        if settings.udp:
            await _listen_udp(invocation, settings, port)
        else:
            await _listen_tcp(invocation, settings, port)
    except OSError as error:
        invocation.write_error(f"nc: {error.strerror}\n")
        return 1
    return 0


async def _listen_tcp(invocation: Invocation, settings: _Settings, port: int) -> None:
    address = settings.own_address
    listener = await invocation.network.open_tcp_listener(port, address=address)
    try:
        while True:
            if settings.verbose:
                invocation.write_error(f"Listening on {address} {port}\n")
            async with await listener.accept() as stream:
                if settings.verbose:
                    host, number_ = stream.remote_address
                    invocation.write_error(f"Connection received on {host} {number_}\n")
                await _talk_tcp(invocation, settings, stream)
            if not settings.keep:
                return
    finally:
        with trio.CancelScope(shield=True):
            await listener.aclose()


async def _listen_udp(invocation: Invocation, settings: _Settings, port: int) -> None:
    endpoint = invocation.network.open_udp(port, address=settings.own_address)
    try:
        if settings.verbose:
            invocation.write_error(f"Bound on {settings.own_address} {port}\n")
        first = await endpoint.receive()
        endpoint.connect(first.source)
        if settings.verbose:
            invocation.write_error(f"Connection received on {first.source[0]} {first.source[1]}\n")
        await invocation.copy(first.payload)
        await _talk_udp(invocation, settings, endpoint)
    finally:
        endpoint.close()


async def _talk_tcp(invocation: Invocation, settings: _Settings, stream: TcpStream) -> None:
    await _talk(
        invocation, settings, stream.send_all, stream.receive_some, stream.send_eof if settings.shut_down else None
    )


async def _talk_udp(invocation: Invocation, settings: _Settings, endpoint: UdpEndpoint) -> None:
    async def receive() -> bytes:
        try:
            return (await endpoint.receive()).payload
        except OSError:  # the port is closed: as the end of a stream
            return b""

    await _talk(invocation, settings, endpoint.send_to, receive, None)


async def _talk(
    invocation: Invocation,
    settings: _Settings,
    send: Callable[[bytes], Awaitable[None]],
    receive: Callable[[], Awaitable[bytes]],
    send_eof: Callable[[], Awaitable[None]] | None,
) -> None:
    """Copy both ways until the other side ends, or nothing moved for the idle time."""
    with trio.CancelScope() as scope:

        def moved() -> None:
            scope.deadline = trio.current_time() + settings.idle

        async def copy_input() -> None:
            while not settings.no_input and (data := await invocation.stdin.read()):
                moved()
                try:
                    await send(data)
                except (OSError, trio.BrokenResourceError):  # the receiving side tells how it ended
                    return
            if send_eof is not None:
                await send_eof()
            if settings.linger < math.inf:
                await trio.sleep(settings.linger)
                scope.cancel()

        moved()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(copy_input)
            try:
                count = 0
                while count < settings.limit and (data := await receive()):
                    count += 1
                    moved()
                    await invocation.copy(data)
            except trio.BrokenResourceError:  # reset: nc ends as at the end of the stream
                pass
            nursery.cancel_scope.cancel()
