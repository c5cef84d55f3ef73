"""Fragments: putting packets together for local delivery and conntrack, and cutting them for a small MTU.

Reassembly as in net/ipv4/ip_fragment.c and inet_fragment.c; cutting as ip_do_fragment in net/ipv4/ip_output.c.
"""

from __future__ import annotations

import enum
from bisect import bisect_left
from typing import TYPE_CHECKING

from emulator.kernel.drop import DropReason
from emulator.kernel.ip.header import (
    DONT_FRAGMENT,
    IS_FRAGMENT,
    MORE_FRAGMENTS,
    NETWORK,
    OFFSET_MASK,
    PORTS,
    WITH_PORTS,
)
from emulator.kernel.routing.route import RouteResult, RouteType
from emulator.kernel.skb import Skb
from emulator.kernel.timer import Timer
from emulator.kernel.trace import StepKind
from emulator.packet.checksum import checksum

if TYPE_CHECKING:
    from emulator.kernel.netns import Netns

LOCAL_DELIVER = 0  # who reassembles; each keeps queues of its own (enum ip_defrag_users)
CONNTRACK_IN = 1
CONNTRACK_OUT = 2
IPVS_IN, IPVS_FORWARD, IPVS_OUT = 3, 4, 5

TIME_EXCEEDED, FRAGMENT_TIME = 11, 1
MAXIMUM_LENGTH = 65_535
_OVERHEAD = 640  # what an skb weighs beside its bytes
_SENDER_LIMIT = 4096
_ECN_MASK = 3  # the codepoint in a TOS; its bits in a queue's `ecn` are 1 << codepoint
_NOT_ECT, _CE = 1 << 0, 1 << 3
_QUEUE_OVERHEAD = 256  # sizeof(struct ipq), rounded

Key = tuple[int, int, int, int, int]


class _Queue:
    """The fragments of one packet so far, by offset. Offsets and lengths are bytes of payload."""

    __slots__ = (
        "_run_ends",
        "_run_starts",
        "ecn",
        "fragments",
        "last_seen",
        "length",
        "maximum_df",
        "maximum_size",
        "memory",
        "received",
        "stamp",
        "timer",
    )

    def __init__(self, timer: Timer) -> None:
        self.fragments: dict[int, Skb] = {}
        self._run_starts: list[int] = []  # the stretches of payload that are there, in order
        self._run_ends: list[int] = []
        self.length = 0
        self.received = 0
        self.last_seen = False
        self.maximum_size = 0
        self.maximum_df = 0
        self.memory = _QUEUE_OVERHEAD
        self.ecn = 0  # one bit for each of the codepoints seen
        self.stamp = 0  # of its sender's fragments, the number of the last that came here
        self.timer = timer

    @property
    def complete(self) -> bool:
        """Whether nothing is missing: fragments do not overlap, so their lengths tell."""
        return self.last_seen and self.received == self.length

    def insert(self, start: int, end: int) -> _Overlap:
        """Note that a stretch has come (inet_frag_queue_insert): only the last one grows, others stand beside it."""
        starts, ends = self._run_starts, self._run_ends
        if starts and start == ends[-1]:
            ends[-1] = end
        else:
            at = bisect_left(ends, start + 1)  # the first run that ends behind our start
            if at < len(starts) and starts[at] < end:
                return _Overlap.INSIDE if starts[at] <= start and end <= ends[at] else _Overlap.PARTLY
            starts.insert(at, start)
            ends.insert(at, end)
        self.received += end - start
        return _Overlap.NONE


class _Overlap(enum.Enum):
    """How a fragment lies to what is there."""

    NONE = 0
    INSIDE = 1  # a repetition
    PARTLY = 2  # an attack (RFC 5722)


