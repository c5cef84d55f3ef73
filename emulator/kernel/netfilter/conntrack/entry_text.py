"""Reads entries from text: what `conntrack -L` prints, with `-o extended` or without, and /proc/net/nf_conntrack.

The inverse of `Connection.format`. What the text does not say (sequence numbers, windows) is as it is for an entry that
`conntrack -I` made: TCP is liberal in both directions, so that the conversation goes on. SCTP's verification tags are
learnt from the first packet of each direction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from emulator.errors import PodwireError, WireError
from emulator.kernel.netfilter.conntrack.connection import (
    ACCOUNTED,
    ASSURED,
    DST_NAT,
    DST_NAT_DONE,
    SEEN_REPLY,
    SRC_NAT,
    SRC_NAT_DONE,
    TIMESTAMPED,
    Connection,
)
from emulator.kernel.netfilter.conntrack.sctp_state import SctpState, SctpTracking
from emulator.kernel.netfilter.conntrack.tcp_state import (
    CLOSE_INITIATED,
    FLAGS,
    LIBERAL,
    SACK_PERMITTED,
    SIDE,
    TcpState,
    TcpTracking,
)
from emulator.kernel.netfilter.conntrack.tuple import ICMP, PORT_PROTOCOLS, SCTP, TCP, Tuple, invert
from emulator.packet.address import AF_INET, ipv4_to_int
from emulator.packet.digits import is_natural

if TYPE_CHECKING:
    from emulator.kernel.netfilter.conntrack.conntrack import Conntrack

_VERSION_LINE = "conntrack v"  # what the tool says on standard error, in case both were saved
_FLAGS = {"[ASSURED]": ASSURED, "[UNREPLIED]": 0, "[OFFLOAD]": 0, "[HW_OFFLOAD]": 0}
_PASSED_OVER = frozenset({"use", "secmark", "secctx", "id", "labels", "helper", "srckey", "dstkey"})
_OF_TUPLE = frozenset({"src", "dst", "sport", "dport", "type", "code", "id", "zone-orig", "zone-reply"})
_OF_ENTRY = frozenset({"mark", "zone", "delta-time"})
_START = re.compile(r"\[(?:start|stop)=[^\]]*\] ?")  # `-o ktimestamp`: a local time, which delta-time says better
_STATES = {state.name: state for state in TcpState if state < TcpState.INVALID}
_SCTP_STATES = {state.name: state for state in SctpState if state < SctpState.INVALID}


class EntryTextError(PodwireError):
    """A line that is not an entry as `conntrack -L` prints it."""

    def __init__(self, line: int, message: str) -> None:
        self.line = line
        self.message = message
        super().__init__(f"conntrack entries: line {line}: {message}")


def read_entries(text: str, now: float = 0.0) -> Iterator[tuple[int, Connection]]:
    """Yield the number of each line and its entry, unconfirmed: `deadline` is how many seconds it has left.

    IPv6 entries are passed over, since only IPv4 is tracked here. `now` is the time that delta-time= counts back from.
    EntryTextError names the line.
    """
    for number, line in enumerate(text.splitlines(), 1):
        words = _START.sub("", line).split()
        if not words or line.startswith(_VERSION_LINE) or words[0] == "ipv6":
            continue
        try:
            yield number, _entry(words[2:] if words[0] == "ipv4" else words, now)
        except (ValueError, WireError) as error:
            raise EntryTextError(number, str(error)) from None


def load_entries(conntrack: Conntrack, text: str) -> int:
    """Enter the connections of `text` into a table; see `Conntrack.load`."""
    count = 0
    for line, connection in read_entries(text, conntrack.now):
        if conntrack.clashes(connection):
            raise EntryTextError(line, f"another entry has its tuple: {connection.original}")
        start = connection.start
        conntrack.insert(connection)
        connection.start = start
        count += 1
    return count


class _Direction:
    """The words of one direction."""

    def __init__(self) -> None:
        self.words: dict[str, str] = {}
        self.packets = 0
        self.bytes = 0

    def key(self, protocol: int) -> Tuple:
        missing = {"src", "dst"} - self.words.keys()
        if missing:
            raise ValueError(f"no {min(missing)}= in one of the two directions")
        sport, dport = 0, 0
        if protocol == ICMP:
            kind, code = self._number("type", 0xFF), self._number("code", 0xFF)
            sport, dport = self._number("id", 0xFFFF), kind << 8 | code
        elif protocol in PORT_PROTOCOLS:
            sport, dport = self._number("sport", 0xFFFF), self._number("dport", 0xFFFF)
        saddr, daddr = ipv4_to_int(self.words["src"]), ipv4_to_int(self.words["dst"])
        return Tuple(AF_INET, protocol, saddr, daddr, sport, dport)

    def _number(self, name: str, most: int) -> int:
        if name not in self.words:
            raise ValueError(f"no {name}= in one of the two directions")
        return natural(name, self.words[name], most)


def natural(name: str, text: str, most: int = 0xFFFFFFFF) -> int:
    """Read a number of a `NAME=NUMBER` word. ValueError otherwise."""
    if not is_natural(text) or int(text) > most:
        raise ValueError(f"{name}={text} is not a number from 0 to {most}")
    return int(text)


def _entry(words: list[str], now: float) -> Connection:
    if len(words) < 3:
        raise ValueError("it ends too soon")
    protocol = natural("the protocol", words[1], 0xFF)
    timeout = natural("the timeout", words[2])
    rest = words[3:]
    state = rest.pop(0) if rest and "=" not in rest[0] and not rest[0].startswith("[") else ""
    directions: list[_Direction] = []
    entry: dict[str, int] = {}
    status = _status(words) | _sort(rest, protocol, directions, entry)
    if len(directions) != 2:
        raise ValueError(f"it has {len(directions)} directions and not two")
    connection = Connection(*_tuples(protocol, directions, entry))
    connection.status = status | _nat(connection)
    connection.deadline = float(timeout)
    connection.mark = entry.get("mark", 0)
    connection.start = now
    connection.stream_after = -1.0
    if "delta-time" in entry:
        connection.start -= entry["delta-time"]
        connection.status |= TIMESTAMPED
    connection.set_counters(*((each.packets, each.bytes) for each in directions))
    if protocol == TCP:
        connection.tcp = tcp_of(state)
    elif protocol == SCTP:
        connection.sctp = sctp_of(state)
    return connection


def _status(words: Iterable[str]) -> int:
    status = SEEN_REPLY
    for word in words:
        if word.startswith("["):
            if word not in _FLAGS:
                raise ValueError(f"unknown flag {word}")
            status |= _FLAGS[word]
            if word == "[UNREPLIED]":
                status &= ~SEEN_REPLY
    return status


def _sort(words: list[str], protocol: int, directions: list[_Direction], entry: dict[str, int]) -> int:
    """Put each word where it belongs; return what the counters say about the status."""
    status = 0
    for word in words:
        name, equals, value = word.partition("=")
        if word.startswith("["):
            continue
        if not equals:
            raise ValueError(f"unknown word {word!r}")
        if name == "src":
            directions.append(_Direction())
        if name in _OF_TUPLE and directions and name not in directions[-1].words:
            directions[-1].words[name] = value
        elif name in {"packets", "bytes"} and directions:
            setattr(directions[-1], name, natural(name, value, (1 << 64) - 1))
            status |= ACCOUNTED
        elif name in _OF_ENTRY:
            entry[name] = natural(name, value)
        elif name not in _PASSED_OVER:
            raise ValueError(f"unknown word {word!r}")
    return status


def _tuples(protocol: int, directions: list[_Direction], entry: dict[str, int]) -> tuple[Tuple, Tuple]:
    original, reply = (each.key(protocol) for each in directions)
    zone = entry.get("zone", 0)
    zones = (
        natural("zone-orig", directions[0].words.get("zone-orig", str(zone)), 0xFFFF),
        natural("zone-reply", directions[1].words.get("zone-reply", str(zone)), 0xFFFF),
    )
    if invert(original) is None:
        raise ValueError(f"ICMP type {original.icmp_type} begins no connection")
    return original._replace(zone=zones[0]), reply._replace(zone=zones[1])


def _nat(connection: Connection) -> int:
    """Return the status bits of what was translated: where an answer does not go back to where the packet came from."""
    status = SRC_NAT_DONE | DST_NAT_DONE
    original, reply = connection.original, connection.reply
    is_query = connection.protocol == ICMP
    if reply.daddr != original.saddr or (reply.sport if is_query else reply.dport) != original.sport:
        status |= SRC_NAT
    if reply.saddr != original.daddr or (not is_query and reply.sport != original.dport):
        status |= DST_NAT
    return status


def tcp_of(state: str) -> TcpTracking:
    """Return what ctnetlink makes of a TCP state alone. ValueError for an unknown one."""
    if state not in _STATES:
        raise ValueError(f"unknown TCP state {state!r}")
    tracking = TcpTracking()
    tracking.state = _STATES[state]
    flags = LIBERAL | SACK_PERMITTED
    if tracking.state >= TcpState.TIME_WAIT:
        flags |= CLOSE_INITIATED  # so that a SYN may open it anew
    tracking.words[FLAGS] = tracking.words[SIDE + FLAGS] = flags
    return tracking


def sctp_of(state: str) -> SctpTracking:
    """Return what is known of an association by its state alone. ValueError for an unknown one."""
    if state not in _SCTP_STATES:
        raise ValueError(f"unknown SCTP state {state!r}")
    tracking = SctpTracking()
    tracking.state = _SCTP_STATES[state]
    tracking.learns = True
    return tracking
