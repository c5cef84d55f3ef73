"""What carries frames from node to node: gathers them into datagrams for each peer, checks and counts what comes in.

Here is all that does not depend on the carrier; `underlay_udp` and `underlay_memory` move the datagrams.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.api.codec import (
    FRAME_OVERHEAD,
    SEGMENT_OVERHEAD,
    TRACE_OVERHEAD,
    DatagramEncoder,
    Fault,
    datagram_room,
    decode_datagram,
)
from emulator.api.messages import UnderlayCounters

if TYPE_CHECKING:
    from emulator.kernel.trace import Trace

UdpAddress = tuple[str, int]

TraceMarks = Mapping[int, Sequence[int]]
"""For the index of a traced frame: its trace's identity, the number of its last step, 1 if misses are wanted too."""

SegmentSizes = Mapping[int, int]
"""For the index of a frame that stands for several TCP segments: how many bytes of payload each of these has."""

Deliver = Callable[[str, Sequence[bytes], TraceMarks, SegmentSizes], None]
"""Takes the sender's name, the frames of one datagram, the marks of those that are traced, and the segment sizes."""

UNKNOWN_SENDER = "unknown sender"
WRONG_SOURCE = "another address than its sender's"
FRAME_TOO_LARGE = "frame too large to send"

MISSING_KEPT = 1_024
"""Sequence numbers of one peer that may still come late; what is older is lost for good."""


class Peer(Struct, frozen=True):
    """Another machine, as the registry has it; `mac` is that of its NIC, `more_macs` are those bridged behind it."""

    name: str
    address: UdpAddress
    mac: int
    more_macs: tuple[int, ...] = ()

    @property
    def macs(self) -> tuple[int, ...]:
        """All MACs whose frames go to it."""
        return (self.mac, *self.more_macs)


def parse_udp_address(text: str) -> UdpAddress:
    """Read `127.0.0.1:4789`. Raises ValueError for anything but an IPv4 address of the loopback network and a port.

    The underlay has no keys, so it goes nowhere else; and a name would be looked up while all else stands still.
    """
    host, _, port = text.rpartition(":")
    if not IPv4Address(host).is_loopback:
        raise ValueError(f"{host}: the underlay is on the loopback network only")
    if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65_536):
        raise ValueError(f"port {port!r}: must be between 1 and 65535")
    return host, int(port)


class _Outbox:
    """What waits to be sent to one peer in this loop turn."""

    __slots__ = ("frames", "peer", "segments", "sequence", "size", "traces")

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.sequence = 0
        self.frames: list[bytes] = []
        self.traces: dict[int, tuple[int, ...]] = {}
        self.segments: dict[int, int] = {}
        self.size = 0


class _Arrivals:
    """How far the datagrams of one peer have come, and which of the latest are missing (oldest first)."""

    __slots__ = ("epoch", "expected", "missing")

    def __init__(self, epoch: int, expected: int) -> None:
        self.epoch = epoch
        self.expected = expected
        self.missing: dict[int, None] = {}


