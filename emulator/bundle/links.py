"""Makes the links of a bundle: bridges with their ports, veth pairs, VLANs; all others are edges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from emulator.bundle.edge import EdgeLink, Emit
from emulator.bundle.link_spec import LinkSpec
from emulator.kernel.link.bridge import Bridge
from emulator.kernel.link.veth import pair
from emulator.kernel.link.vlan import Vlan
from emulator.kernel.routing.route import RouteError

if TYPE_CHECKING:
    from emulator.bundle.problem import Problems
    from emulator.kernel.link.link import Link
    from emulator.kernel.netns import Netns

_GATHERING = frozenset({"bond", "team"})  # masters that get all that their slaves receive
_UNKNOWN_MASTERS = {"vrf": "VRF", "openvswitch": "Open vSwitch bridge"}


def build_links(netns: Netns, specs: Mapping[str, LinkSpec], emit: Emit, problems: Problems) -> None:
    """Add the links to a namespace that has nothing but its loopback: with masters, flags and addresses."""
    builder = _Builder(netns, specs, emit)
    for spec in specs.values():
        link = builder.link(spec)
        link.arp = spec.arp and spec.ethernet and not link.loopback
        if spec.index:
            link.index = spec.index
    for spec in specs.values():
        _join(netns, spec, problems)
    for spec in specs.values():
        _address(netns.links[spec.name], spec)
    for spec in specs.values():
        netns.links[spec.name].set_up(spec.up)


class _Builder:
    """Makes each link once, after those that it is bound to."""

    def __init__(self, netns: Netns, specs: Mapping[str, LinkSpec], emit: Emit) -> None:
        self._netns = netns
        self._specs = specs
        self._emit = emit

    def link(self, spec: LinkSpec) -> Link:
        """Return a link, made if it is not there yet."""
        netns = self._netns
        if spec.name in netns.links:
            return netns.links[spec.name]
        other = self._specs.get(spec.other)
        if spec.kind == "bridge":
            bridge = Bridge(netns, spec.name, spec.mac)
            bridge.set_mtu(spec.mtu)
            bridge.fdb.ageing_time = spec.ageing_time
            bridge.call_iptables = spec.call_iptables
            return bridge
        if spec.kind == "vlan" and other is not None:
            vlan = Vlan(netns, spec.name, self.link(other), spec.vlan, mac=spec.mac, tpid=spec.tpid)
            vlan.mtu = spec.mtu
            return vlan
        if spec.kind == "veth" and other is not None and other.kind == "veth" and other.name not in netns.links:
            near, far = pair(netns, spec.name, netns, other.name, spec.mac, other.mac)
            near.mtu, far.mtu = spec.mtu, other.mtu
            return near
        edge = EdgeLink(netns, spec.name, spec.mac, spec.mtu, self._emit)
        edge.kind = spec.kind or edge.kind
        edge.ethernet = spec.ethernet
        edge.has_carrier = spec.carrier
        return edge


def _join(netns: Netns, spec: LinkSpec, problems: Problems) -> None:
    """Put a link under its master."""
    master = netns.links.get(spec.master)
    if master is None:
        return
    link = netns.links[spec.name]
    if isinstance(master, Bridge):
        try:
            port = master.add_port(link)
        except RouteError as error:
            spec.item.wrong("master", str(error))
            return
        port.hairpin, port.isolated = spec.port.hairpin, spec.port.isolated
        port.learning, port.unicast_flood = spec.port.learning, spec.port.flood
        if spec.port.state not in ("forwarding", "disabled"):
            problems.note(f"{spec.name}: its port state {spec.port.state} is not emulated; it is taken as forwarding")
    elif master.kind in _GATHERING and isinstance(link, EdgeLink):
        link.upper = master
    elif master.kind in _UNKNOWN_MASTERS:
        what = _UNKNOWN_MASTERS[master.kind]
        problems.note(f"{spec.name}: its master {spec.master} is a {what}, which is not emulated; it has no effect")


def _address(link: Link, spec: LinkSpec) -> None:
    netns = link.netns
    for own in list(link.addresses):  # the loopback has one already
        netns.remove_address(link, own.address, own.prefix_length)
    for each in spec.addresses:
        try:
            netns.add_address(
                link, each.address, each.prefix_length, scope=each.scope, peer=each.peer, broadcast=each.broadcast
            )
        except RouteError as error:
            spec.item.wrong("addr_info", str(error))
