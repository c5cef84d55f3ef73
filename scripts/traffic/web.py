"""HTTP and UDP from every pod of the namespace default at a rate: to the Service `web`, and to the cluster's DNS.

emulator traffic run scripts/traffic/web.py --set duration=30 --set rate=100
"""

from __future__ import annotations

import itertools

import emulator
from emulator.errors import PodwireError, WireError
from emulator.packet.dns import NOERROR, Message
from emulator.packet.dns_record import Question
from emulator.runtime.cluster.traffic import FailedError, Load, Report, http_get, udp_exchange

NAME = "web.default.svc.cluster.local."


async def main(
    cluster: emulator.Cluster, *, duration: float = 10.0, rate: float = 60.0, url: str = "http://web/"
) -> Report:
    """Send `rate` requests a second for `duration` seconds, half of them HTTP, spread over the pods."""
    pods = [pod["metadata"]["name"] for pod in await cluster.objects("Pod", "default")]
    if not pods:
        raise PodwireError("the namespace default has no pods; start with: emulator start configs/3node.toml")
    dns = await cluster.get("Service", "kube-dns", "kube-system")
    each = rate / 2 / len(pods)
    load = Load(duration)
    for name in pods:
        place = await cluster.pod(name).located()
        load.add(f"{name} http", http_get(place, url), each)
        load.add(f"{name} dns", udp_exchange(place, dns["spec"]["clusterIP"], 53, Queries(), answered), each)
    return await load.run()


class Queries:
    """Queries for one name, each with an identifier of its own."""

    def __init__(self) -> None:
        self._identifiers = itertools.count(1)

    def __call__(self) -> bytes:
        return Message(next(self._identifiers) & 0xFFFF, (Question(NAME),), recursion_desired=True).build()


def answered(payload: bytes) -> str:
    """Check an answer. It does not tell which of the servers gave it."""
    try:
        message = Message.parse(payload)
    except WireError:
        raise FailedError("DNS: malformed answer") from None
    if message.rcode != NOERROR or not message.answers:
        raise FailedError(f"DNS: answer code {message.rcode}, {len(message.answers)} records")
    return ""
