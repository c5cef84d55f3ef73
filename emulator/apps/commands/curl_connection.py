"""curl's way to a server: the name, the addresses in turn, TLS; and a connection that is kept for the next one."""

from __future__ import annotations

import errno

import trio

from emulator.apps.commands.curl_options import CurlOptions
from emulator.apps.commands.curl_output import Report
from emulator.apps.commands.curl_tls import secure
from emulator.apps.commands.curl_url import CurlError, Url
from emulator.apps.commands.curl_verbose import Verbose
from emulator.apps.environment import Address, Invocation, ResolveError, TcpStream
from emulator.apps.http_client import HttpConnection
from emulator.errors import WireError
from emulator.kernel.socket.error import os_error
from emulator.packet.address import format_ipv4, ipv4_to_int

RESOLVE_FAILED, CONNECT_FAILED, TIMED_OUT, INTERFACE_FAILED, SEND_FAILED = 6, 7, 28, 45, 55
CONNECT_TIMEOUT = 300.0  # seconds
_AT_ONCE = frozenset({errno.ENETUNREACH, errno.EACCES, errno.EINVAL})  # what connect(2) itself says


class Connector:
    """Opens connections; one that is left intact serves the next transfer of the same scheme, host and port."""

    def __init__(self, invocation: Invocation, options: CurlOptions, verbose: Verbose) -> None:
        self._invocation = invocation
        self._options = options
        self._verbose = verbose
        self._connection: HttpConnection | None = None
        self._place = ("", "", 0)
        self.number = -1  # of the connection, as verbose lines have it
        self.phase = "resolve"
        self.began = 0.0
        for (host, port), address in options.resolve.items():
            verbose.note(f"Added {host}:{port}:{address} to DNS cache")

    @property
    def elapsed(self) -> float:
        """Seconds since the transfer began."""
        return trio.current_time() - self.began

    @property
    def milliseconds(self) -> int:
        """The same in whole milliseconds, as messages have it."""
        return int(self.elapsed * 1000)

    async def close(self) -> None:
        """Close the connection that is open, if one is."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.stream.aclose()

    async def hang_up(self, reason: str) -> None:
        """Close, and say why."""
        if reason:
            self._verbose.note(reason)
        self._verbose.note(f"Closing connection {max(self.number, 0)}")
        with trio.CancelScope(shield=True):
            await self.close()

    async def connect(self, url: Url, report: Report) -> HttpConnection:
        """Return a connection to a URL's server. CurlError for every failure."""
        place = (url.scheme, url.host, url.port)
        connection = self._connection
        if connection is not None and connection.reusable and place == self._place:
            self._verbose.note("Found bundle for host: 0x55d0c0de0000 [serially]")
            if url.scheme == "http":
                self._verbose.note("Can not multiplex, even if we wanted to")
            self._verbose.note(f"Re-using existing connection #{self.number} with host {url.host}")
            report.local, report.remote = connection.stream.local_address, connection.stream.remote_address
            return connection
        await self.close()
        self.number += 1
        self._place = place
        self.phase = "resolve"
        host, port = self._replaced(url)
        addresses = await self._resolve(url, host, port)
        report.times["namelookup"] = self.elapsed
        source = await self._source()
        self.phase = "connect"
        stream = await self._connect_any(url, addresses, port, source)
        report.times["connect"] = self.elapsed
        report.connects += 1
        report.local, report.remote = stream.local_address, stream.remote_address
        self._verbose.note(f"Connected to {url.host} ({stream.remote_address[0]}) port {port} (#{self.number})")
        if url.scheme == "https":
            stream = await self._secure(stream, url)
            report.times["appconnect"] = self.elapsed
        self.phase = "transfer"
        self._connection = HttpConnection(stream)
        return self._connection

    async def _secure(self, stream: TcpStream, url: Url) -> TcpStream:
        limit = self._options.number("connect-timeout") or CONNECT_TIMEOUT
        try:
            with trio.fail_after(max(0.0, limit - self.elapsed)):
                return await secure(stream, url, self._options, self._verbose)
        except trio.TooSlowError:
            error = CurlError(TIMED_OUT, "SSL connection timeout")
        except CurlError as found:
            error = found
        with trio.CancelScope(shield=True):
            await stream.aclose()
        await self.hang_up(str(error))
        raise error

    def _replaced(self, url: Url) -> tuple[str, int]:
        """Return where to go for a URL: `--connect-to` names other hosts and ports."""
        for host, port, new_host, new_port in self._options.connect_to:
            if host in {"", url.host} and port in {"", str(url.port)}:
                if new_host:
                    self._verbose.note(f"Connecting to hostname: {new_host}")
                if new_port:
                    self._verbose.note(f"Connecting to port: {new_port}")
                return new_host or url.host, int(new_port or url.port)
        return url.host, url.port

    async def _resolve(self, url: Url, host: str, port: int) -> list[str]:
        known = self._options.resolve.get((host.lower(), port))
        if known is not None:
            self._verbose.note(f"Hostname {host} was found in DNS cache")
            return [known]
        if host.startswith("["):
            message = f"Failed to connect to {host[1:-1]} port {port} after 0 ms: Couldn't connect to server"
            await self.hang_up(message)
            raise CurlError(CONNECT_FAILED, message)  # no namespace has IPv6
        try:
            return await self._invocation.network.resolve(host)
        except ResolveError:
            message = f"Could not resolve host: {url.host}"
            await self.hang_up(message)
            raise CurlError(RESOLVE_FAILED, message) from None

    async def _source(self) -> Address | None:
        """Return the address and port to come from, by `--interface` and `--local-port`; None without them."""
        named, ports = self._options.values.get("interface", ""), self._options.values.get("local-port", "")
        if not named and not ports:
            return None
        port = int(ports.partition("-")[0]) if ports else 0
        if not named:
            return "0.0.0.0", port
        link = self._invocation.network.netns.links.get(named)
        if link is not None and link.addresses:
            return format_ipv4(link.addresses.first.address), port
        try:
            return format_ipv4(ipv4_to_int(named)), port
        except WireError:
            message = f"Couldn't bind to '{named}'"
            await self.hang_up(message)
            raise CurlError(INTERFACE_FAILED, message) from None

    async def _connect_any(self, url: Url, addresses: list[str], port: int, source: Address | None) -> TcpStream:
        """Try the addresses in turn."""
        code, reason = CONNECT_FAILED, "Couldn't connect to server"
        limit = self._options.number("connect-timeout") or CONNECT_TIMEOUT
        try:
            with trio.fail_after(limit - self.elapsed):
                for address in addresses:
                    self._verbose.note(f"  Trying {address}:{port}...")
                    try:
                        return await self._open(address, port, source)
                    except OSError as error:
                        code = TIMED_OUT if error.errno == errno.ETIMEDOUT else CONNECT_FAILED
                        self._note_failure(address, port, error)
        except trio.TooSlowError:
            code, reason = TIMED_OUT, "Timeout was reached"
        message = f"Failed to connect to {url.host} port {port} after {self.milliseconds} ms: {reason}"
        await self.hang_up(message)
        raise CurlError(code, message)

    async def _open(self, address: str, port: int, source: Address | None) -> TcpStream:
        """Connect, from the first port of `--local-port`'s range that is free."""
        network = self._invocation.network
        if source is None:
            return await network.open_tcp_stream(address, port)
        last = int(self._options.values.get("local-port", "").partition("-")[2] or source[1])
        failed = os_error(errno.EADDRINUSE)
        for number in range(source[1], last + 1):
            try:
                return await network.open_tcp_stream(address, port, source=(source[0], number))
            except OSError as error:
                failed = error
                if error.errno == errno.EADDRNOTAVAIL:
                    break
                if error.errno != errno.EADDRINUSE:
                    raise
        message = f"bind failed with errno {failed.errno}: {failed.strerror}"
        await self.hang_up(message)
        raise CurlError(INTERFACE_FAILED, message)

    def _note_failure(self, address: str, port: int, error: OSError) -> None:
        if error.errno in _AT_ONCE:
            self._verbose.note(f"Immediate connect fail for {address}: {error.strerror}")
        else:
            self._verbose.note(f"connect to {address} port {port} failed: {error.strerror}")