class Underlay:
    """One node's side of the underlay. `epoch` differs for each start of the node's process."""

    def __init__(self, name: str, epoch: int) -> None:
        self.name = name
        self.peers: dict[str, Peer] = {}
        self.refused: Counter[str] = Counter()
        self.sent_datagrams = self.sent_frames = self.sent_bytes = 0
        self.received_datagrams = self.received_frames = self.received_bytes = 0
        self.lost = 0
        self._encoder = DatagramEncoder(name, epoch)
        self._room = datagram_room(name)
        self._by_mac: dict[bytes, _Outbox] = {}
        self._outboxes: dict[str, _Outbox] = {}
        self._arrivals: dict[str, _Arrivals] = {}

    @property
    def address(self) -> UdpAddress:
        """Where peers reach this node."""
        raise NotImplementedError

    async def run(self, deliver: Deliver) -> None:
        """Receive until cancelled; `deliver` is called for each datagram, in the order of arrival."""
        raise NotImplementedError

    def transmit(self, data: bytes, address: UdpAddress) -> None:
        """Send one datagram without waiting; what cannot be sent is counted."""
        raise NotImplementedError

    def set_peers(self, peers: Iterable[Peer]) -> None:
        """Say who the other nodes are now; sequence numbers towards those that stay go on."""
        self.peers = {peer.name: peer for peer in peers if peer.name != self.name}
        outboxes = {}
        for peer in self.peers.values():
            outbox = self._outboxes.get(peer.name) or _Outbox(peer)
            outbox.peer = peer
            outboxes[peer.name] = outbox
        self._outboxes = outboxes
        self._by_mac = {mac.to_bytes(6): outbox for outbox in outboxes.values() for mac in outbox.peer.macs}

    @property
    def largest_frame(self) -> int:
        """Bytes of the longest frame that can be sent."""
        return self._room - FRAME_OVERHEAD - TRACE_OVERHEAD - SEGMENT_OVERHEAD

    def send(self, frame: bytes, trace: Trace | None = None, gso_size: int = 0) -> None:
        """Gather a frame for the peer that has its destination, or for all: broadcast, multicast, unknown unicast."""
        outbox = self._by_mac.get(frame[:6])
        if outbox is not None:
            self._gather(outbox, frame, trace, gso_size)
            return
        for outbox in self._outboxes.values():
            self._gather(outbox, frame, trace, gso_size)

    def flush(self) -> None:
        """Send what was gathered: once a loop turn."""
        for outbox in self._outboxes.values():
            if outbox.frames:
                self._send_datagram(outbox)

    def counters(self) -> UnderlayCounters:
        """What was sent, received, lost and refused so far."""
        return UnderlayCounters(
            sent_datagrams=self.sent_datagrams,
            sent_frames=self.sent_frames,
            sent_bytes=self.sent_bytes,
            received_datagrams=self.received_datagrams,
            received_frames=self.received_frames,
            received_bytes=self.received_bytes,
            lost=self.lost,
            refused=dict(self.refused),
        )

    def accept(self, data: bytes | memoryview, source: UdpAddress, deliver: Deliver) -> None:
        """Check one datagram that came from `source`, and deliver its frames; what is none of ours is counted."""
        datagram = decode_datagram(data)
        if isinstance(datagram, Fault):
            self.refused[datagram.value] += 1
            return
        peer = self.peers.get(datagram.sender)
        if peer is None:
            self.refused[UNKNOWN_SENDER] += 1
            return
        if peer.address != source:
            self.refused[WRONG_SOURCE] += 1
            return
        self._count_gap(datagram.sender, datagram.epoch, datagram.sequence)
        self.received_datagrams += 1
        self.received_frames += len(datagram.frames)
        self.received_bytes += len(data)
        deliver(datagram.sender, datagram.frames, datagram.traces, datagram.segments)

    def _gather(self, outbox: _Outbox, frame: bytes, trace: Trace | None, gso_size: int) -> None:
        size = len(frame) + FRAME_OVERHEAD + (0 if trace is None else TRACE_OVERHEAD)
        if gso_size:
            size += SEGMENT_OVERHEAD
        if outbox.size + size > self._room:
            if size > self._room:
                self.refused[FRAME_TOO_LARGE] += 1
                return
            self._send_datagram(outbox)
        if trace is not None:
            mark = (trace.identity, trace.number)
            outbox.traces[len(outbox.frames)] = (*mark, 1) if trace.considered else mark
        if gso_size:
            outbox.segments[len(outbox.frames)] = gso_size
        outbox.frames.append(frame)
        outbox.size += size

    def _send_datagram(self, outbox: _Outbox) -> None:
        data = self._encoder.encode(outbox.sequence, outbox.frames, outbox.traces, outbox.segments)
        outbox.sequence += 1
        self.sent_datagrams += 1
        self.sent_frames += len(outbox.frames)
        self.sent_bytes += len(data)
        outbox.frames = []
        outbox.size = 0
        if outbox.traces:
            outbox.traces = {}
        if outbox.segments:
            outbox.segments = {}
        self.transmit(data, outbox.peer.address)

    def _count_gap(self, sender: str, epoch: int, sequence: int) -> None:
        """Count missing numbers as lost; one that comes late after all was not."""
        arrivals = self._arrivals.get(sender)
        if arrivals is None or arrivals.epoch != epoch:
            self._arrivals[sender] = _Arrivals(epoch, sequence + 1)
            return
        if sequence >= arrivals.expected:
            self.lost += sequence - arrivals.expected
            first = max(arrivals.expected, sequence - MISSING_KEPT)
            arrivals.missing |= dict.fromkeys(range(first, sequence))
            while len(arrivals.missing) > MISSING_KEPT:
                del arrivals.missing[next(iter(arrivals.missing))]
            arrivals.expected = sequence + 1
        elif sequence in arrivals.missing:  # else it came twice
            del arrivals.missing[sequence]
            self.lost -= 1
