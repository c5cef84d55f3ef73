"""ARP: answers requests for our addresses, learns from what it hears, asks for neighbours (net/ipv4/arp.c)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from emulator.kernel.drop import DropReason
from emulator.kernel.neigh import Neighbour, NudState
from emulator.kernel.routing.route import RouteResult, RouteType, Scope
from emulator.kernel.skb import PacketType, Skb
from emulator.kernel.trace import StepKind
from emulator.packet.address import BROADCAST_MAC, format_ipv4, format_mac, is_loopback, is_multicast, mac_to_bytes

if TYPE_CHECKING:
    from emulator.kernel.link.link import Link
    from emulator.kernel.netns import Netns

REQUEST = 1
REPLY = 2

# Ethernet header; then RFC 826 for Ethernet and IPv4: hardware, protocol, their lengths, operation, sender, target.
_FRAME = struct.Struct("!6s6sH HHBBH 6sI6sI")
_ARP = struct.Struct("!HHBBH6sI6sI")
_FIXED_PART = (0x0800, 6, 4)
_HARDWARE = (1, 6)  # Ethernet, IEEE 802
_USER_HZ = 100


class Arp:
    """The ARP of one namespace."""

    def __init__(self, netns: Netns) -> None:
        self._netns = netns

    def receive(self, skb: Skb) -> None:
        """Take an ARP frame (arp_rcv, arp_process)."""
        link, data = skb.in_link, skb.data
        if link is None or len(data) < 14 + _ARP.size:
            self._netns.drop(skb, DropReason.PKT_TOO_SMALL)
            return
        if skb.packet_type is PacketType.OTHERHOST or not link.arp:
            self._netns.drop(skb, DropReason.OTHERHOST)
            return
        hardware, protocol, hardware_length, address_length, operation, sender, sip, target, tip = _ARP.unpack_from(
            data, 14
        )
        well_formed = hardware in _HARDWARE and (protocol, hardware_length, address_length) == _FIXED_PART
        localnet = link.conf.route_localnet or self._netns.sysctl.all.route_localnet
        refused = is_multicast(tip) or (is_loopback(tip) and not localnet)
        if not well_formed or operation not in (REQUEST, REPLY) or refused:
            self._netns.drop(skb, DropReason.INVALID_PROTO)
        elif sip == 0:
            self._answer_probe(link, operation, sender, tip, skb)
        elif operation == REQUEST and self._answer(link, skb, sender, sip, tip):
            return
        else:
            self._learn(link, skb, operation, sender, sip, target, tip)

    def solicit(self, entry: Neighbour, mac: int | None, skb: Skb | None, traced: Skb | None = None) -> None:
        """Ask for a neighbour, by unicast if its MAC is given. `skb` is the packet that wants to go there.

        `traced` is one that waits there too, and whose trace tells of the question.
        """
        link, target = entry.link, entry.address
        announce = max(link.conf.arp_announce, self._netns.sysctl.all.arp_announce)
        source = 0
        if skb is not None and announce < 2 and self._netns.fib.address_type(skb.saddr) is RouteType.LOCAL:
            known = any(own.holds(target) and own.holds(skb.saddr) for own in link.addresses)
            source = skb.saddr if announce == 0 or known else 0
        if not source:
            source = self._netns.select_address(link, target, Scope.LINK)
        self.send(link, REQUEST, BROADCAST_MAC if mac is None else mac, link.mac, source, 0, target, traced)

    def announce(self, link: Link, address: int) -> None:
        """Send a gratuitous ARP request: `arping -U`."""
        self.send(link, REQUEST, BROADCAST_MAC, link.mac, address, 0, address)

    def send(
        self,
        link: Link,
        operation: int,
        destination: int,
        sender: int,
        sip: int,
        target: int,
        tip: int,
        cause: Skb | None = None,
    ) -> None:
        """Put one ARP frame on a link; a traced packet's ARP carries its trace."""
        frame = _FRAME.pack(
            mac_to_bytes(destination), link.mac_bytes, 0x0806, 1, *_FIXED_PART, operation,
            mac_to_bytes(sender), sip, mac_to_bytes(target), tip,
        )  # fmt: skip
        skb = Skb(bytearray(frame), None if cause is None else cause.trace)
        link.transmit(skb)

    def _answer_probe(self, link: Link, operation: int, sender: bytes, tip: int, skb: Skb) -> None:
        """A duplicate address detection probe (RFC 5227) is answered, but nothing is learned from it."""
        local = self._netns.fib.address_type(tip) is RouteType.LOCAL
        if operation == REQUEST and local and not self._ignored(link, 0, tip):
            self._reply(link, skb, sender, 0, tip)

    def _answer(self, link: Link, skb: Skb, sender: bytes, sip: int, tip: int) -> bool:
        """Answer a request for one of our addresses, or for one we proxy. False: it is not for us to answer."""
        result = self._netns.routing.input(link, sip, tip, 0)
        if not isinstance(result, RouteResult):
            return False
        if result.type is RouteType.LOCAL:
            if not self._ignored(link, sip, tip) and not self._filtered(link, sip, tip):
                self._heard_request(link, sender, sip)
                self._reply(link, skb, sender, sip, tip)
            return True
        proxy = link.conf.proxy_arp or self._netns.sysctl.all.proxy_arp
        if proxy and link.conf.forwarding and result.type is RouteType.UNICAST and result.link is not link:
            self._heard_request(link, sender, sip)
            self._reply(link, skb, sender, sip, tip)
            return True
        return False

    def _heard_request(self, link: Link, sender: bytes, sip: int) -> None:
        """Whoever asks for us is about to talk to us (neigh_event_ns)."""
        entry = self._netns.neighbours.find(link, sip)
        if entry is not None:
            self._netns.neighbours.update(entry, int.from_bytes(sender, "big"), NudState.STALE)

    def _reply(self, link: Link, skb: Skb, sender: bytes, sip: int, tip: int) -> None:
        mac = int.from_bytes(sender, "big")
        if skb.trace is not None:
            skb.step(self._netns, StepKind.REPLY, why=f"ARP: {format_ipv4(tip)} is at {format_mac(link.mac)}")
        self.send(link, REPLY, mac, link.mac, tip, mac, sip, skb)

    def _ignored(self, link: Link, sip: int, tip: int) -> bool:
        """net.ipv4.conf.*.arp_ignore: which requests for local addresses are left unanswered."""
        mode = max(link.conf.arp_ignore, self._netns.sysctl.all.arp_ignore)
        if mode == 1:
            return not link.addresses.at(tip)
        if mode == 2:
            return not any(own.holds(sip) for own in link.addresses.at(tip))
        if mode == 3:
            return not any(
                own.scope <= Scope.LINK for other in self._netns.links.values() for own in other.addresses.at(tip)
            )
        return mode == 8

    def _filtered(self, link: Link, sip: int, tip: int) -> bool:
        """net.ipv4.conf.*.arp_filter: answer only on the link that the way back goes through."""
        if not (link.conf.arp_filter or self._netns.sysctl.all.arp_filter):
            return False
        result = self._netns.routing.output(sip, saddr=tip)
        return not isinstance(result, RouteResult) or result.link is not link

    def _learn(self, link: Link, skb: Skb, operation: int, sender: bytes, sip: int, target: bytes, tip: int) -> None:
        """Update an entry we have; a new one only by arp_accept. A lock time keeps the first of several answers."""
        neighbours = self._netns.neighbours
        entry = neighbours.get(link, sip)
        accept = max(link.conf.arp_accept, self._netns.sysctl.all.arp_accept)
        unicast = self._netns.fib.address_type(sip) is RouteType.UNICAST
        gratuitous = sip == tip and unicast and (operation == REQUEST or sender == target)
        if entry is None and accept and (gratuitous or (operation == REPLY and unicast)):
            entry = neighbours.find(link, sip)
        if entry is None:
            return
        lock = self._netns.sysctl.number("net.ipv4.neigh.default.locktime") / _USER_HZ
        override = gratuitous or self._netns.kernel.now > entry.updated + lock
        good = operation == REPLY and skb.packet_type is PacketType.HOST
        state = NudState.REACHABLE if good else NudState.STALE
        neighbours.update(entry, int.from_bytes(sender, "big"), state, override=override)
