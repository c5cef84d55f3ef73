"""UDP as IPVS sees it: one state (net/netfilter/ipvs/ip_vs_proto_udp.c). Its connections always count as inactive."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.ipvs.protocol import Direction

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipvs.connection import IpvsConnection
    from emulator.kernel.skb import Skb

NORMAL = 0
TIMEOUT = 300.0
_HEADER = 8


class IpvsUdp:
    """UDP of one namespace."""

    state_names: ClassVar[Mapping[int, str]] = MappingProxyType({NORMAL: "UDP"})

    def __init__(self) -> None:
        self.timeouts: dict[int, float] = {NORMAL: TIMEOUT}

    def is_whole(self, skb: Skb) -> bool:
        """A UDP header."""
        return len(skb.data) >= skb.transport + _HEADER

    def may_open(self, skb: Skb, *, sloppy: bool) -> bool:
        """Any datagram may."""
        return True

    def begins(self, skb: Skb) -> bool:
        """No datagram says so."""
        return False

    def is_over(self, connection: IpvsConnection, reuse_mode: int) -> bool:
        """Only its timeout ends it."""
        return False

    def advance(self, connection: IpvsConnection, direction: Direction, skb: Skb) -> None:
        """`udp_state_transition`."""
        connection.timeout = self.timeouts[NORMAL]
        if direction is Direction.OUTPUT:
            connection.assure_template()

    def is_reset(self, skb: Skb) -> bool:
        """No datagram is."""
        return False
