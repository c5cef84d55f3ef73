"""`ip link`: show links with their counters; set them up or down, set their MTU or their bridge."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from emulator.apps.commands import ip_link_add
from emulator.apps.commands.ip_context import SHOW, Context, IpError, Json, Words, is_command, unknown_command
from emulator.kernel.link import text as link_text
from emulator.kernel.link.bridge import Bridge
from emulator.kernel.link.link import Link
from emulator.packet.address import format_mac

_COLUMNS = (10, 7, 6, 7, 7, 7)
_ERRORS = {
    "RX": (" length    crc   frame    fifo overrun", (8, 6, 7, 7, 7)),
    "TX": ("aborted   fifo  window heartbt transns", (8, 6, 7, 7, 7)),
}


class Filter(Struct):
    """Which links to show."""

    name: str = ""
    up: bool = False
    kind: str = ""
    master: str = ""

    def links(self, context: Context) -> list[Link]:
        """Return the links, by index. IpError for a name that there is not."""
        if self.name:
            return [context.shown_link(self.name)]
        master = context.master(self.master) if self.master else None
        links = [
            link
            for link in context.netns.links.values()
            if (link.up or not self.up) and self.kind in {"", link.kind} and (master is None or link.master is master)
        ]
        return sorted(links, key=lambda link: link.index)

    @classmethod
    def read(cls, words: Words) -> Filter:
        """Read what follows `show`."""
        found = cls()
        while words:
            word = words.next()
            if word == "up":
                found.up = True
            elif word == "type":
                found.kind = words.next()
            elif word == "master":
                found.master = words.next()
            else:
                found.name = words.next() if word == "dev" else word
        return found


def run(context: Context, arguments: list[str]) -> None:
    """Run the rest of an `ip link` line."""
    words = Words(arguments)
    command = words.next() if words else "show"
    if is_command(command, *SHOW):
        show(context, Filter.read(words))
    elif is_command(command, "set", "change"):
        _set(context, words)
    elif is_command(command, "add", "new"):
        ip_link_add.add(context, words)
    elif is_command(command, "delete"):
        ip_link_add.delete(context, words)
    else:
        raise unknown_command(command, "link")


def show(context: Context, wanted: Filter) -> None:
    """Print links."""
    links = wanted.links(context)
    if context.has("json"):
        context.write_json([as_json(context, link, mode=True) for link in links])
        return
    for link in links:
        if context.has("brief"):
            words = f"{format_mac(link.mac)} <{','.join(link_text.flags(link))}> "
            context.write(f"{brief_head(link)}{words}\n")
            continue
        lines = head(link, mode=True)
        if context.has("statistics"):
            lines += statistics(link, detailed=context.has("statistics-errors"))
        context.write(("\\" if context.has("oneline") else "\n").join(lines) + "\n")


def brief_head(link: Link) -> str:
    """Return the first two columns of `-br`."""
    return f"{link_text.title(link):<16s} {link_text.state(link):<14s} "


def head(link: Link, *, mode: bool = False, addresses_of: str = "") -> list[str]:
    """Return the lines about the link itself: one with `addresses_of` a family, as `ip -4 addr` has it, else two."""
    master = "" if link.master is None else f" master {link.master.name}"
    first = (
        f"{link.index}: {link_text.title(link)}: <{','.join(link_text.flags(link))}> mtu {link.mtu}"
        f" qdisc {link_text.queueing(link)}{master} state {link_text.state(link)}"
        f"{' mode DEFAULT' if mode else ''} group default qlen 1000"
    )
    other = link_text.other_namespace(link)
    where = "" if other is None else f" link-netns {other[0]}" if other[0] else f" link-netnsid {other[1]}"
    if addresses_of:
        return [first + where]
    kind, broadcast = link_text.hardware(link)
    return [first, f"    link/{kind} {format_mac(link.mac)} brd {broadcast}{where}"]


def statistics(link: Link, *, detailed: bool = False) -> list[str]:
    """Return the lines of `-s`, `detailed` those of `-s -s`."""
    counters = link.counters
    received = (counters.rx_bytes, counters.rx_packets, 0, counters.rx_dropped, 0, 0)
    sent = (counters.tx_bytes, counters.tx_packets, 0, counters.tx_dropped, 0, 0)
    widths = [max(width, *(len(str(row[i])) for row in (received, sent))) for i, width in enumerate(_COLUMNS)]
    lines = []
    for way, names, row in (
        ("RX", ("bytes", "packets", "errors", "dropped", "missed", "mcast"), received),
        ("TX", ("bytes", "packets", "errors", "dropped", "carrier", "collsns"), sent),
    ):
        cells = [f"{name:>{width}s}" for name, width in zip(names, widths, strict=True)]
        lines.append(f"    {way}: {cells[0][4:]} {' '.join(cells[1:])}{' ' * 11}")
        values = [f"{value:{width}d} " for value, width in zip(row, widths, strict=True)]
        lines.append("    " + "".join(values))
        if detailed:
            lines += errors(way, counters.carrier_changes)
    return lines


def errors(way: str, carrier_changes: int) -> list[str]:
    """Return the lines that `-s -s` has below RX or TX: no frame here is damaged, only carriers come and go."""
    names, widths = _ERRORS[way]
    values = [0, 0, 0, 0, carrier_changes if way == "TX" else 0]
    cells = [f"{value:>{width}d}" for value, width in zip(values, widths, strict=True)]
    return [f"    {way} errors: {names}", f"    {' ' * 10}{' '.join(cells)} "]


def as_json(context: Context, link: Link, *, mode: bool = False, hardware: bool = True) -> dict[str, Json]:
    """Return the row of `-j`."""
    row = link_text.link_row(link, mode=mode, with_hardware=hardware, details=context.has("details"))
    if context.has("statistics") and mode:
        row["stats64"] = _statistics_json(link, detailed=context.has("statistics-errors"))
    return row


def _statistics_json(link: Link, *, detailed: bool) -> dict[str, Json]:
    counters = link.counters
    received = {"bytes": counters.rx_bytes, "packets": counters.rx_packets, "errors": 0, "dropped": counters.rx_dropped}
    sent = {"bytes": counters.tx_bytes, "packets": counters.tx_packets, "errors": 0, "dropped": counters.tx_dropped}
    rx: dict[str, Json] = {**received, "over_errors": 0, "multicast": 0}
    tx: dict[str, Json] = {**sent, "carrier_errors": 0, "collisions": 0}
    if detailed:
        rx |= dict.fromkeys(("length_errors", "crc_errors", "frame_errors", "fifo_errors", "missed_errors"), 0)
        tx |= dict.fromkeys(("aborted_errors", "fifo_errors", "window_errors", "heartbeat_errors"), 0)
        tx["carrier_changes"] = counters.carrier_changes
    return {"rx": rx, "tx": tx}


def _set(context: Context, words: Words) -> None:
    """Run `ip link set [dev] NAME { up | down | mtu N | address MAC | master BRIDGE | nomaster | name NEW | … }...`."""
    if not words:
        raise IpError('Not enough information: "dev" argument is required.', 255)
    name = words.next()
    link = context.link(words.next() if name == "dev" else name)
    while words:
        word = words.next()
        change = _CHANGES.get(word)
        if change is None:
            raise IpError(f'Error: either "dev" is duplicate, or "{word}" is a garbage.', 255)
        change(context, link, words)


def _set_mtu(_context: Context, link: Link, words: Words) -> None:
    mtu = words.integer("mtu")
    if not 68 <= mtu <= 65535:
        raise IpError(
            f"Error: mtu {'less' if mtu < 68 else 'greater'} than device {'min' if mtu < 68 else 'max'}imum.", 2
        )
    link.set_mtu(mtu)


def _set_address(_context: Context, link: Link, words: Words) -> None:
    link.mac = words.mac()


def _set_master(context: Context, link: Link, words: Words) -> None:
    bridge = context.master(words.next())
    if not isinstance(bridge, Bridge):
        raise IpError("RTNETLINK answers: Operation not supported", 2)
    bridge.add_port(link)


def _set_nomaster(_context: Context, link: Link, _words: Words) -> None:
    if link.port is not None:
        link.port.bridge.remove_port(link)


_CHANGES: dict[str, Callable[[Context, Link, Words], None]] = {
    "up": lambda _context, link, _words: link.set_up(),
    "down": lambda _context, link, _words: link.set_up(False),
    "mtu": _set_mtu,
    "address": _set_address,
    "master": _set_master,
    "nomaster": _set_nomaster,
    "name": ip_link_add.rename,
    "netns": ip_link_add.move,
    "type": ip_link_add.set_bridge,
}
