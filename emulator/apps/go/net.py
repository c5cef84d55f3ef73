"""Addresses and errors as Go's package net has them."""

from __future__ import annotations

import trio

from emulator.apps.environment import Network, ResolveError, TcpStream
from emulator.apps.services import service_port

HostPort = tuple[str, int]


async def resolve(network: Network, host: str, port: str, kind: str) -> HostPort:
    """Look an address up as net.ResolveTCPAddr or ResolveUDPAddr does. ResolveError, or ValueError for the port."""
    number = service_port(port, kind) if port else 0
    if number is None:
        words = f"address {port}: invalid port" if port.isdigit() else f"lookup {kind}/{port}: unknown port"
        raise ValueError(words)
    try:
        return (await network.resolve(host))[0], number
    except ResolveError as error:
        server = f" on {network.nameservers[0]}:53" if network.nameservers else ""
        raise ResolveError(f"lookup {host}{server}: {_reason(error)}", temporary=error.temporary) from None


def _reason(error: ResolveError) -> str:
    return "server misbehaving" if error.temporary else "no such host"


def split_host_port(text: str) -> tuple[str, str]:
    """Split "host:port" as net.SplitHostPort does. ValueError in its words."""
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError(f"address {text}: missing port in address")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError(f"address {text}: too many colons in address")
    return host.strip("[]"), port


def error_text(error: OSError) -> str:
    """Write an errno as Go does: in small letters ("connection refused")."""
    words = error.strerror or str(error)
    return words[:1].lower() + words[1:]


def broken_text(stream: TcpStream, error: trio.BrokenResourceError) -> str:
    """Write what ended a connection: "read tcp A->B: read: connection reset by peer"."""
    local, remote = (f"{host}:{port}" for host, port in (stream.local_address, stream.remote_address))
    cause = error.__cause__
    words = error_text(cause) if isinstance(cause, OSError) else "connection reset by peer"
    return f"read tcp {local}->{remote}: read: {words}"
