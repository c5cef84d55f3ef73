"""SCTP as connection tracking sees it: the states, the transition table, and what is remembered of both sides.

The table is that of nf_conntrack_proto_sctp.c: states of the association between two ends, not those of an end.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType

from emulator.packet.sctp import ChunkType


class SctpState(enum.IntEnum):
    """What the chunks seen so far made of the association. INVALID is an answer of the table only."""

    NONE = 0
    CLOSED = 1
    COOKIE_WAIT = 2  # INIT was seen, or INIT_ACK too
    COOKIE_ECHOED = 3
    ESTABLISHED = 4
    SHUTDOWN_SENT = 5  # by the side that began
    SHUTDOWN_RECD = 6  # by the other side
    SHUTDOWN_ACK_SENT = 7
    HEARTBEAT_SENT = 8  # a new path of a multihomed association begins with one
    INVALID = 9


_NAMES: Mapping[str, SctpState] = MappingProxyType(
    {
        "NO": SctpState.NONE,
        "CL": SctpState.CLOSED,
        "CW": SctpState.COOKIE_WAIT,
        "CE": SctpState.COOKIE_ECHOED,
        "ES": SctpState.ESTABLISHED,
        "SS": SctpState.SHUTDOWN_SENT,
        "SR": SctpState.SHUTDOWN_RECD,
        "SA": SctpState.SHUTDOWN_ACK_SENT,
        "HS": SctpState.HEARTBEAT_SENT,
        "--": SctpState.INVALID,
    }
)


def _rows(text: str) -> Mapping[int, tuple[SctpState, ...]]:
    lines = [line.split() for line in text.strip().splitlines()[1:]]
    return MappingProxyType({ChunkType[name.upper()]: tuple(_NAMES[word] for word in words) for name, *words in lines})


# [direction][chunk type][SctpState]; "--" is INVALID. Chunk types that are not here leave the state as it is.
TRANSITIONS: tuple[Mapping[int, tuple[SctpState, ...]], ...] = (
    _rows(
        """
        from              NO CL CW CE ES SS SR SA HS
        init              CL CL CW CE ES CL CL SA CW
        init_ack          CL CL CW CE ES SS SR SA CL
        abort             CL CL CL CL CL CL CL CL CL
        shutdown          CL CL CW CE SS SS SR SA CL
        shutdown_ack      SA CL CW CE ES SA SA SA SA
        error             CL CL CW CE ES SS SR SA CL
        cookie_echo       CL CL CE CE ES SS SR SA CL
        cookie_ack        CL CL CW ES ES SS SR SA CL
        shutdown_complete CL CL CW CE ES SS SR CL CL
        heartbeat         HS CL CW CE ES SS SR SA HS
        heartbeat_ack     CL CL CW CE ES SS SR SA HS
        """
    ),
    _rows(
        """
        from              NO CL CW CE ES SS SR SA HS
        init              -- CL CW CE ES SS SR SA --
        init_ack          -- CW CW CE ES SS SR SA --
        abort             -- CL CL CL CL CL CL CL --
        shutdown          -- CL CW CE SR SS SR SA --
        shutdown_ack      -- CL CW CE ES SA SA SA --
        error             -- CL CW CL ES SS SR SA --
        cookie_echo       -- CL CE CE ES SS SR SA --
        cookie_ack        -- CL CW ES ES SS SR SA --
        shutdown_complete -- CL CW CE ES SS SR CL --
        heartbeat         -- CL CW CE ES SS SR SA HS
        heartbeat_ack     -- CL CW CE ES SS SR SA ES
        """
    ),
)

# Seconds an association lives in each state (net.netfilter.nf_conntrack_sctp_timeout_*).
TIMEOUTS: Mapping[str, int] = MappingProxyType(
    {
        "closed": 10,
        "cookie_wait": 3,
        "cookie_echoed": 3,
        "established": 210,
        "shutdown_sent": 3,
        "shutdown_recd": 3,
        "shutdown_ack_sent": 3,
        "heartbeat_sent": 30,
    }
)

CLOSING = frozenset(
    {SctpState.SHUTDOWN_SENT, SctpState.SHUTDOWN_RECD, SctpState.SHUTDOWN_ACK_SENT}
)  # may be dropped early although assured


class SctpTracking:
    """The SCTP part of a connection (`struct ip_ct_sctp`). Lists have an item for each direction, the original first.

    `learns`: it was read from text, which does not tell the tags; the first packet of each direction does.
    """

    __slots__ = ("heartbeat_failed", "init_seen", "last_direction", "learns", "state", "tags")

    def __init__(self) -> None:
        self.state = SctpState.NONE
        self.tags = [0, 0]  # the verification tag that packets of a direction must carry; 0: not known
        self.init_seen = [False, False]
        self.heartbeat_failed = False  # a HEARTBEAT with a wrong tag was let through; its ACK may teach the new one
        self.last_direction = 0  # of that HEARTBEAT
        self.learns = False