class Reassembler:
    """The fragment queues of one namespace."""

    def __init__(self, netns: Netns) -> None:
        self._netns = netns
        self._queues: dict[Key, _Queue] = {}
        self._memory = 0
        self._sent: dict[int, int] = {}  # fragments by sender (inet_peer.rid)

    def __len__(self) -> int:
        return len(self._queues)

    def add(self, skb: Skb, user: int) -> Skb | None:
        """Take a fragment. When it was the missing one, it becomes the whole packet and is returned.

        None: it waits for others, or was dropped (and counted). A whole packet comes back as it is.
        """
        if not skb.fragment & IS_FRAGMENT:
            return skb
        data = skb.data
        key = (user, skb.saddr, skb.daddr, data[NETWORK + 4] << 8 | data[NETWORK + 5], skb.protocol)
        queue = self._queues.get(key) or self._open(key)
        if queue is None:
            self._netns.drop(skb, DropReason.FRAG_MEMORY)
            return None
        if self._too_far(queue, skb.saddr):
            queue = self._begin_again(key, queue)
        reason = self._insert(key, queue, skb)
        if reason is not None:
            self._netns.drop(skb, reason)
            return None
        return self._join(key, queue, skb) if queue.complete else None

    def close(self) -> None:
        """Forget all fragments, because the namespace goes away."""
        for queue in self._queues.values():
            queue.timer.cancel()
        self._queues.clear()
        self._memory = 0

    def _open(self, key: Key) -> _Queue | None:
        if self._memory > self._netns.sysctl.number("net.ipv4.ipfrag_high_thresh"):
            return None
        seconds = self._netns.sysctl.number("net.ipv4.ipfrag_time")
        queue = _Queue(self._netns.kernel.schedule(seconds, lambda: self._expire(key)))
        self._queues[key] = queue
        self._memory += queue.memory
        return queue

    def _too_far(self, queue: _Queue, saddr: int) -> bool:
        """Whether so many other fragments of the sender came since that its identification has wrapped by now."""
        limit = self._netns.sysctl.number("net.ipv4.ipfrag_max_dist")
        if not limit:
            return False
        if len(self._sent) >= _SENDER_LIMIT and saddr not in self._sent:
            del self._sent[next(iter(self._sent))]
        before = queue.stamp
        queue.stamp = self._sent[saddr] = self._sent.get(saddr, 0) + 1
        return bool(queue.fragments) and queue.stamp - before > limit

    def _begin_again(self, key: Key, queue: _Queue) -> _Queue:
        """Forget what came of a packet: it was of another with the same identification (ip_frag_reinit)."""
        self._discard(key, queue, DropReason.FRAG_TOO_FAR)
        seconds = self._netns.sysctl.number("net.ipv4.ipfrag_time")
        fresh = _Queue(self._netns.kernel.schedule(seconds, lambda: self._expire(key)))
        fresh.stamp = queue.stamp
        self._queues[key] = fresh
        self._memory += fresh.memory
        return fresh

    def _insert(self, key: Key, queue: _Queue, skb: Skb) -> DropReason | None:
        """Check a fragment against what is there, and keep it (ip_frag_queue). A corrupt one ends its packet."""
        more = skb.fragment & MORE_FRAGMENTS
        start = (skb.fragment & OFFSET_MASK) << 3
        length = _payload_length(skb)
        if more:
            length &= ~7
        end = start + length
        beyond = queue.last_seen and (end > queue.length or (not more and end != queue.length))
        if not length or end + skb.transport - NETWORK > MAXIMUM_LENGTH or beyond or (not more and end < queue.length):
            self._discard(key, queue, DropReason.IP_INHDR)
            return DropReason.IP_INHDR
        overlap = queue.insert(start, end)
        if overlap is not _Overlap.NONE:
            if overlap is _Overlap.PARTLY:
                self._discard(key, queue, DropReason.DUP_FRAG)
            return DropReason.DUP_FRAG
        del skb.data[skb.transport + length :]
        queue.length = max(queue.length, end)
        queue.last_seen = queue.last_seen or not more
        queue.fragments[start] = skb
        queue.ecn |= 1 << (skb.data[NETWORK + 1] & _ECN_MASK)
        size = skb.transport - NETWORK + length
        queue.maximum_size = max(queue.maximum_size, size)
        if skb.fragment & DONT_FRAGMENT:
            queue.maximum_df = max(queue.maximum_df, size)
        queue.memory += len(skb.data) + _OVERHEAD
        self._memory += len(skb.data) + _OVERHEAD
        return None

    def _join(self, key: Key, queue: _Queue, skb: Skb) -> Skb | None:
        """Make `skb` the whole packet, with the first fragment's header (ip_frag_reasm)."""
        self._close(key, queue)
        parts = [queue.fragments[start] for start in sorted(queue.fragments)]
        first = parts[0]
        header_length = first.transport - NETWORK
        mixed = queue.ecn & _NOT_ECT and queue.ecn != _NOT_ECT
        if mixed or header_length + queue.length > MAXIMUM_LENGTH:
            self._drop_all(queue, DropReason.FRAG_ECN if mixed else DropReason.IP_INHDR)
            return None
        lengths = tuple(_payload_length(part) for part in parts)
        data = bytearray(b"".join((first.data[: first.transport], *(part.data[part.transport :] for part in parts))))
        field = DONT_FRAGMENT if queue.maximum_df == queue.maximum_size else 0
        if queue.ecn & _CE and queue.ecn != _CE:
            data[NETWORK + 1] |= _ECN_MASK
        data[NETWORK + 2 : NETWORK + 4] = (header_length + queue.length).to_bytes(2, "big")
        data[NETWORK + 6 : NETWORK + 8] = field.to_bytes(2, "big")
        _fix_checksum(data, header_length)
        skb.data = data
        skb.transport = first.transport
        skb.fragment = field
        skb.sport = skb.dport = 0
        if skb.protocol in WITH_PORTS and queue.length >= 4:
            skb.sport, skb.dport = PORTS.unpack_from(data, skb.transport)
        skb.fragment_max_size = 0 if key[0] == LOCAL_DELIVER else queue.maximum_size
        skb.fragment_lengths = lengths
        if skb.trace is not None:
            skb.step(self._netns, StepKind.REASSEMBLED, fragments=len(parts))
        return skb

    def _expire(self, key: Key) -> None:
        """Give up on a packet; an end host that saw its first fragment says so (ip_expire)."""
        queue = self._queues[key]
        self._close(key, queue)
        self._drop_all(queue, DropReason.FRAG_REASM_TIMEOUT)
        first = queue.fragments.get(0)
        if first is not None and first.in_link is not None:
            decision = self._netns.routing.input(first.in_link, first.saddr, first.daddr, first.mark, first)
            if isinstance(decision, RouteResult):
                first.route = decision
                if key[0] == LOCAL_DELIVER or decision.type is RouteType.LOCAL:
                    self._netns.icmp.send_error(first, TIME_EXCEEDED, FRAGMENT_TIME)

    def _discard(self, key: Key, queue: _Queue, reason: DropReason) -> None:
        """Forget the whole packet: its fragments contradict one another."""
        self._close(key, queue)
        self._drop_all(queue, reason)

    def _close(self, key: Key, queue: _Queue) -> None:
        queue.timer.cancel()
        self._memory -= queue.memory
        self._queues.pop(key, None)

    def _drop_all(self, queue: _Queue, reason: DropReason) -> None:
        for skb in queue.fragments.values():
            self._netns.drop(skb, reason)


