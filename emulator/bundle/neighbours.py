"""neigh.json and fdb.json: the MACs of next hops, and at which ports of bridges MACs are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emulator.bundle.item import Item
from emulator.kernel.link.bridge import Bridge
from emulator.kernel.neigh import NudState
from emulator.packet.address import format_ipv4, is_valid_station_mac, mac_to_bytes

if TYPE_CHECKING:
    from emulator.bundle.problem import Problems
    from emulator.kernel.link.link import Link
    from emulator.kernel.netns import Netns

NEIGHBOURS, FDB = "neigh.json", "fdb.json"
STAND_IN = 0x0200_0000_0000
"""A locally administered MAC, for whom none is known; the IPv4 address follows its first two bytes."""


def load_neighbours(netns: Netns, values: list[Any], problems: Problems) -> None:
    """Add the neighbours whose MAC is known; they stay known until ARP says otherwise."""
    for item in Item.each(values, f"{NEIGHBOURS}: ", problems):
        destination, name = item.required("dst"), item.required("dev")
        if ":" in destination or not destination or not item.has("lladdr"):
            continue  # IPv6, or ARP has had no answer
        link = netns.links.get(name)
        if link is None:
            item.wrong("dev", f"no link {name} is in links.json")
            continue
        if not link.arp:
            continue
        state = NudState.PERMANENT if "PERMANENT" in item.words("state") else NudState.REACHABLE
        netns.neighbours.add(link, item.address("dst"), item.mac("lladdr"), state)


def load_fdb(netns: Netns, values: list[Any], problems: Problems) -> None:
    """Add what the bridges know; entries of other kinds of links (`self`) are passed over."""
    for item in Item.each(values, f"{FDB}: ", problems):
        if not item.has("master") or "self" in item.words("flags"):
            continue
        bridge, name = netns.links.get(item.text("master")), item.required("ifname")
        link = netns.links.get(name)
        if link is None or not isinstance(bridge, Bridge):
            missing = "ifname" if link is None else "master"
            item.wrong(missing, f"no {'link' if link is None else 'bridge'} {item.text(missing)} is in links.json")
            continue
        mac = item.mac("mac")
        if not is_valid_station_mac(mac) or (link is not bridge and link.port is None):
            continue
        state = item.text("state")
        if link.port is None:
            bridge.fdb.add(mac_to_bytes(mac), None, local=True)
        elif state:
            bridge.fdb.add(mac_to_bytes(mac), link.port, local=state == "permanent")
        else:
            bridge.fdb.learn(mac_to_bytes(mac), link.port)


class StandIns:
    """Makes up a MAC for each neighbour that nobody knows: 02:00 and its address. `note` says so of a frame sent."""

    def __init__(self) -> None:
        self._made: dict[bytes, tuple[str, int]] = {}

    def assume(self, link: Link, address: int) -> int:
        """Return a MAC for an address on a link."""
        mac = STAND_IN | address
        self._made[mac_to_bytes(mac)] = (link.name, address)
        return mac

    def note(self, frame: bytes) -> str:
        """Return what to say of a frame that goes to such a MAC, else nothing."""
        found = self._made.get(frame[:6])
        if found is None:
            return ""
        return f"the MAC of {format_ipv4(found[1])} on {found[0]} is not known; {frame[:6].hex(':')} stands in for it"
