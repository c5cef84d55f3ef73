"""links.json, `ip -j -d addr`: what it says of each link, read and checked; `links.py` makes links of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from msgspec import Struct, field

from emulator.bundle.item import Item
from emulator.bundle.problem import Problems
from emulator.kernel.link.address_list import Address
from emulator.kernel.routing.route import Scope
from emulator.packet.digits import is_natural

FILE = "links.json"
_NAME = re.compile(r"[^\s/:\0\ud800-\udfff]{1,15}")  # dev_valid_name
_ETHERNET = frozenset({"ether", "loopback"})
_DEEPEST = 8  # MAX_NEST_DEV
_VLAN_TYPES = {"802.1Q": 0x8100, "802.1ad": 0x88A8}
_SCOPES = {"global": Scope.UNIVERSE, "site": Scope.SITE, "link": Scope.LINK, "host": Scope.HOST}


class BridgePortSpec(Struct):
    """What a bridge's port is set to (`info_slave_data`)."""

    state: str = "forwarding"
    hairpin: bool = False
    isolated: bool = False
    learning: bool = True
    flood: bool = True


class LinkSpec(Struct):
    """One link. `other` is the name of the link that it is bound to here: a veth's peer, a VLAN's parent."""

    item: Item
    name: str
    index: int = 0
    kind: str = ""
    mac: int = 0
    mtu: int = 1500
    up: bool = True
    carrier: bool = True
    arp: bool = True
    ethernet: bool = True
    other: str = ""
    master: str = ""
    slave_kind: str = ""
    vlan: int = 0
    tpid: int = 0x8100
    ageing_time: float = 300.0
    call_iptables: bool = False
    vlan_filtering: bool = False
    port: BridgePortSpec = field(default_factory=BridgePortSpec)
    addresses: list[Address] = field(default_factory=list)


def read_links(values: list[Any], problems: Problems) -> dict[str, LinkSpec]:
    """Return the links by name, in the file's order."""
    specs: dict[str, LinkSpec] = {}
    for item in Item.each(values, f"{FILE}: ", problems):
        name = item.required("ifname")
        if not name:
            continue
        if name in specs:
            item.wrong("ifname", f"{name} comes twice")
        elif _NAME.fullmatch(name) is None or name in (".", ".."):
            item.wrong("ifname", f"{name!r} is no name of a link: 1 to 15 characters, none of them /, : or blank")
        else:
            specs[name] = _read(item, name)
    _check_references(specs.values(), specs)
    return specs


def _read(item: Item, name: str) -> LinkSpec:
    link_type = item.text("link_type", "ether")
    flags = item.words("flags") if item.has("flags") else ["UP", "LOWER_UP"]
    info = item.child("linkinfo")
    spec = LinkSpec(
        item,
        name,
        item.number("ifindex"),
        "loopback" if link_type == "loopback" else info.text("info_kind"),
        mtu=item.number("mtu", 1500, low=68),
        up="UP" in flags,
        carrier="LOWER_UP" in flags or not {"NO-CARRIER", "UP"} & set(flags),
        arp="NOARP" not in flags,
        ethernet=link_type in _ETHERNET,
        other="" if item.has("link_netnsid") else item.text("link"),
        master=item.text("master"),
        slave_kind=info.text("info_slave_kind"),
    )
    if link_type == "ether":
        if not item.has("address"):
            item.wrong("address", "missing; an Ethernet link has a MAC")
        spec.mac = item.mac("address")
    _read_kind(spec, info)
    spec.addresses = [address for each in item.children("addr_info") if (address := _address(each)) is not None]
    return spec


def _read_kind(spec: LinkSpec, info: Item) -> None:
    data, slave = info.child("info_data"), info.child("info_slave_data")
    if spec.kind == "vlan":
        spec.vlan = data.number("id", high=4095)
        protocol = data.text("protocol", "802.1Q")
        if protocol not in _VLAN_TYPES:
            data.wrong("protocol", f"{protocol!r} is not one of {', '.join(_VLAN_TYPES)}")
        spec.tpid = _VLAN_TYPES.get(protocol, 0x8100)
    elif spec.kind == "bridge":
        spec.ageing_time = data.number("ageing_time", 30_000) / 100
        spec.call_iptables = data.flag("nf_call_iptables")
        spec.vlan_filtering = data.flag("vlan_filtering")
    if spec.slave_kind == "bridge":
        spec.port = BridgePortSpec(
            slave.text("state", "forwarding"),
            slave.flag("hairpin"),
            slave.flag("isolated"),
            slave.flag("learning", default=True),
            slave.flag("flood", default=True),
        )


def _address(item: Item) -> Address | None:
    """Read an IPv4 address; others are passed over."""
    if item.text("family", "inet") != "inet":
        return None
    local = item.address("local") if item.has("local") else 0
    if not local:
        if not item.has("local"):
            item.wrong("local", "missing")
        return None
    scope = item.text("scope", "global")
    if scope not in _SCOPES and not (is_natural(scope) and int(scope) in set(Scope)):
        item.wrong("scope", f"{scope!r} is not one of {', '.join(_SCOPES)}")
        return None
    return Address(
        local,
        item.number("prefixlen", 32, high=32),
        _SCOPES[scope] if scope in _SCOPES else Scope(int(scope)),
        item.address("address") or local,
        item.address("broadcast"),
    )


def _check_references(found: Iterable[LinkSpec], specs: dict[str, LinkSpec]) -> None:
    """Check that masters are there, and that no link is above itself: a master above its slaves, a VLAN its parent."""
    below: dict[str, list[str]] = {name: [] for name in specs}
    for spec in found:
        if spec.master and spec.master not in specs:
            spec.item.wrong("master", f"no link {spec.master} is in the file")
        elif spec.master:
            below[spec.master].append(spec.name)
        if spec.kind == "vlan" and spec.other in specs:
            below[spec.name].append(spec.other)
    for spec in found:
        wrong = _nesting(spec.name, below)
        if wrong:
            spec.item.wrong("link" if spec.kind == "vlan" else "master", f"{spec.name} is {wrong}")
            spec.master = spec.other = ""


def _nesting(name: str, below: dict[str, list[str]]) -> str:
    """Return what is wrong with the links below a link, if anything."""
    level = {name}
    for _ in range(_DEEPEST):
        level = {lower for upper in level for lower in below[upper]}
        if name in level:
            return "above itself, by way of its slaves and parents"
    return f"above more than {_DEEPEST} others, one on another" if level else ""
