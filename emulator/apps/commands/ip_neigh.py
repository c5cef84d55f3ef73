"""`ip neigh`: show the neighbour table, add, delete and flush entries."""

from __future__ import annotations

from emulator.apps.commands.ip_context import SHOW, Context, IpError, Json, Words, is_command, unknown_command
from emulator.kernel.link.link import Link
from emulator.kernel.neigh import Neighbour, NudState
from emulator.packet.address import format_ipv4, format_mac

_STATES = {state.name.lower(): state for state in NudState}
_HIDDEN = frozenset({NudState.NONE, NudState.NOARP})


def run(context: Context, arguments: list[str]) -> None:
    """Run the rest of an `ip neigh` line."""
    words = Words(arguments)
    command = words.next() if words else "show"
    if is_command(command, *SHOW):
        _show(context, words)
    elif is_command(command, "add", "replace", "change"):
        _add(context, words)
    elif is_command(command, "delete"):
        address, link = _place(context, words)
        if not context.netns.neighbours.remove(link, address):
            raise IpError("RTNETLINK answers: No such file or directory", 2)
    elif is_command(command, "flush"):
        _flush(context, words)
    else:
        raise unknown_command(command, "neigh")


def _select(context: Context, words: Words) -> tuple[list[Neighbour], Link | None]:
    """Read `[dev LINK] [nud STATE] [ADDRESS]`; return the entries meant, and the link if one was named."""
    entries = [] if context.has("inet6") else list(context.netns.neighbours)
    states: set[NudState] = set()
    link: Link | None = None
    while words:
        word = words.next()
        if word == "dev":
            link = context.link(words.next())
            entries = [entry for entry in entries if entry.link is link]
        elif word == "nud":
            name = words.next()
            states |= set(NudState) if name == "all" else {_state(name)}
        else:
            address = Words([words.next() if word == "to" else word]).address()
            entries = [entry for entry in entries if entry.address == address]
    return [entry for entry in entries if (entry.state in states if states else entry.state not in _HIDDEN)], link


def _show(context: Context, words: Words) -> None:
    entries, link = _select(context, words)
    if context.has("json"):
        context.write_json([_as_json(entry, link) for entry in entries])
        return
    for entry in entries:
        where = "" if link is not None else f" dev {entry.link.name}"
        mac = "" if entry.mac is None else f" lladdr {format_mac(entry.mac)}"
        used = _statistics(context, entry) if context.has("statistics") else ""
        context.write(f"{format_ipv4(entry.address)}{where}{mac}{used} {entry.state.name} \n")


def _statistics(context: Context, entry: Neighbour) -> str:
    """How long ago it was used, confirmed and updated, in seconds; the missing blank is iproute2's."""
    now = context.netns.kernel.now
    ages = "/".join(str(int(now - moment)) for moment in (entry.used, entry.confirmed, entry.updated))
    return f"  used {ages}probes {entry.probes}"


def _as_json(entry: Neighbour, link: Link | None) -> dict[str, Json]:
    row: dict[str, Json] = {"dst": format_ipv4(entry.address)}
    if link is None:
        row["dev"] = entry.link.name
    if entry.mac is not None:
        row["lladdr"] = format_mac(entry.mac)
    return {**row, "state": [entry.state.name]}


def _add(context: Context, words: Words) -> None:
    address = words.address()
    link: Link | None = None
    mac: int | None = None
    state = NudState.PERMANENT
    while words:
        word = words.next()
        if word == "dev":
            link = context.link(words.next())
        elif word == "lladdr":
            mac = words.mac()
        elif word == "nud":
            state = _state(words.next())
        else:
            raise IpError(f'Error: either "to" is duplicate, or "{word}" is a garbage.', 255)
    if link is None:
        raise IpError("Device and destination are required arguments.", 255)
    if mac is None:
        raise IpError("Error: No link layer address given.", 2)
    context.netns.neighbours.add(link, address, mac, state)


def _place(context: Context, words: Words) -> tuple[int, Link]:
    address: int | None = None
    link: Link | None = None
    while words:
        word = words.next()
        if word == "dev":
            link = context.link(words.next())
        elif address is None:
            address = Words([word]).address()
    if address is None or link is None:
        raise IpError("Device and destination are required arguments.", 255)
    return address, link


def _flush(context: Context, words: Words) -> None:
    if not words:
        raise IpError("Flush requires arguments.")
    arguments = [word for word in iter_words(words) if word != "all"]
    for entry in _select(context, Words(arguments))[0]:
        if entry.state is not NudState.PERMANENT:
            context.netns.neighbours.remove(entry.link, entry.address)


def iter_words(words: Words) -> list[str]:
    """Take all words that are left."""
    taken = []
    while words:
        taken.append(words.next())
    return taken


def _state(name: str) -> NudState:
    if name not in _STATES:
        raise IpError(f'Error: argument "{name}" is wrong: nud state is bad\n', 255)
    return _STATES[name]
