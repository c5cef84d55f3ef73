"""Which requests a target means."""

from __future__ import annotations

from emulator.api.messages.load import LoadTarget
from emulator.apps.load.client import Client
from emulator.apps.load.generator import Request

PROTOCOLS = ("http", "https", "tcp", "udp", "dns", "ping")


def requests_to(client: Client, target: LoadTarget) -> Request:
    """Return how one client asks one target."""
    from emulator.apps.load import http, plain

    match target.protocol:
        case "http" | "https":
            return http.HttpRequests(client, target)
        case "tcp":
            return plain.TcpRequests(client, target)
        case "udp":
            return plain.UdpRequests(client, target)
        case "dns":
            return plain.DnsRequests(client, target)
        case "ping":
            return plain.PingRequests(client, target)
    raise ValueError(f"no such protocol: {target.protocol}")