def split(skb: Skb, mtu: int) -> list[Skb]:
    """Cut a packet into fragments of at most `mtu` bytes; a reassembled one where it was cut before.

    DF that the pieces had is kept only where they are cut anew: those that go on as they came lose it, as in Linux.
    """
    header_length = skb.transport - NETWORK
    payload = memoryview(skb.data)[skb.transport :]
    limit = min(mtu, skb.fragment_max_size or mtu)
    room = limit - header_length & ~7
    base = (skb.fragment & OFFSET_MASK) << 3
    lengths, as_received = _lengths(skb, len(payload), max(room, 8), limit - header_length)
    keeps_df = 0 if as_received else skb.fragment & DONT_FRAGMENT  # ip_fraglist_init clears it, ip_frag_init does not
    pieces = []
    offset = 0
    for length in lengths:
        end = offset + length
        more = end < len(payload) or skb.fragment & MORE_FRAGMENTS
        field = (base + offset) >> 3 | (MORE_FRAGMENTS if more else 0) | keeps_df
        pieces.append(_piece(skb, payload[offset:end], field, first=offset == 0))
        offset = end
    payload.release()
    return pieces


def pull(skb: Skb, size: int) -> None:
    """Note that the first `size` bytes of payload lie in one piece now, because somebody looks at them there.

    __pskb_pull_tail: a reassembled packet then has other pieces than it was received in, and is cut anew if they do not
    fit.
    """
    lengths = skb.fragment_lengths
    if not lengths or lengths[0] >= size or len(skb.data) < skb.transport + size:
        return
    missing = size - lengths[0]
    rest = list(lengths[1:])
    while missing and rest:
        taken = min(missing, rest[0])
        missing -= taken
        rest[0] -= taken
        if not rest[0]:
            del rest[0]
    skb.fragment_lengths = (size, *rest)


def _lengths(skb: Skb, total: int, room: int, limit: int) -> tuple[list[int], bool]:
    """Payload bytes of each piece: those it was received in (true) if they fit, else as much as goes in."""
    known = skb.fragment_lengths
    fitting = all(length <= limit for length in known) and all(not length & 7 for length in known[:-1])
    if known and sum(known) == total and fitting:
        return list(known), True
    lengths, left = [], total
    while left:
        lengths.append(left if left <= limit else room)
        left -= lengths[-1]
    return lengths, False


def _piece(skb: Skb, payload: memoryview, field: int, *, first: bool) -> Skb:
    header = bytes(skb.data[: skb.transport])
    piece = skb.clone_without_data(bytearray(b"".join((header, payload))))
    header_length = skb.transport - NETWORK
    if not first and skb.options is not None and not skb.fragment & OFFSET_MASK:  # a bridge has not read them
        _blank_options(piece.data, skb.transport)
    piece.data[NETWORK + 2 : NETWORK + 4] = (header_length + len(payload)).to_bytes(2, "big")
    piece.data[NETWORK + 6 : NETWORK + 8] = field.to_bytes(2, "big")
    _fix_checksum(piece.data, header_length)
    piece.fragment = field
    piece.fragment_max_size = 0
    piece.fragment_lengths = ()
    if not first:
        piece.sport = piece.dport = 0
    return piece


def _blank_options(data: bytearray, end: int) -> None:
    """Later fragments carry only options that say they are copied; the others become NOPs (ip_options_fragment)."""
    position = NETWORK + 20
    while position < end and data[position] != 0:
        length = 1 if data[position] == 1 else data[position + 1] if position + 1 < end else 0
        if length < 1 or position + length > end:
            return
        if length > 1 and not data[position] & 0x80:
            data[position : position + length] = b"\x01" * length
        position += length


def _fix_checksum(data: bytearray, header_length: int) -> None:
    data[NETWORK + 10 : NETWORK + 12] = b"\0\0"
    value = checksum(data[NETWORK : NETWORK + header_length])
    data[NETWORK + 10 : NETWORK + 12] = value.to_bytes(2, "big")


def _payload_length(skb: Skb) -> int:
    return len(skb.data) - skb.transport
