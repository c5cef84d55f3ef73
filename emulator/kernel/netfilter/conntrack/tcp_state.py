"""TCP as connection tracking sees it: the states, the transition table, and what is remembered of each side.

The table is that of nf_conntrack_proto_tcp.c; connection tracking stands between the two ends and may lose packets to
either, so its states are not quite those of RFC 9293.
"""

from __future__ import annotations

import enum
from array import array
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Self, cast


class TcpState(enum.IntEnum):
    """What the last valid segment made of the connection. IGNORE and INVALID are answers of the table only."""

    NONE = 0
    SYN_SENT = 1
    SYN_RECV = 2
    ESTABLISHED = 3
    FIN_WAIT = 4
    CLOSE_WAIT = 5
    LAST_ACK = 6
    TIME_WAIT = 7
    CLOSE = 8
    SYN_SENT2 = 9  # a SYN from the other side too: simultaneous open
    INVALID = 10
    IGNORE = 11  # passes, but the state stays: the ends will sort it out with a RST or a challenge ACK


class SegmentKind(enum.IntEnum):
    """A segment by its flags, in the order in which they are looked at."""

    SYN = 0
    SYNACK = 1
    FIN = 2
    ACK = 3
    RST = 4
    NONE = 5


# As in `netfilter/hook.py`: the members of every packet's way, by names of their own.
TCP_CONNTRACK_ESTABLISHED: Final = TcpState.ESTABLISHED
PLAIN_ACK: Final = SegmentKind.ACK


_NAMES: Mapping[str, TcpState] = MappingProxyType(
    {
        "NO": TcpState.NONE,
        "SS": TcpState.SYN_SENT,
        "SR": TcpState.SYN_RECV,
        "ES": TcpState.ESTABLISHED,
        "FW": TcpState.FIN_WAIT,
        "CW": TcpState.CLOSE_WAIT,
        "LA": TcpState.LAST_ACK,
        "TW": TcpState.TIME_WAIT,
        "CL": TcpState.CLOSE,
        "S2": TcpState.SYN_SENT2,
        "--": TcpState.INVALID,
        "..": TcpState.IGNORE,
    }
)


def _rows(text: str) -> tuple[tuple[TcpState, ...], ...]:
    return tuple(tuple(_NAMES[word] for word in line.split()[1:]) for line in text.strip().splitlines()[1:])


# [direction][SegmentKind][TcpState]; "--" is INVALID, ".." is IGNORE.
TRANSITIONS: tuple[tuple[tuple[TcpState, ...], ...], ...] = (
    _rows(
        """
        from    NO SS SR ES FW CW LA TW CL S2
        syn     SS SS .. .. .. .. .. SS SS S2
        synack  -- -- SR -- -- -- -- -- -- SR
        fin     -- -- FW FW LA LA LA TW CL --
        ack     ES -- ES ES CW CW TW TW CL --
        rst     -- CL CL CL CL CL CL CL CL CL
        none    -- -- -- -- -- -- -- -- -- --
        """
    ),
    _rows(
        """
        from    NO SS SR ES FW CW LA TW CL S2
        syn     -- S2 -- -- -- -- -- SS -- S2
        synack  -- SR .. .. .. .. .. .. .. SR
        fin     -- -- FW FW LA LA LA TW CL --
        ack     -- .. SR ES CW CW TW TW CL ..
        rst     -- CL CL CL CL CL CL CL CL CL
        none    -- -- -- -- -- -- -- -- -- --
        """
    ),
)

# Seconds a connection lives in each state, and the two that are not states (net.netfilter.nf_conntrack_tcp_timeout_*).
TIMEOUTS: Mapping[str, int] = MappingProxyType(
    {
        "syn_sent": 120,
        "syn_recv": 60,
        "established": 432_000,
        "fin_wait": 120,
        "close_wait": 60,
        "last_ack": 30,
        "time_wait": 120,
        "close": 10,
        "max_retrans": 300,
        "unacknowledged": 300,
    }
)

CLOSING = frozenset(
    {TcpState.FIN_WAIT, TcpState.CLOSE_WAIT, TcpState.LAST_ACK, TcpState.TIME_WAIT, TcpState.CLOSE}
)  # may be dropped early although assured

# Flags of one side (IP_CT_TCP_FLAG_*).
WINDOW_SCALE, SACK_PERMITTED, CLOSE_INITIATED, LIBERAL, UNACKNOWLEDGED, MAXIMUM_ACK_SET = 1, 2, 4, 8, 16, 32
# Flags of the last segment (IP_CT_EXP_CHALLENGE_ACK, IP_CT_TCP_SIMULTANEOUS_OPEN); WINDOW_SCALE, SACK_PERMITTED too.
EXPECT_CHALLENGE_ACK, SIMULTANEOUS_OPEN = 64, 128


# Words of one side in `TcpTracking.words` (`struct ip_ct_tcp_state`), those of the original direction first.
END = 0  # the highest sequence number sent, plus length
MAXIMUM_END = 1  # the highest that the receiver's window lets it send
MAXIMUM_WINDOW = 2  # the largest window it announced, scaled
MAXIMUM_ACK = 3
SCALE = 4
FLAGS = 5
SIDE = 6  # how many there are a side
# Words of the last segment of interest.
LAST_SEQUENCE = 12
LAST_ACK = 13
LAST_END = 14
LAST_WINDOW = 15

_UNSEEN = bytes(16 * 4)


if TYPE_CHECKING:
    _Words = array[int]
else:
    _Words = array


class TcpTracking(_Words):
    """The TCP part of a connection (`struct ip_ct_tcp`); `last_*` tell of the last segment of interest.

    It is itself the array of its numbers of 32 bits, for a table of many connections: as Python's ints these took half
    a kilobyte, and as an array beside it 50 bytes more.
    """

    __slots__ = ("last_direction", "last_flags", "last_kind", "last_scale", "retransmissions", "state")

    def __new__(cls) -> Self:
        """Make the numbers, all zero."""
        return cast("Self", super().__new__(cls, "I", _UNSEEN))

    def __init__(self) -> None:
        self.state = TcpState.NONE
        self.last_direction = 0
        self.last_kind = SegmentKind.NONE
        self.last_scale = 0
        self.last_flags = 0
        self.retransmissions = 0

    @property
    def words(self) -> array[int]:
        """The numbers, by the indexes above."""
        return self

    @property
    def flags(self) -> int:
        """What holds for either side."""
        return self[FLAGS] | self[SIDE + FLAGS]
