"""A link as `ip` and `bridge` print it: flags, state, where its other end is, and its row of `ip -j`.

Source: iproute2's ip/ipaddress.c (print_linkinfo, print_addrinfo), ip/iplink_bridge.c, ip/iplink_bridge_slave.c.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emulator.kernel.link.address_list import Address
from emulator.kernel.link.bridge import Bridge
from emulator.kernel.link.link import Link
from emulator.kernel.link.vlan import Vlan
from emulator.kernel.netns import Netns
from emulator.packet.address import format_ipv4, format_mac

Json = str | int | bool | None | Sequence["Json"] | Mapping[str, "Json"]
FOREVER = 4_294_967_295
"""The lifetime of an address that stays."""

_SOFTWARE = frozenset({"bridge", "dummy", "veth", "vlan"})  # kinds that `linkinfo` names: hardware has none
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
    below = lower(link)
    if below is not None and below.netns is link.netns and not below.up:
        found.append("M-DOWN")
    return found


def lower(link: Link) -> Link | None:
    """Return what iproute2 shows behind the at-sign: a veth's other end, a VLAN's parent."""
    return link.parent if isinstance(link, Vlan) else link.peer


def state(link: Link) -> str:
    """Return the operational state (RFC 2863, net/core/link_watch.c)."""
    if not link.up:
        return "DOWN"
    if link.loopback or link.kind == "dummy":
        return "UNKNOWN"
    if link.carrier:
        return "UP"
    below = lower(link)
    return "LOWERLAYERDOWN" if below is not None and below.netns is link.netns else "DOWN"


def queueing(link: Link) -> str:
    """Return the name of the queueing discipline."""
    return _QDISCS.get(link.kind, "noqueue") if link.queueing else "noop"


def title(link: Link) -> str:
    """Return the name, with the other end behind an at-sign: by index if it is in another namespace."""
    peer = lower(link)
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


def hardware(link: Link) -> tuple[str, str]:
    """Return the type of hardware and its broadcast address."""
    return ("loopback", "00:00:00:00:00:00") if link.loopback else ("ether", "ff:ff:ff:ff:ff:ff")


def link_row(link: Link, *, mode: bool = False, with_hardware: bool = True, details: bool = False) -> dict[str, Json]:
    """Return the row of `ip -j link`; of `-d` what exists here: promiscuity, the kind and what a bridge knows."""
    row: dict[str, Json] = {"ifindex": link.index}
    other = other_namespace(link)
    below = lower(link)
    if below is not None:
        row.update({"link": below.name} if other is None else {"link_index": below.index})
    row |= {"ifname": link.name, "flags": flags(link), "mtu": link.mtu, "qdisc": queueing(link)}
    if link.master is not None:
        row["master"] = link.master.name
    row["operstate"] = state(link)
    if mode:
        row["linkmode"] = "DEFAULT"
    row |= {"group": "default", "txqlen": 1000}
    if with_hardware:
        kind, broadcast = hardware(link)
        row |= {"link_type": kind, "address": format_mac(link.mac), "broadcast": broadcast}
    if other is not None:
        row["link_netnsid"] = other[1]
    if details:
        row |= {"promiscuity": int(link.port is not None), "allmulti": int(link.port is not None)}
        information = link_information(link)
        if information:
            row["linkinfo"] = information
    return row


def link_information(link: Link) -> dict[str, Json]:
    """Return the `linkinfo` of `-d`: the kind of a link and of its membership."""
    information: dict[str, Json] = {"info_kind": link.kind} if link.kind in _SOFTWARE else {}
    if isinstance(link, Vlan):
        information["info_data"] = {"protocol": link.protocol, "id": link.vlan, "flags": ["REORDER_HDR"]}
    if isinstance(link, Bridge):
        information["info_data"] = {
            "ageing_time": round(link.fdb.ageing_time * 100),
            "stp_state": 0,
            "vlan_filtering": 0,
            "nf_call_iptables": int(link.call_iptables),
        }
    if link.port is not None:
        port = link.port
        information["info_slave_kind"] = "bridge"
        information["info_slave_data"] = {
            "state": port.state,
            "hairpin": port.hairpin,
            "learning": port.learning,
            "flood": port.unicast_flood,
            "isolated": port.isolated,
        }
    return information


def address_row(link: Link, own: Address) -> dict[str, Json]:
    """Return an entry of `addr_info` of `ip -j addr`."""
    row: dict[str, Json] = {"family": "inet", "local": format_ipv4(own.address)}
    if own.peer != own.address:
        row["address"] = format_ipv4(own.peer)
    row["prefixlen"] = own.prefix_length
    if own.broadcast:
        row["broadcast"] = format_ipv4(own.broadcast)
    row["scope"] = str(own.scope)
    if own.secondary:
        row["secondary"] = True
    return {**row, "label": link.name, "valid_life_time": FOREVER, "preferred_life_time": FOREVER}
