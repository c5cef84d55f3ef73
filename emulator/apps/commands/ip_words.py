"""Words that several objects of `ip` read: names from /etc/iproute2, numbers, protocols."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from emulator.apps.commands.ip_context import IpError, Words
from emulator.errors import WireError
from emulator.kernel.link.link import Link
from emulator.kernel.netns import Netns
from emulator.kernel.routing.route import TABLE_DEFAULT, TABLE_LOCAL, TABLE_MAIN, RouteError, Scope
from emulator.kernel.routing.route_text import DSCP_NAMES
from emulator.kernel.routing.rule_text import IP_PROTOCOLS
from emulator.packet.address import parse_interface

TABLES: Mapping[str, int] = MappingProxyType({"default": TABLE_DEFAULT, "main": TABLE_MAIN, "local": TABLE_LOCAL})
SCOPES: Mapping[str, Scope] = MappingProxyType(
    {
        "global": Scope.UNIVERSE,
        "universe": Scope.UNIVERSE,
        "site": Scope.SITE,
        "link": Scope.LINK,
        "host": Scope.HOST,
        "nowhere": Scope.NOWHERE,
    }
)
ROUTE_PROTOCOLS: Mapping[int, str] = MappingProxyType(
    {
        0: "unspec", 1: "redirect", 2: "kernel", 3: "boot", 4: "static", 8: "gated", 9: "ra", 10: "mrt", 11: "zebra",
        12: "bird", 13: "dnrouted", 14: "xorp", 15: "ntk", 16: "dhcp", 18: "keepalived", 42: "babel", 99: "openr",
        186: "bgp", 187: "isis", 188: "ospf", 189: "rip", 192: "eigrp",
    }
)  # fmt: skip
_DSFIELDS = {name: value for value, name in DSCP_NAMES.items()} | {"default": 0}
_ECN = 3


def wrong(word: str, message: str) -> IpError:
    """Make what `ip` says of an argument it cannot read (invarg)."""
    return IpError(f'Error: argument "{word}" is wrong: {message}', 255)


def number(word: str, message: str, *, limit: int = 0xFFFFFFFF) -> int:
    """Read an unsigned number as C writes it. IpError with `message` if it is none."""
    try:
        value = int(word, 8 if word.startswith("0") and word[1:].isdigit() else 0)
    except ValueError:
        raise wrong(word, message) from None
    if not 0 <= value <= limit:
        raise wrong(word, message)
    return value


def table(word: str, message: str) -> int:
    """Read a table's name or number."""
    return TABLES[word] if word in TABLES else number(word, message)


def scope(word: str) -> Scope:
    """Read a scope."""
    if word not in SCOPES:
        raise wrong(word, 'invalid "scope" value\n')
    return SCOPES[word]


def route_protocol(word: str, message: str) -> str:
    """Read who made a route or rule; numbers with a name become it."""
    if word in ROUTE_PROTOCOLS.values():
        return word
    value = number(word, message, limit=0xFF)
    return ROUTE_PROTOCOLS.get(value, str(value))


def dsfield(word: str, message: str) -> int:
    """Read a TOS: a name, or a number that is hexadecimal with or without 0x. RouteError for ECN bits."""
    if word in _DSFIELDS:
        return _DSFIELDS[word]
    try:
        value = int(word, 16)
    except ValueError:
        raise wrong(word, message) from None
    if not 0 <= value <= 0xFF:
        raise wrong(word, message)
    if value & _ECN:
        raise RouteError(22, "Error: Invalid dsfield (tos): ECN bits must be 0.")
    return value


def ip_protocol(word: str, message: str) -> int:
    """Read an IP protocol's name or number."""
    for value, name in IP_PROTOCOLS.items():
        if name == word:
            return value
    return number(word, message, limit=0xFF)


def inet_prefix(words: Words) -> tuple[int, int]:
    """Take a prefix where only IPv4 or IPv6 ones are taken."""
    word = words.next()
    if word in {"default", "any", "all"}:
        return 0, 0
    prefix = short_prefix(word)
    if prefix is None:
        raise IpError(f'Error: inet prefix is expected rather than "{word}".')
    return prefix


def inet_address(word: str) -> int:
    """Read an address where a prefix makes no sense."""
    prefix = short_prefix(word)
    if prefix is None or "/" in word:
        raise IpError(f'Error: inet address is expected rather than "{word}".')
    return prefix[0]


def any_prefix(word: str) -> tuple[int, int]:
    """Read a prefix, or `default`."""
    if word in {"default", "any", "all"}:
        return 0, 0
    prefix = short_prefix(word)
    if prefix is None:
        raise IpError(f'Error: any valid prefix is expected rather than "{word}".')
    return prefix


def short_prefix(word: str) -> tuple[int, int] | None:
    """Read "10.7/16" as 10.7.0.0/16: bytes that are left out are 0. None if it is no prefix."""
    address, slash, length = word.partition("/")
    missing = 3 - address.count(".")
    if not 0 <= missing <= 3:
        return None
    try:
        return parse_interface(address + ".0" * missing + slash + length)
    except WireError:
        return None


def link(netns: Netns, name: str) -> Link:
    """Return a link by its name. IpError if there is none."""
    found = netns.links.get(name)
    if found is None:
        raise IpError(f'Cannot find device "{name}"')
    return found
