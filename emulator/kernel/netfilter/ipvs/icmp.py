"""ICMP errors about balanced connections: the packets they quote are rewritten too (ip_vs_core.c, `ip_vs_nat_icmp`)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from emulator.kernel.drop import DropReason
from emulator.kernel.netfilter.hook import Hook, Verdict
from emulator.kernel.netfilter.ipvs.service import Forwarding
from emulator.packet.checksum import checksum, is_valid

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipvs.connection import IpvsConnection
    from emulator.kernel.netfilter.ipvs.engine import Ipvs
    from emulator.kernel.netfilter.ipvs.transmit import Transmitter
    from emulator.kernel.netns import Netns
    from emulator.kernel.skb import Skb

ERRORS = frozenset({3, 4, 11})  # destination unreachable, source quench, time exceeded
_ICMP_HEADER = 8
_IP_HEADER = 20
_SOURCE, _DESTINATION, _HEADER_CHECKSUM = 12, 16, 10  # offsets in an IPv4 header
_ADDRESS = struct.Struct("!I")
_PORT = struct.Struct("!H")


class Quoted(NamedTuple):
    """A packet that an error quotes: where it and its transport header begin in the frame, and what it was."""

    network: int
    transport: int
    protocol: int
    saddr: int
    daddr: int
    sport: int
    dport: int


class Errors:
    """What IPVS does with ICMP errors. Answers are None where the packet is no error at all."""

    def __init__(self, ipvs: Ipvs, transmitter: Transmitter) -> None:
        self._ipvs = ipvs
        self._transmit = transmitter

    def request(self, netns: Netns, hook: Hook, skb: Skb) -> Verdict | None:
        """An error about an answer, from the client's side: on to the real server (`ip_vs_in_icmp`)."""
        quoted = self._quoted(skb)
        if quoted is None:
            return None
        connection = self._ipvs.connections.find_in(
            quoted.protocol, quoted.daddr, quoted.dport, quoted.saddr, quoted.sport
        )
        if connection is None:
            return Verdict.ACCEPT
        if not is_valid(skb.data[skb.transport :]):
            netns.drop(skb, DropReason.ICMP_CSUM)
            return Verdict.DROP
        self._count_in(connection, skb)
        if connection.forwarding is not Forwarding.MASQUERADE:
            return self._transmit.send(hook, skb, connection)
        # A real server here is out of reach from FORWARD: the packet would have to go up instead of on.
        route = self._transmit.find_way(hook, skb, connection, redirect=True, local=hook is not Hook.FORWARD)
        if route is None:
            return Verdict.DROP
        _rewrite(skb, quoted, outer=_DESTINATION, inner=_SOURCE, address=connection.daddr, port=connection.dport)
        skb.daddr = connection.daddr
        return self._transmit.send_or_continue(skb, connection, route)

    def reply(self, netns: Netns, hook: Hook, skb: Skb) -> Verdict | None:
        """An error about a request, from the real server's side: on to the client (`ip_vs_out_icmp`)."""
        quoted = self._quoted(skb)
        if quoted is None:
            return None
        connection = self._ipvs.connections.find_out(
            quoted.protocol, quoted.daddr, quoted.dport, quoted.saddr, quoted.sport
        )
        if connection is None:
            return Verdict.ACCEPT
        if connection.forwarding is Forwarding.MASQUERADE:
            if not is_valid(skb.data[skb.transport :]):
                netns.drop(skb, DropReason.ICMP_CSUM)
                return Verdict.DROP
            _rewrite(skb, quoted, outer=_SOURCE, inner=_DESTINATION, address=connection.vaddr, port=connection.vport)
            skb.saddr = connection.vaddr
            verdict = self._transmit.route_reply(netns, hook, skb)
            if verdict is not Verdict.ACCEPT:
                return verdict
        destination = connection.destination
        if destination is not None and destination.available:
            size = len(skb.data) - skb.network
            for each in (destination.statistics, destination.service.statistics, self._ipvs.statistics):
                each.packet_out(self._ipvs.now, size)
        self._transmit.mark_reply(skb, connection)
        return Verdict.ACCEPT

    def _count_in(self, connection: IpvsConnection, skb: Skb) -> None:
        destination = connection.destination
        if destination is not None and destination.available:
            size = len(skb.data) - skb.network
            for each in (destination.statistics, destination.service.statistics, self._ipvs.statistics):
                each.packet_in(self._ipvs.now, size)

    def _quoted(self, skb: Skb) -> Quoted | None:
        """The packet that an error quotes; None: no error, or one about nothing that IPVS balances."""
        data, network = skb.data, skb.transport + _ICMP_HEADER
        if len(data) < network + _IP_HEADER or data[skb.transport] not in ERRORS:
            return None
        transport = network + (data[network] & 15) * 4
        protocol = data[network + 9]
        if protocol not in self._ipvs.protocols or len(data) < transport + 4:
            return None
        saddr, daddr = struct.unpack_from("!II", data, network + _SOURCE)
        sport, dport = struct.unpack_from("!HH", data, transport)
        return Quoted(network, transport, protocol, saddr, daddr, sport, dport)


def _rewrite(skb: Skb, quoted: Quoted, *, outer: int, inner: int, address: int, port: int) -> None:
    """Put an address into both headers and a port into the quoted packet. Its transport checksum stays, as in Linux."""
    data = skb.data
    _ADDRESS.pack_into(data, skb.network + outer, address)
    _ADDRESS.pack_into(data, quoted.network + inner, address)
    _PORT.pack_into(data, quoted.transport + (0 if inner == _SOURCE else 2), port)
    _fill(data, skb.network, skb.transport, skb.network + _HEADER_CHECKSUM)
    _fill(data, quoted.network, quoted.transport, quoted.network + _HEADER_CHECKSUM)
    _fill(data, skb.transport, len(data), skb.transport + 2)


def _fill(data: bytearray, start: int, end: int, place: int) -> None:
    """Compute the checksum over a part of a frame anew."""
    data[place : place + 2] = b"\0\0"
    data[place : place + 2] = checksum(data[start:end]).to_bytes(2, "big")
