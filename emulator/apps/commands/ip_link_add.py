"""`ip link add` and `ip link delete`: veth pairs, bridges, VLANs and dummies (iproute2's ip/iplink*.c).

Source of what the kernel refuses: net/core/rtnetlink.c, drivers/net/veth.c, net/8021q/vlan_netlink.c.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct

from emulator.apps.commands.ip_context import Context, IpError, Words
from emulator.apps.commands.ip_words import wrong
from emulator.kernel.link import text as link_text
from emulator.kernel.link import veth
from emulator.kernel.link.bridge import Bridge
from emulator.kernel.link.dummy import Dummy
from emulator.kernel.link.link import Link
from emulator.kernel.link.vlan import TPID, Vlan
from emulator.kernel.netns import Netns

NAME_LIMIT = 16
"""IFNAMSIZ: bytes of a name with its final zero."""

_MTU = {"veth": (68, 65_535), "bridge": (68, 65_535), "dummy": (0, 4_294_967_295), "vlan": (0, 65_535)}
_NOT_SUPPORTED = "RTNETLINK answers: Operation not supported"
_INVALID = "RTNETLINK answers: Invalid argument"
_UNKNOWN_TYPE = "Error: Unknown device type."
_VLAN_USAGE = "Usage: ... vlan id VLANID [ protocol { 802.1Q | 802.1ad } ] [ reorder_hdr on ]"
_VETH_USAGE = "Usage: ip link <options> type veth [peer <options>]\nTo get <options> type 'ip link add help'\n"
_BRIDGE_NUMBERS = frozenset(
    {"forward_delay", "hello_time", "max_age", "priority", "group_fwd_mask", "mcast_snooping", "vlan_default_pvid"}
)
"""What a bridge takes and what has no effect without a spanning tree, multicast snooping or VLAN filtering."""


class _Wish(Struct):
    """The link that is to be made; `netns` is where."""

    netns: Netns
    name: str = ""
    mac: int | None = None
    mtu: int = 0
    index: int = 0
    up: bool = False
    parent: Link | None = None

    def complete(self, kind: str, taken: frozenset[str] = frozenset()) -> None:
        """Check what the kernel checks, and give a name that is free where none was given."""
        low, high = _MTU[kind]
        if self.mtu and not low <= self.mtu <= high:
            raise IpError(_INVALID, 2)
        if len(self.name.encode()) >= NAME_LIMIT:
            raise IpError("Error: Attribute failed policy validation.", 2)
        if self.name in (".", ".."):
            raise IpError(_INVALID, 2)
        if not self.name:
            names = (f"{kind}{number}" for number in range(len(self.netns.links) + 2))
            self.name = next(name for name in names if name not in self.netns.links and name not in taken)
        taken_index = self.index and any(link.index == self.index for link in self.netns.links.values())
        if self.name in self.netns.links or self.name in taken or taken_index:
            raise IpError("RTNETLINK answers: File exists", 2)

    def drawn_mac(self) -> int:
        """Return the address that was given, else a random one of one's own (eth_hw_addr_random)."""
        drawn = self.netns.kernel.random.getrandbits(48) & 0xFEFFFFFFFFFF | 0x020000000000
        return drawn if self.mac is None else self.mac

    def finish(self, link: Link) -> None:
        """Give the link what is the same for all kinds."""
        if self.index:
            link.index = self.index
        if self.mtu:
            link.set_mtu(self.mtu)
        if self.up:
            link.set_up()


def add(context: Context, words: Words) -> None:
    """Run `ip link add [link DEV] [name] NAME [mtu N] [address MAC] … type KIND ARGS`."""
    wish = _Wish(context.netns)
    kind = _read(context, words, wish)
    if not kind:
        raise IpError('Not enough information: "type" argument is required')
    maker = _KINDS.get(kind)
    if maker is None:
        raise IpError(_UNKNOWN_TYPE, 2)
    maker(context, words, wish)


def delete(context: Context, words: Words) -> None:
    """Run `ip link delete { NAME | dev NAME } [type KIND]`."""
    name = ""
    while words:
        word = words.next()
        if word == "type":
            words.next()
            break
        if name:
            raise _garbage(word)
        name = words.next() if word == "dev" else word
    if not name:
        raise IpError('Not enough information: "dev" argument is required.', 255)
    link = context.link(name)
    if link.loopback or link.kind == "nic":
        raise IpError(_NOT_SUPPORTED, 2)
    context.netns.remove_link(link)


def rename(context: Context, link: Link, words: Words) -> None:
    """Run `ip link set LINK name NAME`."""
    name = words.next()
    if not _is_name(name) or len(name.encode()) >= NAME_LIMIT:
        raise wrong(name, '"name" not a valid ifname')
    if name in (".", ".."):
        raise IpError(_INVALID, 2)
    context.netns.rename_link(link, name)


def move(context: Context, link: Link, words: Words) -> None:
    """Run `ip link set LINK netns NAME`."""
    netns = _netns(context, words.next())
    if netns is not link.netns:
        if link.netns_immutable:
            raise IpError(f"Error: The interface {'netns is immutable' if not link.loopback else 'is invalid'}.", 2)
        link.move(netns)


def _read(context: Context, words: Words, wish: _Wish, *, ends: tuple[str, ...] = ("type",)) -> str:
    """Read what is the same for all kinds; return the kind, empty where the line ends before it."""
    while words:
        word = words.next()
        if word in ends:
            return words.next()
        if word == "link":
            wish.parent = context.link(words.next())
        elif word == "address":
            wish.mac = words.mac()
        elif word == "mtu":
            wish.mtu = words.integer("mtu")
        elif word == "index":
            wish.index = words.integer("index")
        elif word == "netns":
            wish.netns = _netns(context, words.next())
        elif word in ("up", "down"):
            wish.up = word == "up"
        elif word in ("txqueuelen", "txqlen", "qlen", "numtxqueues", "numrxqueues"):
            words.integer(word)
        else:
            _read_name(word, words, wish)
    return ""


