"""Which entries a conntrack command line means: what libnetfilter_conntrack compares, and the tool's own filters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from emulator.apps.commands.conntrack_options import Request, Warn, number, parameter
from emulator.apps.options import UsageError
from emulator.errors import WireError
from emulator.kernel.netfilter.conntrack.connection import (
    ASSURED,
    DST_NAT_DONE,
    FIXED_TIMEOUT,
    SEEN_REPLY,
    SRC_NAT_DONE,
    Connection,
    Status,
)
from emulator.kernel.netfilter.conntrack.sctp_state import SctpState
from emulator.kernel.netfilter.conntrack.tcp_state import TcpState
from emulator.kernel.netfilter.conntrack.tuple import Tuple
from emulator.packet.address import ipv4_to_int, ipv6_to_int, prefix_mask
from emulator.packet.digits import is_natural

Condition = Callable[[Connection], bool]

STATUSES: Mapping[str, int] = MappingProxyType(
    {
        "ASSURED": ASSURED,
        "SEEN_REPLY": SEEN_REPLY,
        "UNSET": 0,
        "FIXED_TIMEOUT": FIXED_TIMEOUT,
        "EXPECTED": int(Status.EXPECTED),
        "OFFLOAD": 1 << 14,
        "HW_OFFLOAD": 1 << 15,
    }
)
_PORT_FIELDS = MappingProxyType(
    {"sport": (0, "sport"), "dport": (0, "dport"), "reply-port-src": (1, "sport"), "reply-port-dst": (1, "dport"),
     "icmp-id": (0, "sport")}
)  # fmt: skip
_LONG_NAMES = {"s": "orig-src", "d": "orig-dst", "r": "reply-src", "q": "reply-dst"}


def address(text: str) -> tuple[int, int, int]:
    """Return the address, its family (4 or 6), and the length of its prefix or -1. UsageError as the tool words it."""
    host, slash, length = text.partition("/")
    try:
        value, family = ipv4_to_int(host), 4
    except WireError:
        try:
            value, family = ipv6_to_int(host), 6
        except WireError:
            raise UsageError(f"Invalid IP address `{text}'") from None
    if not slash:
        return value, family, -1
    if not is_natural(length) or int(length) > (32 if family == 4 else 128):
        raise UsageError("Invalid netmask")
    return value, family, int(length)


class Family:
    """The address family that all of a command line must have; 0 as long as nothing says it."""

    def __init__(self) -> None:
        self.version = 0

    def require(self, version: int) -> None:
        """Take 4 or 6. UsageError if the other one was taken before."""
        if self.version not in (0, version):
            raise UsageError("mismatched address family")
        self.version = version


def family_of(request: Request) -> Family:
    """Read `-f`."""
    family = Family()
    text = request.value("f")
    if text is not None:
        if not text.startswith(("ipv4", "ipv6")):
            raise UsageError(f"`{text}' unsupported protocol")
        family.require(int(text[3]))
    return family


def conditions(request: Request, warn: Warn) -> list[Condition]:
    """Make what each entry must satisfy. UsageError for values that cannot be read."""
    found: list[Condition] = []
    family = family_of(request)
    for letter in ("s", "d", "r", "q"):
        text = request.value(letter)
        if text is not None:
            found.append(_address(request, letter, text, family))
    for letter, base in (("{", "s"), ("}", "d")):
        if letter in request.options and base not in request.options:
            name = "src" if base == "s" else "dst"
            raise UsageError(f"Can't use --mask-{name} without --{name}")
    if request.options & {"n", "g", "j"}:
        found.append(_translated(request, family))
    if "p" in request.options:
        found.append(_protocol(request))
    mark = request.value("m")
    if mark is not None and request.command != "U":
        found.append(_mark(mark))
    status = request.value("u")
    if status is not None and request.command != "U":
        found.append(_status(request.command, status, warn))
    found += _zones(request)
    if family.version == 6:
        found.append(lambda _: False)
    return found


def _address(request: Request, letter: str, text: str, family: Family) -> Condition:
    value, version, length = address(text)
    family.require(version)
    if length != -1 and letter in "rq":
        raise UsageError(f"CIDR notation unavailable for `--{_LONG_NAMES[letter]}'")
    mask = 0xFFFFFFFF if length == -1 or version == 6 else prefix_mask(length)
    named = request.value("{" if letter == "s" else "}") if letter in "sd" else None
    if named is not None:
        mask, version, _ = address(named)
        family.require(version)
    is_source = letter in "sr"

    def holds(connection: Connection) -> bool:
        key = connection.original if letter in "sd" else connection.reply
        return ((key.saddr if is_source else key.daddr) ^ value) & mask == 0

    return holds


def _protocol(request: Request) -> Condition:
    wanted = request.number
    fields = [
        (*_PORT_FIELDS[name], number(value) & 0xFFFF) for name, value in request.values.items() if name in _PORT_FIELDS
    ]
    kind, code = request.value("icmp-type"), request.value("icmp-code")
    state = state_of(request)

    def holds(connection: Connection) -> bool:
        if connection.protocol != wanted:
            return False
        tuples = (connection.original, connection.reply)
        if any(getattr(tuples[direction], name) != value for direction, name, value in fields):
            return False
        if kind is not None and connection.original.icmp_type != number(kind) & 0xFF:
            return False
        if code is not None and connection.original.icmp_code != number(code) & 0xFF:
            return False
        return state is None or connection.state_name == state

    return holds


def state_of(request: Request) -> str | None:
    """Return the state that `--state` names."""
    text = request.value("state")
    if text is None:
        return None
    if request.protocol == "sctp":
        names = [state.name for state in SctpState if state < SctpState.INVALID]
    else:
        names = [state.name for state in TcpState if state < TcpState.INVALID]
    if text not in names:
        raise UsageError(f"unknown {request.protocol.upper()} state `{text}'")
    return text


def mark_of(text: str) -> tuple[int, int]:
    """Read VALUE/MASK."""
    value, slash, mask = text.partition("/")
    return number(value), number(mask) if slash else 0xFFFFFFFF


def _mark(text: str) -> Condition:
    value, mask = mark_of(text)
    return lambda connection: connection.mark & mask == value


def _status(command: str, text: str, warn: Warn) -> Condition:
    """`-L` has the kernel compare under a mask; other commands find the bits among the entry's."""
    wanted = mask = 0
    for word in text.split(","):
        if word.startswith("UNREPLIED"):
            mask |= SEEN_REPLY
        elif word.startswith("!"):
            mask |= parameter(word[1:], text, STATUSES, warn)
        else:
            wanted |= parameter(word, text, STATUSES, warn)
    mask = mask or wanted
    if command == "L":
        if not mask:
            raise InvalidFilterError
        return lambda connection: connection.status & mask == wanted
    return lambda connection: connection.status & wanted == wanted


