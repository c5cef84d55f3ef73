"""SCTP of one namespace: the handler of protocol 132, its tables, and where associations begin.

It comes into being with the namespace's first SCTP socket, as Linux loads its module then; before that, packets are
answered with protocol unreachable.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from emulator.errors import WireError
from emulator.kernel.drop import DropReason
from emulator.kernel.sctp import chunks as chunk_input
from emulator.kernel.sctp.association import INBOUND_STREAMS, IP_HEADER, PROTOCOL, STREAMS, SctpSocket
from emulator.kernel.sctp.cookie import LIFETIME, Cookie, unseal
from emulator.kernel.sctp.inbound import RECEIVE_BUFFER
from emulator.kernel.sctp.listener import SctpListener
from emulator.kernel.sctp.state import State
from emulator.kernel.socket.base import Address, Socket, parse_address
from emulator.kernel.socket.error import os_error
from emulator.kernel.socket.port_table import PortTable
from emulator.kernel.trace import StepKind
from emulator.packet.address import BROADCAST_IPV4, is_multicast
from emulator.packet.icmp import DESTINATION_UNREACHABLE, FRAGMENTATION_NEEDED, PROTOCOL_UNREACHABLE
from emulator.packet.sctp import TAG_REFLECTED, Chunk, ChunkType, SctpHeader, has_valid_checksum, parse_chunks
from emulator.packet.sctp_chunks import Cause, Init, Parameter, build_parameters

if TYPE_CHECKING:
    from emulator.kernel.ip.icmp import IcmpError
    from emulator.kernel.netns import Netns
    from emulator.kernel.routing.route import RouteResult
    from emulator.kernel.skb import Skb
    from emulator.kernel.trace import Trace

Key = tuple[int, int, int, int]

_NEVER_ANSWERED = frozenset({ChunkType.ABORT, ChunkType.SHUTDOWN_COMPLETE, ChunkType.COOKIE_ACK, ChunkType.ERROR})


class Sctp:
    """`associations` by (our address, our port, theirs, their port); `ports` has the listeners too."""

    __slots__ = ("_listeners", "_secret", "associations", "netns", "ports")

    def __init__(self, netns: Netns) -> None:
        self.netns = netns
        random = netns.kernel.random
        self.ports: PortTable[Socket] = PortTable(random, _conflict)
        self.associations: dict[Key, SctpSocket] = {}
        self._listeners: dict[tuple[int, int], SctpListener] = {}
        self._secret = random.getrandbits(64), random.getrandbits(64)
        netns.protocols[PROTOCOL] = self.receive
        netns.error_handlers[PROTOCOL] = self.error

    def listen(self, address: Address, backlog: int = 128) -> SctpListener:
        """Open a listener. EADDRINUSE, EADDRNOTAVAIL."""
        host, port = parse_address(address)
        if host and not self.netns.sockets.is_local(host):
            raise os_error(errno.EADDRNOTAVAIL)
        listener = SctpListener(self, backlog)
        listener.laddr = host
        self.ports.bind(listener, port, self.netns.sockets.port_range())
        self._listeners[host, listener.lport] = listener
        return listener

    def connect(self, address: Address, source: Address | None = None, trace: Trace | None = None) -> SctpSocket:
        """Begin an association: bind, and send INIT. EADDRNOTAVAIL, EADDRINUSE, EINVAL, routing's errors."""
        raddr, rport = parse_address(address)
        laddr, lport = parse_address(source) if source is not None else (0, 0)
        if laddr and not self.netns.sockets.is_local(laddr):
            raise os_error(errno.EADDRNOTAVAIL)
        if rport == 0 or raddr in (0, BROADCAST_IPV4) or is_multicast(raddr):
            raise os_error(errno.EINVAL)
        route = self.netns.sockets.route(raddr, laddr, PROTOCOL, (lport, rport))
        association = SctpSocket(self, route, (laddr or route.source, lport), (raddr, rport))
        self.ports.bind(association, lport, self.netns.sockets.port_range())
        self.associations[association.key] = association
        association.begin(trace)
        return association

    def remove(self, association: SctpSocket) -> None:
        """Forget an association and give its port back."""
        if self.associations.get(association.key) is association:
            del self.associations[association.key]
        self.ports.release(association)

    def remove_listener(self, listener: SctpListener) -> None:
        """Forget a listener and give its port back."""
        self._listeners.pop((listener.laddr, listener.lport), None)
        self.ports.release(listener)

    def transmit(
        self,
        key: Key,
        tag: int,
        chunks: Iterable[Chunk],
        *,
        route: RouteResult | None = None,
        socket: SctpSocket | None = None,
        trace: Trace | None = None,
    ) -> None:
        """Send one packet; DF is set on what fits the path."""
        laddr, lport, raddr, rport = key
        packet = SctpHeader(lport, rport, tag).build(chunks)
        fits = route is None or len(packet) + IP_HEADER <= route.mtu
        self.netns.ip.output(
            PROTOCOL, packet, daddr=raddr, saddr=laddr, route=route, dont_fragment=fits, socket=socket, trace=trace
        )

    def receive(self, skb: Skb) -> None:
        """Give a packet to its association or listener; answer what belongs nowhere (sctp_rcv)."""
        try:
            header = SctpHeader.parse(skb.data, skb.transport)
            chunks = list(parse_chunks(skb.data, skb.transport))
        except WireError:
            self.netns.drop(skb, DropReason.INVALID_PROTO)
            return
        if not chunks or not has_valid_checksum(skb.data, skb.transport):
            self.netns.drop(skb, DropReason.SKB_CSUM if chunks else DropReason.INVALID_PROTO)
            return
        reason = self._dispatch(skb, header.verification_tag, chunks)
        if reason is not None:
            self.netns.drop(skb, reason, port=skb.dport)

    def error(self, error: IcmpError) -> SctpSocket | None:
        """Take an ICMP error about a packet of ours (sctp_v4_err); return the association that it is for."""
        header = SctpHeader.parse(error.quoted.ljust(error.transport + 12, b"\0"), error.transport)
        association = self.associations.get((error.saddr, header.source_port, error.daddr, header.destination_port))
        if association is None or header.verification_tag not in (association.peer_tag, 0):
            return None
        if error.type == DESTINATION_UNREACHABLE and error.code == FRAGMENTATION_NEEDED:
            association.set_mtu(error.info)
        elif error.type == DESTINATION_UNREACHABLE and error.code == PROTOCOL_UNREACHABLE and association.connecting:
            association.fail(errno.ENOPROTOOPT)
        return association  # others are soft: the handshake goes on until it times out

    def _dispatch(self, skb: Skb, tag: int, chunks: Sequence[Chunk]) -> DropReason | None:
        key = skb.daddr, skb.dport, skb.saddr, skb.sport
        association = self.associations.get(key)
        listener = self._listeners.get((skb.daddr, skb.dport)) or self._listeners.get((0, skb.dport))
        if skb.trace is not None and (association or listener) is not None:
            skb.step(self.netns, StepKind.DELIVER, protocol="sctp", socket=str(association or listener))
        first = chunks[0]
        try:
            if first.type == ChunkType.INIT:
                if tag or len(chunks) > 1:
                    return DropReason.INVALID_PROTO
                return self._answer_init(skb, Init.parse(first.value), association, listener)
            if first.type == ChunkType.COOKIE_ECHO:
                association = self._take_cookie(key, tag, first.value, association, listener)
                if association is None:
                    return DropReason.NO_SOCKET
                return chunk_input.arrive(association, chunks[1:])
        except WireError:
            return DropReason.INVALID_PROTO
        if association is None:
            self._answer_stray(skb, tag, chunks)
            return None
        if not chunk_input.is_ours(association, tag, chunks):
            return DropReason.INVALID_PROTO
        return chunk_input.arrive(association, chunks)

    def _answer_stray(self, skb: Skb, tag: int, chunks: Sequence[Chunk]) -> None:
        """Drop a packet that belongs nowhere, and answer it (section 8.4)."""
        self.netns.drop(skb, DropReason.NO_SOCKET, port=skb.dport)
        types = {chunk.type for chunk in chunks}
        if types & _NEVER_ANSWERED or skb.daddr == BROADCAST_IPV4 or is_multicast(skb.daddr):
            return
        kind = ChunkType.SHUTDOWN_COMPLETE if ChunkType.SHUTDOWN_ACK in types else ChunkType.ABORT
        self._answer(skb, tag, Chunk(kind, TAG_REFLECTED))

    def _answer(self, skb: Skb, tag: int, chunk: Chunk) -> None:
        if skb.trace is not None:
            skb.step(self.netns, StepKind.REPLY, why=f"SCTP {chunk}")
        self.transmit((skb.daddr, skb.dport, skb.saddr, skb.sport), tag, [chunk], trace=skb.trace)

    def _answer_init(
        self, skb: Skb, init: Init, association: SctpSocket | None, listener: SctpListener | None
    ) -> DropReason | None:
        """Send INIT ACK with all that we would have to remember in its cookie (sections 5.1, B, and 5.2)."""
        if not init.tag or not init.inbound or not init.outbound:
            return DropReason.INVALID_PROTO
        if association is not None and association.state is State.SHUTDOWN_ACK_SENT:
            self._answer(skb, association.peer_tag, Chunk(ChunkType.SHUTDOWN_ACK))
            return None
        if association is None and listener is None:
            self.netns.drop(skb, DropReason.NO_SOCKET, port=skb.dport)
            self._answer(skb, init.tag, Chunk(ChunkType.ABORT))
            return None
        random = self.netns.kernel.random
        own_tag, first = random.getrandbits(32) or 1, random.getrandbits(32)
        ties = (0, 0)
        if association is not None:
            if association.connecting:  # both began at once: the same tag and number again (section 5.2.1)
                own_tag, first = association.own_tag, association.own_first
            ties = association.own_tag, association.peer_tag
        cookie = Cookie(
            own_tag, init.tag, first, init.first, skb.saddr, init.window, skb.sport, skb.dport,
            init.outbound, init.inbound, *ties, self.netns.kernel.now,
        )  # fmt: skip
        parameters = ((int(Parameter.STATE_COOKIE), cookie.seal(self._secret)),)
        answer = Init(own_tag, RECEIVE_BUFFER, STREAMS, INBOUND_STREAMS, first, parameters)
        self._answer(skb, init.tag, Chunk(ChunkType.INIT_ACK, 0, answer.build()))
        return None

    def _take_cookie(
        self, key: Key, tag: int, value: bytes, association: SctpSocket | None, listener: SctpListener | None
    ) -> SctpSocket | None:
        """Make the association that a cookie remembers, or settle what there is with it (sections 5.1 and 5.2.4)."""
        cookie = unseal(value, self._secret)
        if (
            cookie is None
            or tag != cookie.own_tag
            or key[1:] != (cookie.own_port, cookie.peer_address, cookie.peer_port)
        ):
            return None
        same = association is not None and (cookie.own_tag, cookie.peer_tag) == (
            association.own_tag,
            association.peer_tag,
        )
        age = self.netns.kernel.now - cookie.created
        if age > LIFETIME and not same:
            cause = build_parameters(((Cause.STALE_COOKIE, int((age - LIFETIME) * 1e6).to_bytes(4, "big")),))
            self.transmit(key, cookie.peer_tag, [Chunk(ChunkType.ERROR, 0, cause)])
            return None
        if association is None:
            if listener is None or not listener.has_room:
                return None
            return self._accept(key, cookie, listener)
        if not same and not self._settle(association, cookie):
            return None
        if association.connecting:
            association.establish()
        association.transmit([Chunk(ChunkType.COOKIE_ACK)])
        return association

    def _settle(self, association: SctpSocket, cookie: Cookie) -> bool:
        """A cookie of other tags: both began at once (B), or the peer has begun again (A); else it is refused."""
        init = _peer_init(cookie)
        if cookie.own_tag == association.own_tag:
            association.agree(init)
            return True
        ties = cookie.own_tie, cookie.peer_tie
        if ties != (association.own_tag, association.peer_tag) or association.connecting:
            return False
        association.own_tag, association.own_first = cookie.own_tag, cookie.own_first
        association.agree(init)
        association.retransmit.stop()
        association.state = State.ESTABLISHED
        return True

    def _accept(self, key: Key, cookie: Cookie, listener: SctpListener) -> SctpSocket | None:
        laddr, lport, raddr, rport = key
        route = self.netns.ip.route_output(raddr, saddr=laddr, protocol=PROTOCOL, ports=(lport, rport))
        if isinstance(route, DropReason):
            return None
        association = SctpSocket(self, route, (laddr, lport), (raddr, rport))
        association.own_tag, association.own_first = cookie.own_tag, cookie.own_first
        association.agree(_peer_init(cookie))
        self.associations[key] = association
        self.ports.join(association)
        association.establish()
        association.transmit([Chunk(ChunkType.COOKIE_ACK)])
        listener.established(association)
        return association


def _conflict(_new: Socket, _old: Socket) -> bool:
    return True


def _peer_init(cookie: Cookie) -> Init:
    return Init(cookie.peer_tag, cookie.peer_window, cookie.outbound, cookie.inbound, cookie.peer_first)
