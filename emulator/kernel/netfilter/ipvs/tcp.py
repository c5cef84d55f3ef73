"""TCP as IPVS sees it: states, timeouts and the transition tables of net/netfilter/ipvs/ip_vs_proto_tcp.c.

They are not conntrack's: no sequence numbers are looked at, and the states are those of a load balancer in between.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.ipvs.protocol import Direction, direction_seen

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipvs.connection import IpvsConnection
    from emulator.kernel.skb import Skb

HEADER = 20
_FLAGS = 13  # offset in the header
_FIN, _SYN, _RST, _ACK = 0x01, 0x02, 0x04, 0x10


class TcpState(enum.IntEnum):
    """`enum` of include/net/ip_vs.h, IP_VS_TCP_S_*."""

    NONE = 0
    ESTABLISHED = 1
    SYN_SENT = 2
    SYN_RECV = 3
    FIN_WAIT = 4
    TIME_WAIT = 5
    CLOSE = 6
    CLOSE_WAIT = 7
    LAST_ACK = 8
    LISTEN = 9
    SYNACK = 10


TIMEOUTS: Mapping[int, float] = MappingProxyType(
    {
        TcpState.NONE: 2.0,
        TcpState.ESTABLISHED: 900.0,
        TcpState.SYN_SENT: 120.0,
        TcpState.SYN_RECV: 60.0,
        TcpState.FIN_WAIT: 120.0,
        TcpState.TIME_WAIT: 120.0,
        TcpState.CLOSE: 10.0,
        TcpState.CLOSE_WAIT: 60.0,
        TcpState.LAST_ACK: 30.0,
        TcpState.LISTEN: 120.0,
        TcpState.SYNACK: 120.0,
    }
)
ACTIVE = frozenset({TcpState.ESTABLISHED, TcpState.SYN_SENT, TcpState.SYN_RECV, TcpState.SYNACK})
_OVER = frozenset({TcpState.TIME_WAIT, TcpState.CLOSE})
_COLUMNS = ("NO", "ES", "SS", "SR", "FW", "TW", "CL", "CW", "LA", "LI", "SA")
_NAMES: Mapping[str, TcpState] = MappingProxyType(dict(zip(_COLUMNS, TcpState, strict=True)))
Row = tuple[TcpState, ...]


def _rows(text: str) -> tuple[Row, ...]:
    """Read rows for SYN, FIN, ACK and RST; columns are the state before, in the order of `TcpState`."""
    lines = [line.split() for line in text.strip().splitlines()]
    return tuple(tuple(_NAMES[word] for word in words[1:]) for words in lines)


# [direction][segment: SYN, FIN, ACK, RST][state before]
TRANSITIONS: tuple[tuple[Row, ...], ...] = (
    _rows(
        """
        syn SR ES ES SR SR SR SR SR SR SR SR
        fin CL CW SS TW TW TW CL CW LA LI TW
        ack ES ES SS ES FW TW CL CW CL LI ES
        rst CL CL CL SR CL CL CL CL LA LI SR
        """
    ),
    _rows(
        """
        syn SS ES SS SR SS SS SS SS SS LI SR
        fin TW FW SS TW FW TW CL TW LA LI TW
        ack ES ES SS ES FW TW CL CW LA ES ES
        rst CL CL SS CL CL TW CL CL CL CL CL
        """
    ),
    _rows(
        """
        syn SR ES ES SR SR SR SR SR SR SR SR
        fin CL FW SS TW FW TW CL CW LA LI TW
        ack ES ES SS ES FW TW CL CW CL LI ES
        rst CL CL CL SR CL CL CL CL LA LI CL
        """
    ),
)
# With net.ipv4.vs.secure_tcp: established only once the real server has answered (tcp_states_dos).
SECURE_TRANSITIONS: tuple[tuple[Row, ...], ...] = (
    _rows(
        """
        syn SR ES ES SR SR SR SR SR SR SR SA
        fin CL CW SS TW TW TW CL CW LA LI SA
        ack ES ES SS SR FW TW CL CW CL LI SA
        rst CL CL CL SR CL CL CL CL LA LI CL
        """
    ),
    _rows(
        """
        syn SS ES SS SA SS SS SS SS SS LI SA
        fin TW FW SS TW FW TW CL TW LA LI TW
        ack ES ES SS ES FW TW CL CW LA ES ES
        rst CL CL SS CL CL TW CL CL CL CL CL
        """
    ),
    _rows(
        """
        syn SA ES ES SR SA SA SA SA SA SA SA
        fin CL FW SS TW FW TW CL CW LA LI TW
        ack ES ES SS ES FW TW CL CW CL LI ES
        rst CL CL CL SR CL CL CL CL LA LI CL
        """
    ),
)


class IpvsTcp:
    """TCP of one namespace. `secure`: says whether net.ipv4.vs.secure_tcp is in force."""

    state_names: ClassVar[Mapping[int, str]] = MappingProxyType({state: state.name for state in TcpState})

    def __init__(self, secure: Callable[[], bool]) -> None:
        self.timeouts: dict[int, float] = dict(TIMEOUTS)
        self._secure = secure

    def is_whole(self, skb: Skb) -> bool:
        """A TCP header without options."""
        return len(skb.data) >= skb.transport + HEADER

    def may_open(self, skb: Skb, *, sloppy: bool) -> bool:
        """A SYN may, with an ACK too; with `sloppy` all but a RST."""
        flags = _flags(skb)
        return not flags & _RST and (sloppy or bool(flags & _SYN))

    def begins(self, skb: Skb) -> bool:
        """Whether it has a SYN."""
        return self.is_whole(skb) and bool(_flags(skb) & _SYN)

    def is_over(self, connection: IpvsConnection, reuse_mode: int) -> bool:
        """Closed or waiting for the last segments; with reuse_mode 2 also half closed, as far as one side shows."""
        if connection.control is not None:
            return False
        half_closed = connection.state == TcpState.FIN_WAIT and connection.no_output
        return connection.state in _OVER or (bool(reuse_mode & 2) and half_closed)

    def advance(self, connection: IpvsConnection, direction: Direction, skb: Skb) -> None:
        """`set_tcp_state`."""
        if not self.is_whole(skb):
            return
        seen = direction_seen(connection, direction)
        kind = _kind(_flags(skb))
        table = SECURE_TRANSITIONS if self._secure() else TRANSITIONS
        state = TcpState.CLOSE if kind is None else table[seen][kind][connection.state]
        if state != connection.state:
            connection.set_active(state in ACTIVE)
            if state is TcpState.ESTABLISHED:
                connection.assure_template()
            connection.state = state
        connection.timeout = self.timeouts[state]

    def is_reset(self, skb: Skb) -> bool:
        """Whether it has a RST."""
        return self.is_whole(skb) and bool(_flags(skb) & _RST)


def _flags(skb: Skb) -> int:
    return skb.data[skb.transport + _FLAGS]


def _kind(flags: int) -> int | None:
    """The row of a segment by its flags, in the order in which they are looked at (`tcp_state_idx`)."""
    if flags & _RST:
        return 3
    if flags & _SYN:
        return 0
    if flags & _FIN:
        return 1
    return 2 if flags & _ACK else None
