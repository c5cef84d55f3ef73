"""IPv4 on its way out: packets of our own, OUTPUT, POSTROUTING, fragments, the next hop (net/ipv4/ip_output.c)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from emulator.kernel import gso
from emulator.kernel.drop import DropReason
from emulator.kernel.ip.fragment import split
from emulator.kernel.ip.header import DONT_FRAGMENT, PORTS, WITH_PORTS
from emulator.kernel.ip.options import note_options
from emulator.kernel.netfilter.hook import NF_ACCEPT, NF_INET_LOCAL_OUT, NF_INET_POST_ROUTING, Verdict
from emulator.kernel.routing.route import RTN_MULTICAST, RTN_UNICAST, RouteResult, RouteType
from emulator.kernel.skb import PacketType, Skb
from emulator.kernel.trace import StepKind, Trace
from emulator.packet.address import format_ipv4
from emulator.packet.checksum import checksum

if TYPE_CHECKING:
    from emulator.kernel.link.link import Link
    from emulator.kernel.netns import Netns

DESTINATION_UNREACHABLE, FRAGMENTATION_NEEDED = 3, 4

_HEADER = struct.Struct("!14xBBHHHBBHII")  # room for the Ethernet header, then IPv4
_TOS = 15
_MAXIMUM = 0xFFFF
_LEAST_PIECE = 8  # bytes of payload in a fragment that is not the last
_GROUP_TYPES = frozenset({RouteType.BROADCAST, RouteType.MULTICAST})


class IpOutput:
    """The sending side of one namespace."""

    def __init__(self, netns: Netns) -> None:
        self._netns = netns
        self._netfilter = netns.netfilter
        self._routing = netns.routing
        self._identification = netns.kernel.random.getrandbits(16)

    def output(
        self,
        protocol: int,
        segment: bytes | bytearray,
        *,
        daddr: int,
        saddr: int = 0,
        route: RouteResult | None = None,
        ttl: int | None = None,
        tos: int = 0,
        dont_fragment: bool = False,
        mark: int = 0,
        link: Link | None = None,
        options: bytes = b"",
        socket: object | None = None,
        trace: Trace | None = None,
        identification: int | None = None,
        gso_size: int = 0,
    ) -> DropReason | None:
        """Send a transport segment whose checksum is filled in. None if it went on its way, else why it did not.

        `saddr` 0 takes the route's. `identification` None draws one, or 0 with `dont_fragment`, as Linux does for
        sockets that are not connected. `gso_size`: the segment stands for several with so many bytes of payload each.
        """
        if route is None or route.generation != self._netns.fib.generation:
            ports = PORTS.unpack_from(segment) if protocol in WITH_PORTS and len(segment) >= 4 else (0, 0)
            decision = self._routing.output(
                daddr, saddr=saddr, link=link, mark=mark, tos=tos, protocol=protocol, ports=ports
            )
            if not isinstance(decision, RouteResult):
                return decision
            route = decision
        if len(segment) + len(options) + 20 > (route.mtu if dont_fragment and not gso_size else _MAXIMUM):
            return DropReason.PKT_TOO_BIG
        if ttl is None:
            ttl = 1 if route.type is RTN_MULTICAST else self._netns.sysctl.default_ttl
        if identification is None:
            identification = 0 if dont_fragment else self.next_identification()
        skb = self.build(
            protocol, segment, saddr or route.source, daddr, ttl, tos, identification, dont_fragment, options, trace
        )
        skb.mark = mark
        skb.socket = socket
        skb.gso_size = gso_size
        return self.local_out(skb, route)

    def build(
        self,
        protocol: int,
        segment: bytes | bytearray,
        saddr: int,
        daddr: int,
        ttl: int,
        tos: int = 0,
        identification: int = 0,
        dont_fragment: bool = False,
        options: bytes = b"",
        trace: Trace | None = None,
    ) -> Skb:
        """Return a frame with room for its Ethernet header, and the Skb's fields set."""
        options += bytes(-len(options) % 4)
        words = 5 + len(options) // 4
        length = words * 4 + len(segment)
        fragment = DONT_FRAGMENT if dont_fragment else 0
        # The sum of 16-bit words is, modulo 65535, that of any wider ones.
        total = (0x40 | words) << 8 | tos
        total += length + identification + fragment + (ttl << 8 | protocol) + saddr + daddr
        value = checksum(options, total) if options else -total % 0xFFFF
        header = _HEADER.pack(0x40 | words, tos, length, identification, fragment, ttl, protocol, value, saddr, daddr)
        skb = Skb(bytearray(b"".join((header, options, segment))), trace)
        skb.transport = 14 + words * 4
        skb.saddr = saddr
        skb.daddr = daddr
        skb.protocol = protocol
        skb.fragment = fragment
        if options:
            note_options(skb)
        if protocol in WITH_PORTS and len(segment) >= 4:
            skb.sport, skb.dport = PORTS.unpack_from(segment)
        return skb

    def local_out(self, skb: Skb, result: RouteResult) -> DropReason | None:
        """Send a packet that this machine made: OUTPUT, which may have it go another way (ip_local_out)."""
        skb.route = result
        skb.out_link = result.link
        if skb.trace is not None:
            self._trace_send(skb, result)
        verdict = self._netfilter.run(NF_INET_LOCAL_OUT, skb)
        if verdict is not NF_ACCEPT:
            # What a hook took over (IPVS) it sends itself, and whether that works out the sender is not told.
            return None if verdict is Verdict.STOLEN else _refusal(skb)
        skb.out_link = skb.route.link
        return self.transmit(skb, skb.route)

    def transmit(self, skb: Skb, result: RouteResult) -> DropReason | None:
        """Send a routed packet: POSTROUTING, then to the next hop (ip_output, ip_mc_output).

        Says whether POSTROUTING dropped it, which a local sender is told.
        """
        kind = result.type
        if kind is not RTN_UNICAST and kind in _GROUP_TYPES and not result.link.loopback:
            self._loop_back(skb, result)
            if kind is RTN_MULTICAST and skb.data[22] == 0:
                return None
        verdict = self._netfilter.run(NF_INET_POST_ROUTING, skb)
        if verdict is not NF_ACCEPT:
            return None if verdict is Verdict.STOLEN else DropReason.NETFILTER_DROP
        self._finish(skb, result)
        return None

    def _finish(self, skb: Skb, result: RouteResult) -> None:
        """Fragment if need be, and hand over to the neighbour (ip_finish_output)."""
        if (len(skb.data) - 14 > result.mtu and not gso.fits(skb, result.mtu)) or skb.fragment_max_size:
            self._fragment(skb, result)
            return
        neighbour = result.neighbour
        if neighbour is None or neighbour.dead:
            neighbour = self._netns.neighbours.find(result.link, result.gateway or skb.daddr)
            if neighbour is None:
                self._netns.drop(skb, DropReason.NEIGH_CREATEFAIL)
                return
            result.neighbour = neighbour
        header = neighbour.header
        if header is not None and skb.trace is None:
            skb.data[0:14] = header
            result.link.transmit(skb)
        else:
            self._netns.neighbours.output(skb, neighbour)

    def _fragment(self, skb: Skb, result: RouteResult) -> None:
        """Send a packet in pieces, or refuse to (ip_fragment)."""
        if skb.gso_size:  # segments first, of which each then is too large (ip_finish_output_gso)
            for piece in gso.segment(skb):
                self._finish(piece, result)
            return
        too_big = skb.fragment_max_size > result.mtu or not skb.fragment_max_size
        if skb.fragment & DONT_FRAGMENT and too_big:
            self._netns.drop(skb, DropReason.PKT_TOO_BIG)
            self._netns.icmp.send_error(skb, DESTINATION_UNREACHABLE, FRAGMENTATION_NEEDED, result.mtu)
            return
        if result.mtu < (skb.data[14] & 15) * 4 + _LEAST_PIECE:  # a route may have any MTU
            self._netns.drop(skb, DropReason.PKT_TOO_BIG)
            return
        pieces = split(skb, result.mtu)
        if skb.trace is not None:
            skb.step(self._netns, StepKind.FRAGMENTED, fragments=len(pieces))
        for piece in pieces:
            self._finish(piece, result)

    def reroute(self, skb: Skb) -> RouteResult | DropReason:
        """Route again after OUTPUT changed addresses or the mark (ip_route_me_harder)."""
        decision = self._routing.output(
            skb.daddr, saddr=skb.saddr, mark=skb.mark, any_source=True, tos=skb.data[_TOS], protocol=skb.protocol,
            ports=(skb.sport, skb.dport),
        )  # fmt: skip
        if isinstance(decision, RouteResult):
            skb.route = decision
            skb.out_link = decision.link
            if skb.trace is not None:
                self._trace_route(skb, decision)
        return decision

    def _loop_back(self, skb: Skb, result: RouteResult) -> None:
        """Deliver a copy of what we send to a group we are in, or to everybody, here too (dev_loopback_xmit)."""
        if result.type is RTN_MULTICAST and skb.daddr not in result.link.multicast_groups:
            return
        copy = skb.clone()
        copy.socket = None
        if self._netfilter.run(NF_INET_POST_ROUTING, copy) is not NF_ACCEPT:
            return
        copy.packet_type = PacketType.LOOPBACK
        copy.in_link = result.link
        self._netns.kernel.schedule(0.0, lambda: self._netns.ip.receive(copy))

    def next_identification(self) -> int:
        """Return the next value of the identification field for packets that may be fragmented."""
        self._identification = self._identification + 1 & 0xFFFF
        return self._identification

    def _trace_send(self, skb: Skb, result: RouteResult) -> None:
        skb.step(self._netns, StepKind.SEND, socket="" if skb.socket is None else str(skb.socket))
        self._trace_route(skb, result)

    def _trace_route(self, skb: Skb, result: RouteResult) -> None:
        skb.step(
            self._netns,
            StepKind.ROUTE,
            decision="output",
            route="" if result.route is None else result.route.format(show_table=True),
            link=result.link.name,
            gateway=format_ipv4(result.gateway) if result.gateway else "",
        )


def _refusal(skb: Skb) -> DropReason:
    """What a local sender is told of a packet that did not pass OUTPUT: NAT may have sent it where no route goes."""
    return DropReason.IP_OUTNOROUTES if skb.route is None else DropReason.NETFILTER_DROP
