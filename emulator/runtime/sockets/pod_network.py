"""Which network `trio.socket` means: in a program of a pod its namespace's, everywhere else the machine's own.

Trio lets a run replace its sockets and its resolver as a whole. The ones installed here look a context variable up,
which a task hands on to those that it starts, and which is set in the tasks of a pod's program alone.
"""

from __future__ import annotations

import errno
import socket as stdlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import trio

from emulator.apps.environment import ResolveError
from emulator.kernel.socket.error import os_error
from emulator.runtime.sockets.pod_datagram_socket import PodDatagramSocket
from emulator.runtime.sockets.pod_stream_socket import PodStreamSocket

if TYPE_CHECKING:
    from emulator.runtime.sockets.network import NetnsNetwork
    from emulator.runtime.sockets.pod_socket import PodSocket

current: ContextVar[NetnsNetwork | None] = ContextVar("podwire_network", default=None)
"""The network of the pod whose program the running task belongs to."""

_KINDS = ((stdlib.SOCK_STREAM, stdlib.IPPROTO_TCP), (stdlib.SOCK_DGRAM, stdlib.IPPROTO_UDP))
_FLAGS = stdlib.SOCK_NONBLOCK | stdlib.SOCK_CLOEXEC  # bits beside a socket's type


@contextmanager
def inside(network: NetnsNetwork) -> Iterator[None]:
    """Have `trio.socket` mean this network in the block, and in the tasks that it starts."""
    install()
    token = current.set(network)
    try:
        yield
    finally:
        current.reset(token)


def install() -> None:
    """Replace the sockets and the resolver of this trio run, once; tasks outside pods get what they got before."""
    factory = trio.socket.set_custom_socket_factory(None)
    trio.socket.set_custom_socket_factory(factory if isinstance(factory, SocketFactory) else SocketFactory(factory))
    resolver = trio.socket.set_custom_hostname_resolver(None)
    trio.socket.set_custom_hostname_resolver(
        resolver if isinstance(resolver, HostnameResolver) else HostnameResolver(resolver)
    )


def open_socket(network: NetnsNetwork, kind: int, protocol: int = 0) -> PodSocket:
    """Open a socket of a namespace. EPROTONOSUPPORT, ESOCKTNOSUPPORT for what is neither TCP nor UDP."""
    kind &= ~_FLAGS
    if kind == stdlib.SOCK_STREAM and protocol in (0, stdlib.IPPROTO_TCP):
        return PodStreamSocket(network, protocol)
    if kind == stdlib.SOCK_DGRAM and protocol in (0, stdlib.IPPROTO_UDP):
        return PodDatagramSocket(network, protocol)
    raise os_error(errno.EPROTONOSUPPORT if kind in (stdlib.SOCK_STREAM, stdlib.SOCK_DGRAM) else errno.ESOCKTNOSUPPORT)


class SocketFactory(trio.abc.SocketFactory):
    """What `trio.socket.socket` asks. `outside` was there before, for tasks outside pods."""

    def __init__(self, outside: trio.abc.SocketFactory | None) -> None:
        self._outside = outside

    def socket(
        self,
        family: stdlib.AddressFamily | int = stdlib.AF_INET,
        type: stdlib.SocketKind | int = stdlib.SOCK_STREAM,  # noqa: A002
        proto: int = 0,
    ) -> trio.socket.SocketType:
        """Open a socket. In a pod EAFNOSUPPORT for all but IPv4, and Unix sockets, which no network is behind."""
        network = current.get()
        if network is None and self._outside is not None:
            return self._outside.socket(family, type, proto)
        if network is None or family == stdlib.AF_UNIX:
            return trio.socket.from_stdlib_socket(stdlib.socket(family, type, proto))
        if family != stdlib.AF_INET:
            raise os_error(errno.EAFNOSUPPORT)
        return open_socket(network, type, proto)


