"""A link as `ip` and `bridge` print it: flags, state, and where its other end is."""

from __future__ import annotations

from emulator.kernel.link import Link
from emulator.kernel.netns import Netns

_QDISCS = {"nic": "fq_codel"}  # the others have no queue


def flags(link: Link) -> list[str]:
    """Return the flags in iproute2's order (print_link_flags)."""
    found = ["NO-CARRIER"] if link.up and not link.carrier else []
    if link.loopback:
        found.append("LOOPBACK")
    elif link.kind == "dummy":
        found += ["BROADCAST", "NOARP"]
    else:
        found += ["BROADCAST", "MULTICAST"]
    if link.up:
        found.append("UP")
        if link.carrier:
            found.append("LOWER_UP")
    return found


def state(link: Link) -> str:
    """Return the operational state (RFC 2863, net/core/link_watch.c)."""
    if not link.up:
        return "DOWN"
    if link.loopback or link.kind == "dummy":
        return "UNKNOWN"
    if link.carrier:
        return "UP"
    return "LOWERLAYERDOWN" if link.peer is not None and link.peer.netns is link.netns else "DOWN"


def queueing(link: Link) -> str:
    """Return the name of the queueing discipline."""
    return _QDISCS.get(link.kind, "noqueue") if link.up else "noop"


def title(link: Link) -> str:
    """Return the name, with the other end behind an at-sign: by index if it is in another namespace."""
    peer = link.peer
    if peer is None:
        return link.name
    return f"{link.name}@{peer.name}" if peer.netns is link.netns else f"{link.name}@if{peer.index}"


def is_root(netns: Netns) -> bool:
    """Whether it is the machine's own namespace, where the names of the others can be seen."""
    return next(iter(netns.kernel.namespaces.values())) is netns


def namespace_ids(netns: Netns) -> dict[Netns, int]:
    """Return the ids that a namespace has for others: given, as Linux does, as its links' other ends come up."""
    found: dict[Netns, int] = {}
    for link in sorted(netns.links.values(), key=lambda link: link.index):
        if link.peer is not None and link.peer.netns is not netns:
            found.setdefault(link.peer.netns, len(found))
    return found


def other_namespace(link: Link) -> tuple[str, int] | None:
    """Return (name, id) of the namespace that the other end is in; the name is empty where it cannot be seen."""
    peer = link.peer
    if peer is None or peer.netns is link.netns:
        return None
    return (peer.netns.name if is_root(link.netns) else ""), namespace_ids(link.netns)[peer.netns]
