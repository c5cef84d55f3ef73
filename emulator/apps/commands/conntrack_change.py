"""What `conntrack -I`, `-A`, `-U` and `-G` do to the table, by what the command line says of one entry (ctnetlink)."""

from __future__ import annotations

from emulator.apps.commands.conntrack_filter import STATUSES, Family, address, mark_of, nat_target, state_of
from emulator.apps.commands.conntrack_options import OperationError, Request, number, parameters
from emulator.kernel.netfilter.conntrack.connection import (
    ACCOUNTED,
    ASSURED,
    CHANGED_MARK,
    CHANGED_STATE,
    SEEN_REPLY,
    TIMESTAMPED,
    Connection,
)
from emulator.kernel.netfilter.conntrack.conntrack import Conntrack
from emulator.kernel.netfilter.conntrack.entry_text import sctp_of, tcp_of
from emulator.kernel.netfilter.conntrack.event import EventKind
from emulator.kernel.netfilter.conntrack.tuple import GRE, ICMP, PORT_PROTOCOLS, SCTP, TCP, Tuple, invert
from emulator.kernel.netfilter.nat.nat import Range
from emulator.packet.address import AF_INET

_INVALID = "Operation failed: invalid parameters"
_KEPT = SEEN_REPLY | ASSURED  # bits that can be set and never be taken back


def named_entry(conntrack: Conntrack, request: Request) -> Connection | None:
    """Return the entry with the command line's tuple, whichever direction it is of."""
    tuples = _tuples(request)
    key = tuples[0] or tuples[1]
    if key is None:
        raise OperationError(_INVALID)
    found = conntrack.find(key)
    return None if found is None else found[0]


def create(conntrack: Conntrack, request: Request, program: str) -> bool:
    """Make an entry. False if one has its tuple."""
    original, reply = _tuples(request)
    if original is None and reply is not None:
        original = invert(reply)
    if original is None:
        raise OperationError(_INVALID)
    reply = reply or invert(original)
    if reply is None:
        raise OperationError(_INVALID)
    zones = _zones(request)
    connection = Connection(original._replace(zone=zones[0]), reply._replace(zone=zones[1]))
    if conntrack.clashes(connection):
        return False
    connection.deadline = float(number(request.value("t")))
    connection.mark = mark_of(request.value("m") or "0")[0]
    connection.status = _status(request)
    connection.status |= (ACCOUNTED if conntrack.accounting else 0) | (TIMESTAMPED if conntrack.timestamps else 0)
    connection.stream_after = -1.0
    state = state_of(request)
    if connection.protocol == TCP and state is not None:
        connection.tcp = tcp_of(state)
    elif connection.protocol == SCTP and state is not None:
        connection.sctp = sctp_of(state)
        connection.sctp.learns = False
        connection.sctp.tags = [number(request.value("orig-vtag")), number(request.value("reply-vtag"))]
    _translate(conntrack, request, connection)
    conntrack.statistics.insert += 1
    conntrack.insert(connection, program, changes=CHANGED_STATE | CHANGED_MARK)
    return True


def update(conntrack: Conntrack, request: Request, connection: Connection, program: str) -> bool:
    """Change an entry's mark, status and timeout. False if there was nothing to change."""
    changed = 0
    if "m" in request.options:
        value, mask = mark_of(request.value("m") or "0")
        mark = connection.mark & ~mask & 0xFFFFFFFF ^ value
        changed |= connection.mark != mark
        connection.mark = mark
    if "u" in request.options:
        status = connection.status | _status(request)
        changed |= connection.status != status
        connection.status = status
    if "t" in request.options:
        timeout = float(number(request.value("t")))
        changed |= int(connection.deadline - conntrack.now) != int(timeout)
        conntrack.renew(connection, timeout)
    if not changed:
        return False
    conntrack.event_log.tell(
        EventKind.UPDATE, connection, conntrack.now, changes=CHANGED_STATE | CHANGED_MARK, program=program
    )
    return True


def _status(request: Request) -> int:
    text = request.value("u")
    bits = 0 if text is None else parameters(text, STATUSES, lambda _: None)
    if bits & ~(_KEPT | STATUSES["FIXED_TIMEOUT"]):
        raise OperationError("Operation failed: Device or resource busy")
    return bits


def _zones(request: Request) -> tuple[int, int]:
    both = number(request.value("w")) & 0xFFFF
    original, reply = request.value("("), request.value(")")
    if original is None and reply is None:
        return both, both
    return number(original) & 0xFFFF, number(reply) & 0xFFFF


def _tuples(request: Request) -> tuple[Tuple | None, Tuple | None]:
    """Return the tuples of both directions, as far as the command line has them."""
    values = request.values
    ports = (("sport", "dport"), ("reply-port-src", "reply-port-dst"))
    if request.number == GRE:
        ports = (("srckey", "dstkey"), ("reply-key-src", "reply-key-dst"))
    found: list[Tuple | None] = []
    for (source, destination), (sport, dport) in zip((("s", "d"), ("r", "q")), ports, strict=True):
        if source not in values or destination not in values:
            found.append(None)
            continue
        saddr, daddr = _ipv4(values[source]), _ipv4(values[destination])
        first = second = 0
        if request.number == ICMP:
            first = number(values.get("icmp-id")) & 0xFFFF
            second = (number(values.get("icmp-type")) & 0xFF) << 8 | number(values.get("icmp-code")) & 0xFF
        elif request.number in PORT_PROTOCOLS or request.number == GRE:
            first, second = number(values.get(sport)) & 0xFFFF, number(values.get(dport)) & 0xFFFF
        found.append(Tuple(AF_INET, request.number, saddr, daddr, first, second))
    return found[0], found[1]


def _ipv4(text: str) -> int:
    value, version, _ = address(text)
    if version != 4:
        raise OperationError("Operation failed: Address family not supported by protocol")
    return value


def _translate(conntrack: Conntrack, request: Request, connection: Connection) -> None:
    """Set up what `-g` and `-n` say the connection is translated to."""
    for letter, source in (("g", False), ("n", True)):
        host, port = nat_target(request.value(letter), Family())
        if host is None:
            continue
        ports = None if port is None else (port, port)
        conntrack.netfilter.nat.set_up(connection, Range(addresses=(host, host), ports=ports), source=source)