def _read_name(word: str, words: Words, wish: _Wish) -> None:
    named = word in ("name", "dev")
    if wish.name and not named:
        raise _garbage(word)
    name = words.next() if named else word
    if not _is_name(name):
        raise wrong(name, '"dev" not a valid ifname')
    wish.name = name


def _is_name(name: str) -> bool:
    """Whether iproute2 lets it pass (check_ifname, check_altifname): no slash and no space."""
    return bool(name) and not re.search(r"[/\s]", name)


def _garbage(word: str) -> IpError:
    return IpError(f'Error: either "dev" is duplicate, or "{word}" is a garbage.', 255)


def _netns(context: Context, name: str) -> Netns:
    """Find a namespace by name, which only the machine's own can; by number none is found."""
    found = context.netns.kernel.namespaces.get(name) if link_text.is_root(context.netns) else None
    if found is None or link_text.is_root(found):
        raise wrong(name, 'Invalid "netns" value\n')
    return found


def _add_veth(context: Context, words: Words, wish: _Wish) -> None:
    other = _Wish(wish.netns)
    if words:
        word = words.next()
        if word != "peer":
            context.write(_VETH_USAGE)
            raise IpError("")
        _read(context, words, other, ends=())
    if other.up:
        raise IpError("RTNETLINK answers: Transport endpoint is not connected", 2)  # its peer is not there yet
    # The kernel makes the peer first, so that it has the lower number and the first free name.
    reserved = frozenset({wish.name} if wish.name and wish.netns is other.netns else ())
    other.complete("veth", reserved)
    wish.complete("veth", frozenset({other.name} if wish.netns is other.netns else ()))
    b, a = veth.pair(other.netns, other.name, wish.netns, wish.name, other.drawn_mac(), wish.drawn_mac())
    other.finish(b)
    wish.finish(a)


def _add_bridge(_context: Context, words: Words, wish: _Wish) -> None:
    settings = _bridge_settings(words)
    wish.complete("bridge")
    bridge = Bridge(wish.netns, wish.name, wish.mac)
    _apply_bridge(bridge, settings)
    wish.finish(bridge)


def set_bridge(_context: Context, link: Link, words: Words) -> None:
    """Run `ip link set LINK type bridge ARGS`."""
    kind = words.next()
    if kind != "bridge" or not isinstance(link, Bridge):
        raise IpError(_NOT_SUPPORTED, 2)
    _apply_bridge(link, _bridge_settings(words))


def _bridge_settings(words: Words) -> dict[str, int]:
    settings: dict[str, int] = {}
    while words:
        word = words.next()
        if word not in {"ageing_time", "nf_call_iptables", "stp_state", "vlan_filtering", *_BRIDGE_NUMBERS}:
            raise IpError(f'bridge: unknown command "{word}"?')
        settings[word] = words.integer(word)
    if settings.get("stp_state") or settings.get("vlan_filtering"):
        raise IpError(_NOT_SUPPORTED, 2)  # as of a kernel that is built without them
    return settings


def _apply_bridge(bridge: Bridge, settings: dict[str, int]) -> None:
    if "ageing_time" in settings:
        bridge.fdb.ageing_time = settings["ageing_time"] / 100
    if "nf_call_iptables" in settings:
        bridge.call_iptables = settings["nf_call_iptables"] != 0


def _add_dummy(_context: Context, words: Words, wish: _Wish) -> None:
    if words:
        raise _garbage(words.next())
    wish.complete("dummy")
    wish.finish(Dummy(wish.netns, wish.name, wish.drawn_mac()))


def _add_vlan(_context: Context, words: Words, wish: _Wish) -> None:
    number, tpid = -1, TPID
    while words:
        word = words.next()
        if word == "id":
            given = words.next()
            with suppress(ValueError):
                number = int(given, 0)
            if not 0 <= number <= 0xFFFF:
                raise wrong(given, "id is invalid\n")
        elif word in ("protocol", "proto"):
            given = words.next()
            if given.lower() not in ("802.1q", "802.1ad"):
                raise wrong(given, "protocol is invalid\n")
            tpid = TPID if given.lower() == "802.1q" else 0x88A8
        elif word == "reorder_hdr":
            if words.next() != "on":
                raise IpError(_NOT_SUPPORTED, 2)
        else:
            raise IpError(f'vlan: unknown command "{word}"?\n{_VLAN_USAGE}')
    _make_vlan(wish, number, tpid)


def _make_vlan(wish: _Wish, number: int, tpid: int) -> None:
    if number < 0:
        raise IpError("Error: 8021q: VLAN id not specified.", 2)
    if number >= 0xFFF:
        raise IpError("Error: 8021q: Invalid VLAN id.", 2)
    if wish.parent is None:
        raise IpError("Error: 8021q: link not specified.", 2)
    wish.complete("vlan")
    if tpid << 16 | number in wish.parent.vlans:
        raise IpError("Error: 8021q: VLAN device already exists.", 2)
    if wish.mtu > wish.parent.mtu:
        raise IpError("RTNETLINK answers: Numerical result out of range", 2)
    wish.finish(Vlan(wish.netns, wish.name, wish.parent, number, mac=wish.mac, tpid=tpid))


_KINDS: dict[str, Callable[[Context, Words, _Wish], None]] = {
    "veth": _add_veth,
    "bridge": _add_bridge,
    "dummy": _add_dummy,
    "vlan": _add_vlan,
}
