"""The far hosts: they turn a case's steps into frames, and answer what really came out, NATed or not.

A conversation has two ends. The client's end is drawn; the server's is learned from the first packet of the
conversation that comes out somewhere, so that replies take the way that the machine under test made for them.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass, field

from tests.kernel_oracle.drawn import packet
from tests.kernel_oracle.drawn.case import (
    CLIENT,
    SERVER,
    Conversation,
    EchoStep,
    ErrorStep,
    SctpStep,
    Shape,
    Talk,
    TcpStep,
)
from tests.kernel_oracle.drawn.topology import Topology
from tests.kernel_oracle.harness import Frames

ETHERNET = 14
OWN_TTL = 64  # no step sends packets with this TTL or the next, so what has it is the machine's own
_HEAD = struct.Struct("!HHIIHH")
_U32 = 0xFFFFFFFF


@dataclass
class _End:
    """One end of a conversation: where it is, as whom it sends, to whom, and its TCP numbers."""

    link: str
    address: str
    port: int
    peer: str
    peer_port: int
    next_seq: int
    next_ack: int = 0


@dataclass
class _State:
    plan: Conversation
    ends: list[_End] = field(default_factory=list)


class Hosts:
    """All hosts of one case. `identification` numbers its packets, so that no two cases' fragments meet."""

    def __init__(self, topology: Topology, conversations: tuple[Conversation, ...], identification: int) -> None:
        self._topology = topology
        self._identification = identification
        self._states = [self._begin(number, plan) for number, plan in enumerate(conversations)]
        self._seen: deque[tuple[str, bytes]] = deque(maxlen=12)  # link and packet, the newest first

    def _begin(self, number: int, plan: Conversation) -> _State:
        server = self._topology.link_of(plan.target)
        link = server.name if server is not None else self._topology.links[-1].name
        client_port, server_port = plan.sport, plan.dport
        if plan.protocol == packet.ICMP:
            server_port = plan.sport
        client = _End(plan.link, plan.source, client_port, plan.target, server_port, 1000 + number)
        return _State(plan, [client, _End(link, plan.target, server_port, plan.source, client_port, 500_000)])

    # Sending

    def frames(self, step: Talk | ErrorStep) -> list[tuple[str, bytes]]:
        """Return what a step sends: link and frame, several if it is cut into fragments."""
        if isinstance(step, ErrorStep):
            return self._error(step)
        state = self._states[step.conversation]
        end = state.ends[step.side]
        if isinstance(step, TcpStep):
            segment = self._segment(step, end)
        elif isinstance(step, SctpStep):
            segment = self._sctp(step, end, state.ends[1 - step.side])
        elif isinstance(step, EchoStep):
            rest = (end.port if step.side == CLIENT else end.peer_port) << 16 | step.sequence
            segment = packet.icmp(step.kind, 0, rest, payload(step.length))
        elif state.plan.protocol == packet.UDP:
            segment = packet.udp(end.address, end.peer, end.port, end.peer_port, payload(step.length))
        else:
            segment = payload(max(step.length, 12))
            if state.plan.protocol == packet.GRE and not step.length & 1:
                segment = packet.GRE_HEADER + segment
        return self._wrap(end.link, end.address, end.peer, state.plan.protocol, segment, step.shape)

    @staticmethod
    def _segment(step: TcpStep, end: _End) -> bytes:
        seq = end.next_seq + step.seq
        ack = end.next_ack + step.ack if step.flags & packet.ACK else 0
        if step.seq == 0:
            grown = step.length + (step.flags & packet.SYN != 0) + (step.flags & packet.FIN != 0)
            end.next_seq = end.next_seq + grown & _U32
        return packet.tcp(
            end.address, end.peer, end.port, end.peer_port, seq, ack, step.flags, step.window,
            bytes.fromhex(step.options), payload(step.length),
        )  # fmt: skip

    @staticmethod
    def _sctp(step: SctpStep, end: _End, other: _End) -> bytes:
        tag = 0 if step.chunk == packet.INIT else other.next_seq  # which is the other side's tag, here
        value = payload(step.length)
        if step.chunk in (packet.INIT, packet.INIT_ACK):
            value = struct.pack("!IIHHI", end.next_seq, 65_536, 1, 1, 1)
        elif step.chunk == packet.SCTP_DATA:
            value = struct.pack("!IHHI", 1, 0, 0, 0) + payload(max(step.length, 1))
        return packet.sctp(end.port, end.peer_port, tag + step.tag, step.chunk, value)

    def _error(self, step: ErrorStep) -> list[tuple[str, bytes]]:
        if step.back >= len(self._seen):
            return []
        link, about = self._seen[step.back]
        source, target, _, _ = packet.parse(about)
        sender = target
        if step.router:
            hosts = self._topology.plan(link).hosts
            sender = hosts[-1]
        segment = packet.icmp(step.kind, step.code, step.info, about[: step.quote])
        return self._wrap(link, sender, source, packet.ICMP, segment, step.shape)

    def _wrap(
        self, link: str, source: str, target: str, protocol: int, segment: bytes, shape: Shape
    ) -> list[tuple[str, bytes]]:
        self._identification = (self._identification + 1) & 0xFFFF or 1
        plan = self._topology.plan(link)
        mac = plan.mac
        if plan.bridge:
            beside = self._topology.link_of(target)
            own = next(bridge for bridge in self._topology.bridges if bridge[0] == plan.bridge)
            mac = beside.host_mac if beside is not None and beside.bridge == plan.bridge else own[1]
        head = bytes.fromhex(mac.replace(":", "") + plan.host_mac.replace(":", "")) + b"\x08\0"
        whole = packet.datagrams(source, target, protocol, segment, shape, self._identification)
        return [(link, head + each) for each in whole]

    # Learning

    def learn(self, step: Talk | ErrorStep, came_out: Frames) -> None:
        """Take note of what came out after a step."""
        packets = [
            (link, frame[ETHERNET:])
            for link, frames in came_out.items()
            for frame in frames
            if frame[12:14] == b"\x08\0" and len(frame) >= ETHERNET + 20
        ]
        for link, whole in packets:
            self._seen.appendleft((link, whole))
        if isinstance(step, ErrorStep) or step.shape.lost:
            return
        state = self._states[step.conversation]
        own = not state.plan.link and step.side == CLIENT
        passed = [each for each in packets if (each[1][8] == OWN_TTL) is own and each[1][9] == state.plan.protocol]
        chosen = next((each for each in passed if self._lives_at(*each)), passed[0] if passed else None)
        if chosen is not None:
            self._arrive(state, step, *chosen)

    def _lives_at(self, link: str, whole: bytes) -> bool:
        return packet.parse(whole)[1] in self._topology.plan(link).hosts

    def _arrive(self, state: _State, step: Talk, link: str, whole: bytes) -> None:
        source, target, protocol, header = packet.parse(whole)
        other = state.ends[SERVER if step.side == CLIENT else CLIENT]
        segment = whole[header:]
        if step.side == CLIENT:
            other.link, other.address, other.peer = link, target, source
            if protocol in (packet.TCP, packet.UDP, packet.SCTP) and len(segment) >= 4:
                other.peer_port, other.port = struct.unpack_from("!HH", segment)
            elif protocol == packet.ICMP and len(segment) >= 8:
                other.peer_port = other.port = int.from_bytes(segment[4:6], "big")
        if protocol != packet.TCP or len(segment) < 20:
            return
        _, _, seq, _, offset, _ = _HEAD.unpack_from(segment)
        length = max(0, len(segment) - (offset >> 12) * 4)
        if not offset & packet.RST:
            other.next_ack = seq + length + (offset >> 1 & 1) + (offset & 1) & _U32


def payload(length: int) -> bytes:
    """Return bytes that tell where they lie."""
    return bytes(range(65, 91)) * (length // 26) + bytes(range(97, 97 + length % 26))
