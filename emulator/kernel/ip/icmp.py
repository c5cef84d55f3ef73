"""ICMP of one namespace: answers echo, reports errors to senders within Linux's rate limits, hands errors to sockets.

net/ipv4/icmp.c; the token buckets are icmp_global_allow, inet_peer_xrlim_allow, and those of route.c for errors and
redirects, which share one bucket a destination.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.kernel.drop import DropReason
from emulator.kernel.ip.header import NETWORK, OFFSET_MASK
from emulator.kernel.ip.icmp_limit import IcmpLimit
from emulator.kernel.ip.options import echo_options, milliseconds_of_day
from emulator.kernel.owner import CONTROL
from emulator.kernel.routing.route import RouteResult, RouteType, Scope
from emulator.kernel.skb import CtInfo, PacketType, Skb
from emulator.kernel.trace import StepKind, Trace
from emulator.packet.checksum import checksum, is_valid
from emulator.packet.icmp import error_name
from emulator.packet.ipv4 import PROTOCOL_NAMES

if TYPE_CHECKING:
    from emulator.kernel.link.link import Link
    from emulator.kernel.netns import Netns

PROTOCOL = 1
ECHO_REPLY, DESTINATION_UNREACHABLE, REDIRECT, ECHO_REQUEST = 0, 3, 5, 8
TIME_EXCEEDED, PARAMETER_PROBLEM, TIMESTAMP_REQUEST, TIMESTAMP_REPLY = 11, 12, 13, 14
FRAGMENTATION_NEEDED = 4
REDIRECT_HOST = 1

MAXIMUM_QUOTE = 576
HIGHEST_TYPE = 18
_NOT_ERRORS = frozenset({0, 8, 13, 14, 15, 16, 17, 18})
_ANSWERED_TO_GROUPS = frozenset({ECHO_REQUEST, TIMESTAMP_REQUEST, 17, 18})
_INTERNET_CONTROL = 0xC0
_TOS_MASK = 0x1E

_HEADER = struct.Struct("!BBHI")
_QUOTED = struct.Struct("!B8xB2xII")  # version and length, protocol, addresses


class IcmpError(Struct, frozen=True):
    """An ICMP error about a packet of ours. `quoted` is that packet's beginning, from its IPv4 header.

    `source` is who reports it; `info` the next-hop MTU, gateway or pointer; addresses are those of the quoted packet.
    """

    type: int
    code: int
    info: int
    source: int
    protocol: int
    saddr: int
    daddr: int
    quoted: bytes
    transport: int
    trace: Trace | None = None
    link: Link | None = None
    ttl: int = 0  # that the message had left when it came in


class Icmp:
    """The ICMP of one namespace. `handlers[type]` takes messages that it does not answer itself (echo replies)."""

    def __init__(self, netns: Netns) -> None:
        self._netns = netns
        self._limit = IcmpLimit(netns)
        self.handlers: dict[int, Callable[[Skb], None]] = {}
        self.received = 0
        self.sent = 0
        self._sending = False
        netns.protocols[PROTOCOL] = self.receive

    # Receiving

    def receive(self, skb: Skb) -> None:
        """Take an ICMP message that is for us (icmp_rcv)."""
        message = skb.data[skb.transport :]
        if len(message) < 8:
            self._netns.drop(skb, DropReason.PKT_TOO_SMALL)
            return
        if not is_valid(message):
            self._netns.drop(skb, DropReason.ICMP_CSUM)
            return
        self.received += 1
        kind = message[0]
        if self._to_group(skb) and not self._answers_group(kind):
            self._netns.drop(skb, DropReason.ICMP_IGNORED)
        elif kind == ECHO_REQUEST:
            self._echo(skb, message)
        elif kind == TIMESTAMP_REQUEST and len(message) >= 12:
            self._timestamp(skb, message)
        elif kind in self.handlers:
            self.handlers[kind](skb)
        elif kind > HIGHEST_TYPE or kind in _NOT_ERRORS:
            self._netns.drop(skb, DropReason.ICMP_IGNORED)
        else:
            self._error(skb, message)

    @staticmethod
    def _to_group(skb: Skb) -> bool:
        return skb.route is not None and skb.route.type in (RouteType.BROADCAST, RouteType.MULTICAST)

    def _answers_group(self, kind: int) -> bool:
        if kind not in _ANSWERED_TO_GROUPS:
            return False
        asked = kind in (ECHO_REQUEST, TIMESTAMP_REQUEST)
        return not (asked and self._netns.sysctl.number("net.ipv4.icmp_echo_ignore_broadcasts"))

    def _echo(self, skb: Skb, message: bytearray) -> None:
        if self._netns.sysctl.number("net.ipv4.icmp_echo_ignore_all"):
            self._netns.drop(skb, DropReason.ICMP_IGNORED)
            return
        message[0] = ECHO_REPLY
        self._reply(skb, message, "ICMP echo reply")

    def _timestamp(self, skb: Skb, message: bytearray) -> None:
        message[0] = TIMESTAMP_REPLY
        now = milliseconds_of_day(self._netns.kernel.now)
        message[12:20] = now.to_bytes(4, "big") * 2
        self._reply(skb, message[:20], "ICMP timestamp reply")

    def _reply(self, skb: Skb, message: bytearray, why: str) -> None:
        """Send an answer to where a message came from, from the address that it was for (icmp_reply)."""
        source = self.answering_address(skb)
        mark, tos = self._mark(skb), skb.data[NETWORK + 1]
        decision = self._netns.routing.output(skb.saddr, saddr=source, mark=mark, tos=tos, protocol=PROTOCOL)
        if not isinstance(decision, RouteResult):
            self._netns.drop(skb, decision)
            return
        options = echo_options(skb, source or decision.source, milliseconds_of_day(self._netns.kernel.now))
        if options is None:
            return
        if skb.trace is not None:
            skb.step(self._netns, StepKind.DELIVER, protocol="icmp", socket="kernel")
            skb.step(self._netns, StepKind.REPLY, why=why)
        message[2:4] = b"\0\0"
        message[2:4] = checksum(message).to_bytes(2, "big")
        self.sent += 1
        ip = self._netns.ip
        answer = ip.build(
            PROTOCOL, message, source or decision.source, skb.saddr, self._netns.sysctl.default_ttl, tos,
            ip.next_identification(), options=options, trace=skb.trace,
        )  # fmt: skip
        answer.mark = mark
        self._transmit(answer, decision)

    def _transmit(self, message: Skb, decision: RouteResult) -> None:
        """Send a message; what happens to it on the way out is not reported, as ICMP's own lock is held meanwhile."""
        message.socket = CONTROL
        self._sending = True
        try:
            self._netns.ip.local_out(message, decision)
        finally:
            self._sending = False

    def _mark(self, skb: Skb) -> int:
        """The mark of an answer: the packet's own if net.ipv4.fwmark_reflect says so (IP4_REPLY_MARK)."""
        return skb.mark if self._netns.sysctl.number("net.ipv4.fwmark_reflect") else 0

    def answering_address(self, skb: Skb) -> int:
        """The address an answer comes from (fib_compute_spec_dst): the one asked, or if it is not ours the link's."""
        if skb.in_link is None or (skb.route is not None and skb.route.type is RouteType.LOCAL):
            return skb.daddr
        route = self._netns.fib.lookup(skb.saddr)
        if not isinstance(route, DropReason) and route.link is not None:
            return route.source or self._netns.select_address(route.link, route.gateway or skb.saddr, Scope.UNIVERSE)
        return self._netns.select_address(skb.in_link, skb.saddr, Scope.UNIVERSE)

    def _error(self, skb: Skb, message: bytearray) -> None:
        """Hand an error to the protocol that sent the quoted packet (icmp_unreach, icmp_socket_deliver)."""
        quoted = bytes(message[8:])
        if len(quoted) < 20:
            self._netns.drop(skb, DropReason.PKT_TOO_SMALL)
            return
        version_length, protocol, saddr, daddr = _QUOTED.unpack_from(quoted)
        transport = (version_length & 15) * 4
        if version_length >> 4 != 4 or transport < 20 or len(quoted) < transport + 8:
            self._netns.drop(skb, DropReason.PKT_TOO_SMALL)
            return
        kind, code, _, info = _HEADER.unpack_from(message)
        if kind == DESTINATION_UNREACHABLE and code == FRAGMENTATION_NEEDED:
            info &= 0xFFFF
            if info and self._netns.sysctl.number("net.ipv4.ip_no_pmtu_disc") == 0:
                self._netns.routing.update_path_mtu(daddr, info)
        handler = self._netns.error_handlers.get(protocol)
        if handler is None:
            self._netns.drop(skb, DropReason.ICMP_IGNORED)
            return
        ttl = skb.data[skb.network + 8]
        error = IcmpError(
            kind, code, info, skb.saddr, protocol, saddr, daddr, quoted, transport, skb.trace, skb.in_link, ttl
        )
        socket = handler(error)
        if skb.trace is not None and socket is not None:
            name = PROTOCOL_NAMES.get(protocol, str(protocol)).lower()
            skb.step(self._netns, StepKind.DELIVER, protocol=name, socket=str(socket))

    # Sending

    def may_report_unreachable(self, daddr: int) -> bool:
        """Whether route.c's own limit lets another "unreachable" go to this sender (ip_error)."""
        return self._limit.allow_route_error(daddr)

    def send_error(self, skb: Skb, kind: int, code: int, info: int = 0) -> None:
        """Report to the sender of `skb` what became of it, unless the rules or the rate limits forbid (icmp_send).

        `info` is the second word of the message: the next-hop MTU, the gateway, the pointer.
        """
        route, link = skb.route, skb.in_link
        if self._sending or route is None or skb.packet_type is not PacketType.HOST or route.type in _GROUP_ROUTES:
            return
        if skb.fragment & OFFSET_MASK or (kind != ECHO_REPLY and self._is_error(skb)):
            return
        limited = (link is None or not link.loopback) and not self._limit.exempt(kind, code)
        if limited and not self._limit.allow_global():
            return
        source = skb.daddr if route.type is RouteType.LOCAL else self._reporting_address(skb)
        tos = skb.data[NETWORK + 1] & _TOS_MASK | _INTERNET_CONTROL
        decision = self._netns.routing.output(
            skb.saddr, saddr=source, mark=self._mark(skb), tos=tos, protocol=PROTOCOL, ports=(0, kind << 8 | code),
            cause=skb,
        )  # fmt: skip
        if not isinstance(decision, RouteResult):
            return
        if limited and not decision.link.loopback:
            if not self._limit.allow_peer(skb.saddr):
                return
            self._limit.consume_global()
        self._send(skb, kind, code, info, source, tos, decision)

    def send_redirect(self, skb: Skb, gateway: int) -> None:
        """Tell a sender of a shorter way, seldom (ip_rt_send_redirect)."""
        if self._limit.allow_redirect(skb.saddr):
            self.send_error(skb, REDIRECT, REDIRECT_HOST, gateway)

    def _send(self, skb: Skb, kind: int, code: int, info: int, source: int, tos: int, decision: RouteResult) -> None:
        source = source or decision.source
        options = echo_options(skb, source, milliseconds_of_day(self._netns.kernel.now))
        if options is None or (room := min(decision.mtu, MAXIMUM_QUOTE) - 28 - len(options)) <= 20:
            return
        message = bytearray(_HEADER.pack(kind, code, 0, info))
        message += skb.data[NETWORK : NETWORK + room]
        message[2:4] = checksum(message).to_bytes(2, "big")
        if skb.trace is not None:
            skb.step(self._netns, StepKind.REPLY, why=f"ICMP {error_name(kind, code)}")
        ip = self._netns.ip
        answer = ip.build(
            PROTOCOL, message, source, skb.saddr, self._netns.sysctl.default_ttl, tos, ip.next_identification(),
            options=options, trace=skb.trace,
        )  # fmt: skip
        answer.mark = self._mark(skb)
        if skb.ct is not None:  # nf_ct_attach: the error belongs to the connection that it is about
            answer.ct = skb.ct
            answer.ctinfo = CtInfo.RELATED_REPLY if skb.ctinfo < CtInfo.ESTABLISHED_REPLY else CtInfo.RELATED
        self.sent += 1
        self._transmit(answer, decision)

    def _reporting_address(self, skb: Skb) -> int:
        """0, so that the way back picks the address; or the link's, by net.ipv4.icmp_errors_use_inbound_ifaddr."""
        if skb.in_link is None or not self._netns.sysctl.number("net.ipv4.icmp_errors_use_inbound_ifaddr"):
            return 0
        return self._netns.select_address(skb.in_link, skb.saddr, Scope.LINK)

    @staticmethod
    def _is_error(skb: Skb) -> bool:
        """Whether a packet is an ICMP error itself, or not to be told from one."""
        if skb.protocol != PROTOCOL:
            return False
        return skb.transport >= len(skb.data) or skb.data[skb.transport] not in _NOT_ERRORS


_GROUP_ROUTES = frozenset({RouteType.BROADCAST, RouteType.MULTICAST})
