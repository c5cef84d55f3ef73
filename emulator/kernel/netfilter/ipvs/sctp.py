"""SCTP as IPVS sees it: states, timeouts and the transition table of net/netfilter/ipvs/ip_vs_proto_sctp.c.

The states are those of the real server; those before ESTABLISHED tell how far the handshake is.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.ipvs.protocol import Direction, direction_seen
from emulator.packet.sctp import CHUNK, CHUNK_HEADER_LENGTH, HEADER_LENGTH, ChunkType

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipvs.connection import IpvsConnection
    from emulator.kernel.skb import Skb

_MAXIMUM_RTO = 61.0  # seconds: 60 and one to spare
_SHORT = 4.0  # for an INIT that nobody answers, and one that was refused


class SctpState(enum.IntEnum):
    """`enum` of include/net/ip_vs.h, IP_VS_SCTP_S_*."""

    NONE = 0
    INIT1 = 1  # the first INIT of a client
    INIT = 2  # a further one
    COOKIE_SENT = 3  # the server's INIT_ACK
    COOKIE_REPLIED = 4  # the client's COOKIE_ECHO
    COOKIE_WAIT = 5  # these three where the server opens: its INIT, the INIT_ACK, its COOKIE_ECHO
    COOKIE = 6
    COOKIE_ECHOED = 7
    ESTABLISHED = 8
    SHUTDOWN_SENT = 9
    SHUTDOWN_RECEIVED = 10
    SHUTDOWN_ACK_SENT = 11
    REJECTED = 12
    CLOSED = 13


NAMES: Mapping[int, str] = MappingProxyType(
    {
        SctpState.COOKIE_SENT: "C-SENT",
        SctpState.COOKIE_REPLIED: "C-REPLIED",
        SctpState.COOKIE_WAIT: "C-WAIT",
        SctpState.COOKIE_ECHOED: "C-ECHOED",
        SctpState.SHUTDOWN_SENT: "S-SENT",
        SctpState.SHUTDOWN_RECEIVED: "S-RECEIVED",
        SctpState.SHUTDOWN_ACK_SENT: "S-ACK-SENT",
    }
)
_OTHER_TIMEOUTS = {
    SctpState.NONE: 2.0,
    SctpState.INIT1: _SHORT,
    SctpState.ESTABLISHED: 900.0,
    SctpState.REJECTED: _SHORT,
}
TIMEOUTS: Mapping[int, float] = MappingProxyType(
    {int(state): _OTHER_TIMEOUTS.get(state, _MAXIMUM_RTO) for state in SctpState}
)
_COLUMNS = ("NO", "I1", "IN", "CS", "CR", "CW", "CO", "CE", "ES", "SS", "SR", "SA", "RJ", "CL")
_WORDS: Mapping[str, SctpState] = MappingProxyType(dict(zip(_COLUMNS, SctpState, strict=True)))
_EVENTS = (
    ChunkType.DATA, ChunkType.INIT, ChunkType.INIT_ACK, ChunkType.COOKIE_ECHO, ChunkType.COOKIE_ACK,
    ChunkType.SHUTDOWN, ChunkType.SHUTDOWN_ACK, ChunkType.SHUTDOWN_COMPLETE, ChunkType.ERROR, ChunkType.ABORT,
)  # fmt: skip


def _rows(text: str) -> Mapping[int, tuple[SctpState, ...]]:
    """Read a row for each of `_EVENTS`; columns are the state before, in the order of `SctpState`."""
    lines = [line.split() for line in text.strip().splitlines()]
    rows = [tuple(_WORDS[word] for word in words[1:]) for words in lines]
    return MappingProxyType(dict(zip(map(int, _EVENTS), rows, strict=True)))


# [direction][chunk type][state before]; chunks that have no row are as DATA.
TRANSITIONS: tuple[Mapping[int, tuple[SctpState, ...]], ...] = (
    _rows(
        """
        data     ES I1 IN CS CR CW CO CE ES SS SR SA RJ CL
        init     I1 IN IN CS CR CW CO CE ES SS SR SA IN IN
        init_ack CW CW CW CS CR CO CO CE ES SS SR SA RJ CL
        echo     CR IN IN CR CR CW CO CE ES SS SR SA RJ CL
        echo_ack ES I1 IN CS CR CW CO ES ES SS SR SA RJ CL
        shutdown SR I1 IN CS CR CW CO CE SR SS SR SA RJ CL
        shut_ack CL IN IN CS CR CW CO CE ES CL SR CL RJ CL
        complete CL CL CL CS CR CW CO CE ES SS SR CL RJ CL
        error    CL I1 IN CS CR CW CO CL ES SS SR SA RJ CL
        abort    CL CL CL CL CL RJ CL CL CL CL CL CL CL CL
        """
    ),
    _rows(
        """
        data     ES I1 IN CS CR CW CO CE ES SS SR SA RJ CL
        init     CW CW CW CW CW CW CW CW ES CW CW CW CW CW
        init_ack CS CS CS CS CR CW CO CE ES SS SR SA RJ CL
        echo     CE CE CE CE CE CE CE CE ES SS SR SA RJ CL
        echo_ack ES ES ES ES ES ES ES ES ES SS SR SA RJ CL
        shutdown SS SS SS SS SS SS SS SS SS SS SR SA RJ CL
        shut_ack SA SA SA SA SA CW CO CE ES SA SA SA RJ CL
        complete CL I1 IN CS CR CW CO CE ES SS SR SA RJ CL
        error    CL CL CL CL CL CW CO CE ES SS SR SA RJ CL
        abort    CL RJ CL CL CL CL CL CL CL CL CL CL CL CL
        """
    ),
    _rows(
        """
        data     ES I1 IN CS CR ES CO CE ES SS SR SA RJ CL
        init     I1 IN IN IN IN IN CO CE ES SS SR SA IN IN
        init_ack CE CE CE CE CE CE CO CE ES SS SR SA RJ CL
        echo     ES ES ES ES ES ES CO CE ES SS SR SA RJ CL
        echo_ack ES I1 IN ES ES CW ES ES ES SS SR SA RJ CL
        shutdown SR I1 IN CS CR CW CO CE SR SS SR SA RJ CL
        shut_ack CL IN IN CS CR CW CO CE CL CL SR CL RJ CL
        complete CL CL CL CL CL CW CO CE ES SS CL CL RJ CL
        error    CL I1 IN CS CR CW CO CE ES SS SR SA RJ CL
        abort    CL CL CL CL CL RJ CL CL CL CL CL CL CL CL
        """
    ),
)


class IpvsSctp:
    """SCTP of one namespace."""

    state_names: ClassVar[Mapping[int, str]] = MappingProxyType(
        {state: NAMES.get(state, state.name) for state in SctpState}
    )

    def __init__(self) -> None:
        self.timeouts: dict[int, float] = dict(TIMEOUTS)

    def is_whole(self, skb: Skb) -> bool:
        """The common header and the first chunk's."""
        return _chunk(skb, skb.transport + HEADER_LENGTH) is not None

    def may_open(self, skb: Skb, *, sloppy: bool) -> bool:
        """An INIT may; with `sloppy` all but an ABORT."""
        kind = _first(skb)
        return kind == ChunkType.INIT or (sloppy and kind != ChunkType.ABORT)

    def begins(self, skb: Skb) -> bool:
        """Whether its first chunk is an INIT."""
        return _first(skb) == ChunkType.INIT

    def is_over(self, connection: IpvsConnection, reuse_mode: int) -> bool:
        """Whether it is closed."""
        return connection.control is None and connection.state == SctpState.CLOSED

    def advance(self, connection: IpvsConnection, direction: Direction, skb: Skb) -> None:
        """`set_sctp_state`."""
        kind = _event(skb)
        if kind is None:
            return
        rows = TRANSITIONS[direction_seen(connection, direction)]
        state = rows.get(kind, rows[ChunkType.DATA])[connection.state]
        if state != connection.state:
            connection.set_active(state is SctpState.ESTABLISHED)
            if state is SctpState.ESTABLISHED:
                connection.assure_template()
            connection.state = state
        connection.timeout = self.timeouts[state]

    def is_reset(self, skb: Skb) -> bool:
        """Whether its first chunk is an ABORT."""
        return _first(skb) == ChunkType.ABORT


def _chunk(skb: Skb, place: int) -> tuple[int, int] | None:
    """Type and length of the chunk at a place, if its header is there."""
    if len(skb.data) < place + CHUNK_HEADER_LENGTH:
        return None
    kind, _, length = CHUNK.unpack_from(skb.data, place)
    return kind, length


def _first(skb: Skb) -> int | None:
    chunk = _chunk(skb, skb.transport + HEADER_LENGTH)
    return None if chunk is None else chunk[0]


def _event(skb: Skb) -> int | None:
    """The chunk that counts: the first, or an ABORT behind a COOKIE_ECHO or COOKIE_ACK."""
    place = skb.transport + HEADER_LENGTH
    chunk = _chunk(skb, place)
    if chunk is None:
        return None
    kind, length = chunk
    if kind in (ChunkType.COOKIE_ECHO, ChunkType.COOKIE_ACK) and length >= CHUNK_HEADER_LENGTH:
        second = _chunk(skb, place + (length + 3 & ~3))
        if second is not None and second[0] == ChunkType.ABORT:
            return second[0]
    return kind
