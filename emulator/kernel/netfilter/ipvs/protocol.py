"""What the protocols that IPVS balances have in common (ip_vs_proto.c): states, timeouts, what opens a connection."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emulator.kernel.netfilter.ipvs.connection import IpvsConnection
    from emulator.kernel.skb import Skb


class Direction(enum.IntEnum):
    """Which way a packet goes. INPUT_ONLY: to the real server, where answers do not pass here (-g, -i)."""

    INPUT = 0
    OUTPUT = 1
    INPUT_ONLY = 2


class IpvsProtocol(Protocol):
    """One protocol of one namespace. `timeouts`: seconds by state; `-L --timeout` and `--set` know some of them."""

    timeouts: dict[int, float]
    state_names: ClassVar[Mapping[int, str]]

    def is_whole(self, skb: Skb) -> bool:
        """Whether enough of the packet's header is there to schedule it."""

    def may_open(self, skb: Skb, *, sloppy: bool) -> bool:
        """Whether a packet of no connection may be scheduled. `sloppy`: net.ipv4.vs.sloppy_tcp or sloppy_sctp."""

    def begins(self, skb: Skb) -> bool:
        """Whether the packet opens a connection anew, so that a known one may be over (`is_new_conn`)."""

    def is_over(self, connection: IpvsConnection, reuse_mode: int) -> bool:
        """Whether a connection is so far closed that its client may begin anew (`is_new_conn_expected`)."""

    def advance(self, connection: IpvsConnection, direction: Direction, skb: Skb) -> None:
        """Let a packet change the connection's state and timeout, and its real server's counts."""

    def is_reset(self, skb: Skb) -> bool:
        """Whether the packet needs no ICMP error in answer: it ends a connection itself."""


def direction_seen(connection: IpvsConnection, direction: Direction) -> Direction:
    """INPUT_ONLY for a connection whose answers pass elsewhere; one that passes here shows that they do not."""
    if not connection.no_output:
        return direction
    if direction is Direction.OUTPUT:
        connection.no_output = False
        return direction
    return Direction.INPUT_ONLY