class HostnameResolver(trio.abc.HostnameResolver):
    """What `trio.socket.getaddrinfo` asks about names that are no addresses. `outside` was there before."""

    def __init__(self, outside: trio.abc.HostnameResolver | None) -> None:
        self._outside = outside

    async def getaddrinfo(
        self,
        host: bytes | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,  # noqa: A002  trio's name
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        """Look a name up. socket.gaierror where it is unknown (EAI_NONAME) or no server answered (EAI_AGAIN)."""
        network = current.get()
        if network is not None:
            return await _addresses_of(network, host, port, family, type, proto, flags)
        if self._outside is not None:
            return await self._outside.getaddrinfo(host, port, family, type, proto, flags)
        return await trio.to_thread.run_sync(
            stdlib.getaddrinfo, host, port, family, type, proto, flags, abandon_on_cancel=True
        )

    async def getnameinfo(self, sockaddr: Any, flags: int) -> tuple[str, str]:
        """Look an address up: in a pod in its hosts file; the address itself where it is not there."""
        network = current.get()
        if network is None and self._outside is not None:
            return await self._outside.getnameinfo(sockaddr, flags)
        if network is None:
            return await trio.to_thread.run_sync(stdlib.getnameinfo, sockaddr, flags, abandon_on_cancel=True)
        await trio.lowlevel.checkpoint()
        address, service = stdlib.getnameinfo(sockaddr, flags | stdlib.NI_NUMERICHOST)
        known = next((name for name, host in network.hosts.items() if host == address), None)
        if known is not None and not flags & stdlib.NI_NUMERICHOST:
            return known, service
        if flags & stdlib.NI_NAMEREQD:
            raise _unknown(stdlib.EAI_NONAME)
        return address, service


async def _addresses_of(
    network: NetnsNetwork,
    host: bytes | None,
    port: bytes | str | int | None,
    family: int,
    kind: int,
    protocol: int,
    flags: int,
) -> list[tuple[stdlib.AddressFamily, stdlib.SocketKind, int, str, tuple[str, int]]]:
    """getaddrinfo(3) by the pod's resolver, in the order of the answer (one address family: nothing to sort)."""
    if family not in (stdlib.AF_UNSPEC, stdlib.AF_INET):
        raise _unknown(stdlib.EAI_ADDRFAMILY)
    kinds = [(k, p) for k, p in _KINDS if kind in (0, k) and protocol in (0, p)]
    if not kinds:
        raise _unknown(stdlib.EAI_SOCKTYPE)
    if flags & stdlib.AI_NUMERICHOST:
        raise _unknown(stdlib.EAI_NONAME)  # trio has tried it as an address
    name = "localhost" if host is None else host.decode("ascii")
    try:
        addresses = await network.resolve(name)
    except ResolveError as error:
        raise _unknown(stdlib.EAI_AGAIN if error.temporary else stdlib.EAI_NONAME) from error
    canonical = name if flags & stdlib.AI_CANONNAME else ""
    return [
        (stdlib.AF_INET, k, p, canonical, (address, _port_number(port, p))) for address in addresses for k, p in kinds
    ]


def _port_number(port: bytes | str | int | None, protocol: int) -> int:
    """Read a port: a number, or a name of /etc/services."""
    if port is None or isinstance(port, int):
        return port or 0
    text = port.decode("ascii") if isinstance(port, bytes) else port
    if text.isdecimal():
        return int(text)
    try:
        return stdlib.getservbyname(text, "tcp" if protocol == stdlib.IPPROTO_TCP else "udp")
    except OSError:
        raise _unknown(stdlib.EAI_SERVICE) from None


_MESSAGES = {
    stdlib.EAI_ADDRFAMILY: "Address family for hostname not supported",
    stdlib.EAI_AGAIN: "Temporary failure in name resolution",
    stdlib.EAI_NONAME: "Name or service not known",
    stdlib.EAI_SERVICE: "Servname not supported for ai_socktype",
    stdlib.EAI_SOCKTYPE: "ai_socktype not supported",
}


def _unknown(code: int) -> stdlib.gaierror:
    return stdlib.gaierror(code, _MESSAGES[code])
