"""Whom a machine has on the underlay: the nodes by their Node objects, what is outside them by its Lease."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

import trio

from emulator.api.messages import MAC_ANNOTATION, UNDERLAY_ANNOTATION, Object
from emulator.api.objects.node import Node
from emulator.errors import WireError
from emulator.kube import cloud_lease
from emulator.packet.address import mac_to_int
from emulator.runtime.machine.object_cache import ObjectCache
from emulator.runtime.state_directory import CLOUD
from emulator.runtime.underlay.underlay import Peer, parse_udp_address


async def on_change(cache: ObjectCache, kind: str, act: Callable[[], None]) -> None:
    """Call `act` once for all changes of one loop turn."""
    changed = trio.Event()

    def note() -> None:
        changed.set()

    cache.subscribe((kind,), note)
    await cache.wait_synced((kind,))
    while True:
        changed = trio.Event()
        act()
        await changed.wait()


def node_peers(nodes: Iterable[Node], log: logging.Logger) -> list[Peer]:
    """The nodes that have registered; what they, or whoever wrote the Node object, say is checked here."""
    peers = (_peer(node.metadata.name, node.metadata.annotations, log) for node in nodes)
    return [peer for peer in peers if peer is not None]


def cloud_peers(leases: Iterable[Object], log: logging.Logger) -> list[Peer]:
    """What is outside the nodes, once it has registered."""
    found = []
    for lease in leases:
        if cloud_lease.is_cloud_lease(lease):
            peer = _peer(CLOUD, lease["metadata"].get("annotations") or {}, log)
            found += [] if peer is None else [peer]
    return found


def _peer(name: str, annotations: Mapping[str, str], log: logging.Logger) -> Peer | None:
    if UNDERLAY_ANNOTATION not in annotations or MAC_ANNOTATION not in annotations:
        return None
    try:
        address = parse_udp_address(annotations[UNDERLAY_ANNOTATION])
        first, *more = map(mac_to_int, annotations[MAC_ANNOTATION].split(","))
    except (ValueError, WireError) as error:
        log.error("the annotations of a machine are unusable", extra={"machine": name, "error": str(error)})
        return None
    return Peer(name, address, first, tuple(more))
