"""TCP conversations that connection tracking once got wrong, each of them as its own kernel selftest has it.

After tools/testing/selftests/net/netfilter/packetdrill/conntrack_*.pkt in the kernel's source: what passes, what is
INVALID and what state the entry is in. `Segment.after` is what the entry is to say once the segment has passed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.kernel.netfilter import wire
from tests.kernel.netfilter.wire import ACK, FIN, PSH, RST, SYN

CLIENT, SERVER = "10.0.1.2", "10.0.2.2"
DROP_INVALID = """*filter
-A FORWARD -i a -p tcp -m conntrack --ctstate INVALID -j DROP
-A FORWARD -i b -p tcp -m conntrack --ctstate INVALID -j DROP
COMMIT
"""
_U32 = 0xFFFFFFFF


@dataclass(frozen=True)
class Segment:
    """A segment of the client (`forth`) or the server. `invalid`: it is to be dropped as such."""

    forth: bool
    flags: int
    seq: int
    ack: int = 0
    length: int = 0
    window: int = 65_535
    options: bytes = b""
    after: str = ""
    invalid: bool = False

    def packet(self) -> tuple[str, bytes]:
        """The link it comes in at, and the packet."""
        ends = (CLIENT, 4000, SERVER, 8080) if self.forth else (SERVER, 8080, CLIENT, 4000)
        fields = (self.flags, self.seq & _U32, self.ack & _U32, b"d" * self.length, self.window, self.options)
        return "a" if self.forth else "b", wire.tcp(*ends, *fields)


def _options(mss: int, scale: int | None = None, *, sack: bool = False, stamps: bool = False) -> bytes:
    text = b"\x02\x04" + mss.to_bytes(2, "big") + (b"\x04\x02" if sack else b"")
    text += b"\x08\x0a" + bytes(8) if stamps else b""
    text += b"" if scale is None else b"\x01\x03\x03" + bytes((scale,))
    return text + b"\x01" * (-len(text) % 4)


_OFFER = _options(1460, 8, sack=True, stamps=True)
_PLAIN = _options(1460)


def ack_loss_stall() -> Iterator[Segment]:
    """Data that was acknowledged long ago comes again, because an ACK was lost: it passes and is answered."""
    yield Segment(True, SYN, 0, window=32_792, options=_options(1000))
    yield Segment(False, SYN | ACK, 0, 1, options=_PLAIN)
    yield Segment(True, ACK, 1, 1)
    for number in range(46):
        first = 1 + 1460 * number
        yield Segment(True, ACK | PSH, first, 1, 1460, window=257)
        yield Segment(False, ACK, 1, first + 1460)
    yield Segment(True, ACK | PSH, 1, 1, 1460, window=257, after="ESTABLISHED [ASSURED]")
    yield Segment(False, ACK, 1, 67_161)


def _received_data() -> Iterator[Segment]:
    yield Segment(True, SYN, 0, options=_OFFER)
    yield Segment(False, SYN | ACK, 0, 1, options=_PLAIN)
    yield Segment(True, ACK, 1, 1)
    for first in (1, 1001, 2001):
        yield Segment(False, ACK, first, 1, 1000)
    for acknowledged in (1001, 2001, 3001):
        yield Segment(True, ACK, 1, acknowledged)


def inexact_rst() -> Iterator[Segment]:
    """A RST that is not at the expected number closes a connection that is closing, and a late one is not invalid."""
    yield from _received_data()
    yield Segment(True, ACK | PSH, 1, 3001, 1000)
    yield Segment(False, FIN | ACK, 3001, 1001, after="FIN_WAIT [ASSURED]")
    yield Segment(True, ACK, 1001, 3002, after="CLOSE_WAIT [ASSURED]")
    yield Segment(True, RST | ACK, 1001, 3002, after="CLOSE [ASSURED]")
    yield Segment(False, RST, 2001, window=0, after="CLOSE [ASSURED]")


def rst_invalid() -> Iterator[Segment]:
    """RSTs outside of the window are invalid, those in it and not exact too, until one is at the expected number."""
    yield from _received_data()
    for sequence in (0, 1_000_000, 42):
        yield Segment(False, RST, sequence, window=0, after="ESTABLISHED [ASSURED]", invalid=True)
    yield Segment(True, ACK | PSH, 1, 3001, 1000, after="ESTABLISHED [ASSURED]")
    yield Segment(False, ACK, 3001, 1001)
    yield Segment(False, RST | ACK, 3000, 1001, window=0, after="ESTABLISHED [ASSURED]", invalid=True)
    yield Segment(False, RST | ACK, 3001, 1001, window=0, after="CLOSE [ASSURED]")


def syn_challenge_ack() -> Iterator[Segment]:
    """The server still has an earlier connection and challenges the SYN: all of it passes, and a new one begins.

    The selftest wants the entry back in SYN_SENT after the RST; Linux 6.18 makes it CLOSE, and the SYN a new entry.
    """
    answer = _options(1460, 0, stamps=True)
    yield Segment(True, SYN, 0, options=_OFFER)
    yield Segment(False, ACK, 145_824_453, 643_160_523, window=240, options=answer)
    yield Segment(True, RST, 643_160_523, window=0, after="CLOSE")
    yield Segment(True, SYN, 0, options=_OFFER, after="SYN_SENT [UNREPLIED]")
    yield Segment(False, SYN | ACK, 0, 1, window=250, options=answer)
    yield Segment(True, ACK, 1, 1, window=256, after="ESTABLISHED [ASSURED]")


def synack_old() -> Iterator[Segment]:
    """The server answers an earlier SYN first: that is invalid, and does not spoil the right answer."""
    answer = _options(1440, 0, stamps=True)
    yield Segment(True, SYN, 0, options=_OFFER)
    yield Segment(False, SYN | ACK, 145_824_453, 643_160_523, window=240, options=answer, invalid=True)
    yield Segment(True, SYN, 0, options=_OFFER, after="SYN_SENT [UNREPLIED]")
    yield Segment(False, SYN | ACK, 145_758_918, 1, window=250, options=answer)
    yield Segment(True, ACK, 1, 145_758_919, window=256, after="ESTABLISHED [ASSURED]")
    yield Segment(True, ACK | PSH, 1, 145_758_919, 1, window=256, after="ESTABLISHED [ASSURED]")


def synack_reuse() -> Iterator[Segment]:
    """The client has forgotten the connection and begins anew: challenge ACK, RST, and the next SYN is a new one."""
    offer, answer = _options(1000, 7, stamps=True), _options(1460, 8, stamps=True)
    yield Segment(True, SYN, 0, window=32_792, options=offer)
    yield Segment(False, SYN | ACK, 0, 1, options=answer)
    yield Segment(True, ACK, 1, 1, window=257)
    yield Segment(True, ACK | PSH, 1, 1, 100, window=257)
    yield Segment(False, ACK, 1, 101, window=256, after="ESTABLISHED [ASSURED]")
    yield Segment(True, SYN, 2000, window=32_792, options=offer)
    yield Segment(False, ACK, 1, 101, window=256)
    yield Segment(True, RST | ACK, 101, 1, window=257, after="CLOSE [ASSURED]")
    yield Segment(True, SYN, 2000, window=32_792, options=offer, after="SYN_SENT [UNREPLIED]")
    yield Segment(False, SYN | ACK, 70_000, 2001, options=answer, after="SYN_RECV")


CONVERSATIONS = (ack_loss_stall, inexact_rst, rst_invalid, syn_challenge_ack, synack_old, synack_reuse)
