"""What kube-proxy writes on a node, as texts for the node's own tools, and the node with all of that in force."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from msgspec import Struct

from emulator.bundle.save import saved_files
from emulator.kube.proxy.apply import apply_writes
from emulator.kube.proxy.modes import make_proxier
from emulator.kube.proxy.proxier import Writes
from emulator.kube.proxy.tracker import ServiceTracker
from emulator.reachability.cluster import ClusterModel
from emulator.reachability.node import make_node
from emulator.reachability.objects import ClusterObjects

PARTS = ("iptables", "ipset", "ipvsadm", "nft")
"""The texts, by the tool that reads them."""

_LOADERS = {
    "ipset": "ipset -exist restore",
    "ipvsadm": "ipvsadm -R",
    "iptables": "iptables-restore --noflush",
    "nft": "nft -f -",
}


class Rendering(Struct, frozen=True):
    """What kube-proxy's first sync writes on one node in one mode."""

    mode: str
    node: str
    writes: Writes

    def part(self, name: str) -> str:
        """Return one of the texts (see PARTS), as its tool reads it; empty if this mode has none."""
        text = getattr(self.writes, name)
        assert isinstance(text, str)
        return text

    def to_text(self) -> str:
        """Return all of it. Where it is one text, as it is in two modes of three, the tool loads it as it stands."""
        texts = {name: self.part(name) for name in _LOADERS if self.part(name)}
        head = list(self._comments())
        if len(texts) <= 1:
            return "".join(f"{line}\n" for line in head) + "".join(texts.values())
        sections = [
            f"# {_LOADERS[name]}\n{text if text.endswith(chr(10)) else text + chr(10)}" for name, text in texts.items()
        ]
        return "".join(f"{line}\n" for line in head) + "".join(sections)

    def _comments(self) -> Iterator[str]:
        """Yield what is done with other tools than these, as comments, which they all pass over."""
        writes = self.writes
        for name, value in writes.sysctls:
            yield f"# sysctl -w {name}={value}"
        if writes.dummy:
            yield f"# ip link add {writes.dummy} type dummy"
        for address in writes.add_addresses:
            yield f"# ip address add {address}/32 dev {writes.dummy}"

    def to_json(self) -> dict[str, Any]:
        """Return all of it for programs."""
        writes = self.writes
        return {
            "mode": self.mode,
            "node": self.node,
            "sysctls": {name: str(value) for name, value in writes.sysctls},
            "dummy": writes.dummy or None,
            "addresses": list(writes.add_addresses),
            **{name: self.part(name) for name in PARTS},
        }


def render(mode: str, cluster: ClusterModel, node: str, objects: ClusterObjects) -> Rendering:
    """Return what kube-proxy writes on a node. Raises UnknownNodeError and UnknownModeError."""
    proxier = make_proxier(mode, cluster.node(node).proxy_node(), cluster.settings)
    writes = proxier.sync(ServiceTracker(objects.services, objects.slices), 0.0)
    return Rendering(mode, node, writes)


def bundle_files(rendering: Rendering, cluster: ClusterModel) -> dict[str, str]:
    """Return the node with this in force, as files of a bundle that `emulator replay` takes."""
    node = cluster.node(rendering.node)
    netns = make_node(node, cluster.others(node.name), Random(0))
    apply_writes(netns, rendering.writes)
    return saved_files(netns)
