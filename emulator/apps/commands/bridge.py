"""bridge of iproute2 6.1.0: the forwarding database and the ports of bridges."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from emulator.apps.commands import bridge_vlan
from emulator.apps.commands.ip_context import SHOW, Context, IpError, Json, Words, is_command
from emulator.apps.environment import Invocation
from emulator.kernel.link import text as link_text
from emulator.kernel.link.bridge import Bridge, BridgePort
from emulator.kernel.link.fdb import FdbEntry
from emulator.kernel.link.link import Link
from emulator.packet.address import format_mac, multicast_mac

USAGE = """Usage: bridge [ OPTIONS ] OBJECT { COMMAND | help }
       bridge [ -force ] -batch filename
where  OBJECT := { link | fdb | mdb | vlan | monitor }
       OPTIONS := { -V[ersion] | -s[tatistics] | -d[etails] |
                    -o[neline] | -t[imestamp] | -n[etns] name |
                    -c[ompressvlans] -color -p[retty] -j[son] }
"""
_OPTIONS = ("-Version", "-statistics", "-details", "-json", "-pretty", "-oneline")
_USAGE_STATUS = 255
_PRIORITY, _COST = 32, 2  # of a port: half of the highest priority; the cost of 10 Gbit/s (net/bridge/br_if.c)


async def main(invocation: Invocation) -> int:
    """Run `bridge`. Exit status 0, or 255 for what it cannot use."""
    words = list(invocation.argv[1:])
    options: set[str] = set()
    while words and words[0].startswith("-"):
        word = words.pop(0)
        option = next(
            (known for known in _OPTIONS if len(word) > 1 and known.startswith(word.replace("--", "-", 1))), None
        )
        if option is None:
            invocation.write_error(f'Option "{word}" is unknown, try "bridge help".\n')
            return _USAGE_STATUS
        options.add(option[1:])
    if "Version" in options:
        invocation.write("bridge utility, iproute2-6.1.0\n")
        return 0
    if not words or is_command(words[0], "help"):
        invocation.write_error(USAGE)
        return _USAGE_STATUS
    try:
        _run(Context(invocation, frozenset(options)), words[0], Words(words[1:]))
    except IpError as error:
        invocation.write_error(f"{error}\n")
        return _USAGE_STATUS
    return 0


def _run(context: Context, thing: str, words: Words) -> None:
    name = next((known for known in ("link", "fdb", "vlan") if known.startswith(thing)), None)
    if name is None:
        raise IpError(f'Object "{thing}" is unknown, try "bridge help".')
    if name == "vlan":
        bridge_vlan.run(context, words)
        return
    command = words.next() if words else "show"
    if not is_command(command, *SHOW):
        raise IpError(f'Command "{command}" is unknown, try "bridge {name} help".')
    (_show_fdb if name == "fdb" else _show_links)(context, words)


class _Row(Struct, frozen=True):
    """One line of `bridge fdb`. `own`: of the link itself (a group that it listens to), else of the bridge."""

    mac: str
    link: Link
    bridge: Bridge | None = None
    permanent: bool = True
    static: bool = False
    used: float = 0.0
    updated: float = 0.0

    @property
    def state(self) -> str:
        return "permanent" if self.permanent else "static" if self.static else ""


def _rows(context: Context) -> Iterator[_Row]:
    """List entries by link: a bridge's groups and addresses, a port's addresses and groups."""
    for link in sorted(context.netns.links.values(), key=lambda link: link.index):
        if link.loopback:
            continue
        groups = [_Row(format_mac(multicast_mac(group)), link) for group in sorted(link.multicast_groups) if link.up]
        if isinstance(link, Bridge):
            yield from groups
            yield from (_bridge_row(context, link, link, entry) for entry in link.fdb if entry.port is None)
            continue
        if link.port is not None:
            bridge = link.port.bridge
            own = [entry for entry in bridge.fdb if entry.port is link.port]
            own.sort(key=lambda entry: entry.local)
            yield from (_bridge_row(context, link, bridge, entry) for entry in own)
        yield from groups


def _bridge_row(context: Context, link: Link, bridge: Bridge, entry: FdbEntry) -> _Row:
    age = context.netns.kernel.now - entry.updated
    return _Row(format_mac(entry.address), link, bridge, entry.local, entry.static, age, age)


def _show_fdb(context: Context, words: Words) -> None:
    """Run `bridge fdb show [br BRIDGE] [brport LINK | dev LINK] [state STATE | dynamic]`."""
    rows = list(_rows(context))
    hide = False
    while words:
        word = words.next()
        if word == "br":
            bridge = context.netns.links.get(name := words.next())
            if bridge is None:
                raise IpError(f'Cannot find bridge device "{name}"')
            rows = [row for row in rows if row.bridge is bridge or row.link is bridge or row.link.master is bridge]
        elif word == "dynamic":
            rows = [row for row in rows if not row.state]
        elif word == "state":
            state = words.next()
            rows = [row for row in rows if state == "all" or row.state == state]
        else:
            name = words.next() if word in {"brport", "dev"} else word
            link = context.link(name)
            rows = [row for row in rows if row.link is link]
            hide = True
    if context.has("json"):
        context.write_json([_fdb_json(row, hide=hide) for row in rows])
        return
    for row in rows:
        where = "" if hide else f" dev {row.link.name}"
        used = f" used {int(row.used)}/{int(row.updated)}" if context.has("statistics") and row.bridge else ""
        whose = " self" if row.bridge is None else f" master {row.bridge.name}"
        context.write(f"{row.mac}{where}{used}{whose} {row.state}\n")


def _fdb_json(row: _Row, *, hide: bool) -> dict[str, Json]:
    found: dict[str, Json] = {"mac": row.mac}
    if not hide:
        found["ifname"] = row.link.name
    found["flags"] = ["self"] if row.bridge is None else []
    if row.bridge is not None:
        found["master"] = row.bridge.name
    return {**found, "state": row.state}


def _show_links(context: Context, words: Words) -> None:
    """Run `bridge link show [dev LINK]`."""
    name = ""
    while words:
        word = words.next()
        name = words.next() if word == "dev" else word
    wanted = context.link(name) if name else None
    links = sorted(context.netns.links.values(), key=lambda link: link.index)
    ports = [link.port for link in links if link.port is not None and wanted in (None, link)]
    if context.has("json"):
        context.write_json([_port_json(port) for port in ports])
        return
    for port in ports:
        link = port.link
        flags = ",".join(link_text.flags(link))
        line = f"{link.index}: {link_text.title(link)}: <{flags}> mtu {link.mtu} master {port.bridge.name}"
        context.write(f"{line} state {port.state} priority {_PRIORITY} cost {_COST} \n")
        if context.has("details"):
            context.write(f"    {_details(port)} \n")


def _details(port: BridgePort) -> str:
    switches = {
        "hairpin": port.hairpin,
        "guard": False,
        "root_block": False,
        "fastleave": False,
        "learning": port.learning,
        "flood": port.unicast_flood,
        "mcast_flood": True,
        "bcast_flood": True,
    }
    words = [f"{name} {'on' if on else 'off'}" for name, on in switches.items()]
    words += ["mcast_router 1", "mcast_to_unicast off", "neigh_suppress off", "vlan_tunnel off"]
    return " ".join([*words, f"isolated {'on' if port.isolated else 'off'}", "locked off"])


def _port_json(port: BridgePort) -> dict[str, Json]:
    link = port.link
    row: dict[str, Json] = {"ifindex": link.index}
    if link.peer is not None:
        away = link.peer.netns is not link.netns
        row.update({"link_index": link.peer.index} if away else {"link": link.peer.name})
    row |= {"ifname": link.name, "flags": link_text.flags(link), "mtu": link.mtu, "master": port.bridge.name}
    return {**row, "state": port.state, "priority": _PRIORITY, "cost": _COST}
