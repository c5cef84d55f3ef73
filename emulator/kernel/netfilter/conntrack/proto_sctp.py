"""SCTP in connection tracking (nf_conntrack_proto_sctp.c): chunks in order, verification tags, and the state table."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from emulator.kernel.ip.fragment import pull
from emulator.kernel.netfilter.conntrack.connection import ASSURED, CHANGED_STATE, CONFIRMED, ORIGINAL, REPLY
from emulator.kernel.netfilter.conntrack.sctp_state import TRANSITIONS, SctpState, SctpTracking
from emulator.kernel.netfilter.conntrack.tracker import Tracked
from emulator.packet.sctp import (
    CHUNK,
    CHUNK_HEADER_LENGTH,
    HEADER_LENGTH,
    TAG_REFLECTED,
    VERIFICATION_TAG,
    ChunkType,
    has_valid_checksum,
)

if TYPE_CHECKING:
    from emulator.kernel.netfilter.conntrack.connection import Connection
    from emulator.kernel.netfilter.conntrack.conntrack import Conntrack
    from emulator.kernel.skb import Skb

_TAG = struct.Struct("!I")
_INIT_LENGTH = 16  # of INIT's and INIT_ACK's fixed part, behind the chunk header
_ALONE = frozenset({ChunkType.INIT, ChunkType.INIT_ACK, ChunkType.SHUTDOWN_COMPLETE})
_FIRST = frozenset({ChunkType.COOKIE_ECHO, ChunkType.COOKIE_ACK})
_BEGINS_NOTHING = frozenset({ChunkType.ABORT, ChunkType.SHUTDOWN_COMPLETE, ChunkType.COOKIE_ACK})  # RFC 9260, 8.4
_TAG_CHECKED_APART = frozenset(
    {
        ChunkType.INIT,
        ChunkType.SHUTDOWN_COMPLETE,
        ChunkType.COOKIE_ECHO,
        ChunkType.ABORT,
        ChunkType.SHUTDOWN_ACK,
        ChunkType.HEARTBEAT,
        ChunkType.HEARTBEAT_ACK,
    }
)
_TIMEOUT_NAMES = tuple(
    "closed" if state is SctpState.NONE else state.name.lower() for state in SctpState if state < SctpState.INVALID
)


class _Chunk(NamedTuple):
    type: int
    flags: int
    length: int
    at: int  # where it begins


class _Packet:
    """What is looked at of a packet: its tag and its chunks, as far as they are there."""

    __slots__ = ("chunks", "data", "tag", "types")

    def __init__(self, skb: Skb) -> None:
        self.data = skb.data
        self.tag: int = _TAG.unpack_from(skb.data, skb.transport + VERIFICATION_TAG)[0]
        self.chunks = list(_chunks(skb.data, skb.transport + HEADER_LENGTH))
        self.types = frozenset(chunk.type for chunk in self.chunks)

    def is_sound(self) -> bool:
        """Whether chunks that must be alone or first are so, and each has a length (`do_basic_checks`)."""
        alone = False
        for place, chunk in enumerate(self.chunks):
            alone = alone or chunk.type in _ALONE
            if not chunk.length or (place and (alone or chunk.type in _FIRST)):
                return False
        return bool(self.chunks)

    def initiate_tag(self, chunk: _Chunk) -> int | None:
        """The tag that an INIT or INIT_ACK wants answers to carry, or None if the chunk is cut short."""
        at = chunk.at + CHUNK_HEADER_LENGTH
        if len(self.data) < at + _INIT_LENGTH:
            return None
        tag: int = _TAG.unpack_from(self.data, at)[0]
        return tag


def _chunks(data: bytearray, at: int) -> Iterator[_Chunk]:
    """Yield the chunks; one of length zero is the last, since there is no going on behind it."""
    while at + CHUNK_HEADER_LENGTH <= len(data):
        kind, flags, length = CHUNK.unpack_from(data, at)
        yield _Chunk(kind, flags, length, at)
        if not length:
            return
        at += (length + 3) & ~3


def track(conntrack: Conntrack, connection: Connection, skb: Skb, direction: int, *, verify: bool) -> Tracked:
    """Judge a packet and move the association on, chunk by chunk."""
    if verify and skb.fragment_lengths:
        pull(skb, HEADER_LENGTH)  # sctp_error makes the header writable to check it
    if len(skb.data) < skb.transport + HEADER_LENGTH or (verify and not has_valid_checksum(skb.data, skb.transport)):
        return Tracked.INVALID
    packet = _Packet(skb)
    if not packet.is_sound():
        return Tracked.INVALID
    if not connection.status & CONFIRMED and (packet.types & _BEGINS_NOTHING or not _begin(connection, packet)):
        return Tracked.INVALID
    tracking = connection.sctp
    if tracking is None:  # an entry of another protocol cannot have this tuple
        return Tracked.INVALID
    if tracking.learns and not tracking.tags[direction] and ChunkType.INIT not in packet.types:
        tracking.tags[direction] = packet.tag
    if not packet.types & _TAG_CHECKED_APART and packet.tag != tracking.tags[direction]:
        return Tracked.INVALID
    refresh = True
    for chunk in packet.chunks:
        taken = _take(conntrack, connection, tracking, packet, chunk, direction, refresh)
        if taken is None:
            return Tracked.INVALID
        refresh = refresh and taken
    if refresh:
        conntrack.refresh(connection, skb, direction, conntrack.sctp_timeouts[_TIMEOUT_NAMES[tracking.state]])
    return Tracked.ACCEPT


def _begin(connection: Connection, packet: _Packet) -> bool:
    """Start an entry (`sctp_new`): each chunk must be one that may come first, and the tag is noted."""
    tracking = SctpTracking()
    for chunk in packet.chunks:
        if chunk.type not in TRANSITIONS[ORIGINAL]:
            return False
        if chunk.type == ChunkType.INIT:
            tag = packet.initiate_tag(chunk)
            if packet.tag or tag is None:
                return False
            tracking.tags[REPLY] = tag
        elif chunk.type == ChunkType.HEARTBEAT:
            tracking.tags[ORIGINAL] = packet.tag
        else:  # out of the blue: the answer carries the same tag, reflected
            tracking.tags[REPLY] = packet.tag
    connection.sctp = tracking
    return True


def _take(
    conntrack: Conntrack,
    connection: Connection,
    tracking: SctpTracking,
    packet: _Packet,
    chunk: _Chunk,
    direction: int,
    refresh: bool,
) -> bool | None:
    """Take one chunk into the state. None: the packet is invalid. False: valid, but it earns no more time."""
    if chunk.type in (ChunkType.HEARTBEAT, ChunkType.HEARTBEAT_ACK):
        checked = _check_heartbeat(tracking, packet, chunk.type, direction, refresh)
        if checked is not True:
            return checked
    elif not _tag_fits(tracking, packet.tag, chunk, direction):
        return None
    if chunk.type == ChunkType.COOKIE_ACK:
        tracking.init_seen[:] = False, False
    old = tracking.state
    row = TRANSITIONS[direction].get(chunk.type)
    new = old if row is None else row[old]
    if new is SctpState.INVALID:
        return None
    if chunk.type in (ChunkType.INIT, ChunkType.INIT_ACK) and not _learn_tag(tracking, packet, chunk, direction):
        return None
    tracking.state = new
    if new is not old:
        connection.status |= CHANGED_STATE
        if new is SctpState.ESTABLISHED and not connection.status & ASSURED:
            conntrack.assure(connection)
    # A repeated INIT must not keep an entry, and what NAT chose for it, for ever.
    repeated = chunk.type == ChunkType.INIT and old is SctpState.CLOSED and new is SctpState.CLOSED
    return not (repeated and connection.status & CONFIRMED)


def _tag_fits(tracking: SctpTracking, tag: int, chunk: _Chunk, direction: int) -> bool:
    """Whether the verification tag is right for chunks with rules of their own (RFC 9260, 8.5.1)."""
    if chunk.type == ChunkType.INIT:
        return tag == 0
    if chunk.type in (ChunkType.ABORT, ChunkType.SHUTDOWN_COMPLETE):
        return tag == tracking.tags[1 - direction if chunk.flags & TAG_REFLECTED else direction]
    return chunk.type != ChunkType.COOKIE_ECHO or tag == tracking.tags[direction]


def _check_heartbeat(tracking: SctpTracking, packet: _Packet, kind: int, direction: int, refresh: bool) -> bool | None:
    """Judge the tag of a HEARTBEAT or its ACK, by which a new path is learnt. As `_take`; True: go on with it."""
    tags = tracking.tags
    if tags[direction] == 0:
        tags[direction] = packet.tag
        return True
    if packet.tag == tags[direction]:
        tracking.heartbeat_failed = False
        return True
    if ChunkType.DATA in packet.types or not refresh:
        return None
    if kind == ChunkType.HEARTBEAT:  # maybe the peer was restarted: its answer will tell
        tracking.heartbeat_failed = True
        tracking.last_direction = direction
        return False
    if not tracking.heartbeat_failed or tracking.last_direction == direction:
        return None
    tracking.heartbeat_failed = False
    tags[direction] = packet.tag
    tags[1 - direction] = 0
    return True


def _learn_tag(tracking: SctpTracking, packet: _Packet, chunk: _Chunk, direction: int) -> bool:
    """Note the tag that answers must carry. False if INIT_ACK has another one than a known association's."""
    other = 1 - direction
    tag = packet.initiate_tag(chunk)
    if tag is None:
        return False
    known = tracking.tags[other]
    seen = tracking.init_seen
    if chunk.type == ChunkType.INIT:
        if tracking.state is SctpState.NONE or known != tag:  # else it is old, or sent again
            if seen[direction]:
                seen[other] = False
            seen[direction] = True
    elif (not seen[other] and known and known != tag) or (seen[direction] and seen[other] and known != tag):
        return False
    tracking.tags[other] = tag
    return True
