"""Packets for somebody else: TTL, MTU, redirects, FORWARD, then out (net/ipv4/ip_forward.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel import gso
from emulator.kernel.drop import DropReason
from emulator.kernel.ip.header import DONT_FRAGMENT
from emulator.kernel.ip.options import forward_options
from emulator.kernel.netfilter.hook import NF_ACCEPT, NF_INET_FORWARD
from emulator.kernel.routing.route import RouteResult, Scope
from emulator.kernel.skb import PACKET_HOST, Skb

if TYPE_CHECKING:
    from emulator.kernel.ip.output import IpOutput
    from emulator.kernel.netns import Netns

DESTINATION_UNREACHABLE, FRAGMENTATION_NEEDED = 3, 4
TIME_EXCEEDED, TTL_EXCEEDED = 11, 0

_TTL = 22  # offsets in the frame
_CHECKSUM = 24


class IpForward:
    """The forwarding of one namespace."""

    def __init__(self, netns: Netns, transmitter: IpOutput) -> None:
        self._netns = netns
        self._netfilter = netns.netfilter
        self._transmit = transmitter.transmit

    def forward(self, skb: Skb, result: RouteResult) -> None:
        """Send a received packet on its way (ip_forward)."""
        netns, data = self._netns, skb.data
        if skb.packet_type is not PACKET_HOST:
            netns.drop(skb, DropReason.OTHERHOST)
            return
        if skb.socket is not None:
            netns.drop(skb, DropReason.NO_SOCKET, why="TPROXY gave it to a socket, but no route says that it is for us")
            return
        ttl = data[_TTL]
        if ttl <= 1:
            netns.drop(skb, DropReason.IP_TTL_EXPIRED)
            netns.icmp.send_error(skb, TIME_EXCEEDED, TTL_EXCEEDED)
            return
        if len(data) - 14 > result.mtu and not gso.fits(skb, result.mtu) and self._must_not_fragment(skb, result):
            netns.drop(skb, DropReason.PKT_TOO_BIG)
            netns.icmp.send_error(skb, DESTINATION_UNREACHABLE, FRAGMENTATION_NEEDED, result.mtu)
            return
        data[_TTL] = ttl - 1
        checksum = (data[_CHECKSUM] << 8 | data[_CHECKSUM + 1]) + 0x100
        if checksum >= 0xFFFF:
            checksum = checksum + 1 & 0xFFFF
        data[_CHECKSUM] = checksum >> 8
        data[_CHECKSUM + 1] = checksum & 0xFF
        if result.redirect:
            netns.icmp.send_redirect(skb, result.gateway or skb.daddr)
        skb.out_link = result.link
        if self._netfilter.run(NF_INET_FORWARD, skb) is NF_ACCEPT:
            if skb.options is not None:
                forward_options(skb, skb.options, self._leaving_address(skb, result))
            self._transmit(skb, result if skb.route is None else skb.route)  # IPVS routes answers anew

    def _leaving_address(self, skb: Skb, result: RouteResult) -> int:
        """Our address on the way out, as record route notes it (ip_rt_get_source)."""
        if result.route is not None and result.route.source:
            return result.route.source
        return self._netns.select_address(result.link, result.gateway or skb.daddr, Scope.UNIVERSE)

    @staticmethod
    def _must_not_fragment(skb: Skb, result: RouteResult) -> bool:
        """Whether a packet larger than the MTU has to be refused (ip_exceeds_mtu)."""
        if not skb.fragment & DONT_FRAGMENT:
            return False
        return not skb.fragment_max_size or skb.fragment_max_size > result.mtu