class InvalidFilterError(Exception):
    """The kernel would refuse the filter."""


def _zones(request: Request) -> list[Condition]:
    found: list[Condition] = []
    zone = request.value("w")
    if zone is not None:
        both = number(zone) & 0xFFFF
        found.append(lambda each: (each.original.zone if each.original.zone == each.reply.zone else 0) == both)
    for letter, direction in (("(", "original"), (")", "reply")):
        text = request.value(letter)
        if text is not None:
            found.append(_one_zone(direction, number(text) & 0xFFFF))
    return found


def _one_zone(direction: str, zone: int) -> Condition:
    def holds(connection: Connection) -> bool:
        if connection.original.zone == connection.reply.zone:
            return zone == 0
        own: Tuple = getattr(connection, direction)
        return own.zone == zone

    return holds


def is_source_translated(connection: Connection) -> tuple[bool, bool]:
    """Whether NAT changed the source's address, and its port; as libnetfilter_conntrack sees it.

    It compares an ICMP answer's type and code with the identifier, so that a ping always counts as translated.
    """
    if not connection.status & SRC_NAT_DONE:
        return False, False
    original, reply = connection.original, connection.reply
    return reply.daddr != original.saddr, reply.dport != original.sport


def is_destination_translated(connection: Connection) -> tuple[bool, bool]:
    """The same for the destination."""
    if not connection.status & DST_NAT_DONE:
        return False, False
    original, reply = connection.original, connection.reply
    return reply.saddr != original.daddr, reply.sport != original.dport


def nat_target(text: str | None, family: Family) -> tuple[int | None, int | None]:
    """Read ADDRESS[:PORT] of `-n`, `-g` or `-j`."""
    if text is None:
        return None, None
    host, colon, port = text.partition(":")
    if ":" in port:  # IPv6
        host, colon, port = text, "", ""
    if colon and not port:
        raise UsageError("No port specified after `:'")
    if colon and not (is_natural(port) and int(port) <= 0xFFFF):
        raise UsageError(f"Invalid port `{port}'")
    value, version, length = address(host)
    family.require(version)
    if length != -1:
        raise UsageError("CIDR notation unavailable for `--src-nat'")
    return value, int(port) if colon else None


def _translated(request: Request, family: Family) -> Condition:
    """`-n`, `-g`, both, or either (`-j`), with an address and a port if they are named."""
    source = nat_target(request.value("n") or request.value("j"), family)
    destination = nat_target(request.value("g") or request.value("j"), family)

    def source_holds(connection: Connection) -> bool:
        reply = connection.reply
        return _nat_fits(source, is_source_translated(connection), reply.daddr, reply.dport)

    def destination_holds(connection: Connection) -> bool:
        reply = connection.reply
        return _nat_fits(destination, is_destination_translated(connection), reply.saddr, reply.sport)

    if "j" in request.options:
        return lambda connection: source_holds(connection) or destination_holds(connection)
    if {"n", "g"} <= request.options:
        return lambda connection: source_holds(connection) and destination_holds(connection)
    return source_holds if "n" in request.options else destination_holds


def _nat_fits(wanted: tuple[int | None, int | None], changed: tuple[bool, bool], address_is: int, port_is: int) -> bool:
    host, port = wanted
    if host is None and port is None:
        return any(changed)
    if host is not None and not (changed[0] and address_is == host):
        return False
    return port is None or (changed[1] and port_is == port)
