"""`ip address`: show the addresses of links, add and delete them."""

from __future__ import annotations

from emulator.apps.commands.ip_context import SHOW, Context, IpError, Json, Words, is_command, unknown_command
from emulator.apps.commands.ip_link import Filter, as_json, brief_head, head, statistics
from emulator.kernel.link.address_list import Address
from emulator.kernel.link.link import Link
from emulator.kernel.link.text import address_row
from emulator.kernel.routing.route import Scope
from emulator.packet.address import MASKS, format_ipv4

_LIFETIME = "       valid_lft forever preferred_lft forever"
_SCOPES = {"global": Scope.UNIVERSE, "link": Scope.LINK, "host": Scope.HOST}


def run(context: Context, arguments: list[str]) -> None:
    """Run the rest of an `ip address` line."""
    words = Words(arguments)
    command = words.next() if words else "show"
    if is_command(command, *SHOW):
        _show(context, Filter.read(words))
    elif is_command(command, "add"):
        _change(context, words, add=True)
    elif is_command(command, "delete"):
        _change(context, words, add=False)
    else:
        raise unknown_command(command, "address")


def _show(context: Context, wanted: Filter) -> None:
    links = wanted.links(context)
    if context.has("inet6"):
        links = []
    elif context.has("inet"):
        links = [link for link in links if link.addresses]
    if context.has("json"):
        context.write_json([_as_json(context, link) for link in links])
        return
    for link in links:
        context.write(_as_text(context, link))


def _as_text(context: Context, link: Link) -> str:
    if context.has("brief"):
        return brief_head(link) + "".join(f"{_interface(own)} " for own in link.addresses) + "\n"
    if context.has("oneline"):
        return "".join(f"{link.index}: {link.name}    {_line(link, own)}\\{_LIFETIME}\n" for own in link.addresses)
    lines = head(link, addresses_of="inet" if context.has("inet") else "")
    for own in link.addresses:
        lines += [f"    {_line(link, own)}", _LIFETIME]
    if context.has("statistics"):
        lines += statistics(link, detailed=context.has("statistics-errors"))
    return "\n".join(lines) + "\n"


def _interface(own: Address) -> str:
    if own.peer != own.address:
        return f"{format_ipv4(own.address)} peer {format_ipv4(own.peer)}/{own.prefix_length}"
    return f"{format_ipv4(own.address)}/{own.prefix_length}"


def _line(link: Link, own: Address) -> str:
    broadcast = f" brd {format_ipv4(own.broadcast)}" if own.broadcast else ""
    secondary = " secondary" if own.secondary else ""
    return f"inet {_interface(own)}{broadcast} scope {own.scope}{secondary} {link.name}"


def _as_json(context: Context, link: Link) -> dict[str, Json]:
    row = as_json(context, link, hardware=not context.has("inet"))
    row["addr_info"] = [address_row(link, own) for own in link.addresses]
    return row


def _change(context: Context, words: Words, *, add: bool) -> None:
    """Run `ip addr add|del ADDRESS/LENGTH [brd +|ADDRESS] [scope SCOPE] dev LINK`."""
    address, length = words.prefix()
    link: Link | None = None
    broadcast, scope = 0, Scope.UNIVERSE
    while words:
        word = words.next()
        if word == "dev":
            link = context.link(words.next())
        elif is_command(word, "broadcast") or word == "brd":
            text = words.next()
            broadcast = address | MASKS[length] ^ 0xFFFFFFFF if text == "+" else Words([text]).address()
        elif word == "scope":
            scope = _scope(words.next())
        elif word != "local":
            raise IpError(f'Error: either "local" is duplicate, or "{word}" is a garbage.', 255)
    if link is None:
        raise IpError('Not enough information: "dev" argument is required.')
    if add:
        context.netns.add_address(link, address, length, scope=scope, broadcast=broadcast)
    else:
        context.netns.remove_address(link, address, length)


def _scope(text: str) -> Scope:
    if text not in _SCOPES:
        raise IpError(f'Error: argument "{text}" is wrong: invalid scope value.\n', 255)
    return _SCOPES[text]
