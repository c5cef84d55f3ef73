"""What is left of a connection for a minute after both sides closed it: TIME_WAIT, as a small object of its own.

It answers repeated FINs and keeps old segments from a new connection between the same ports (RFC 9293, 3.10.7.4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.deadline import Deadline
from emulator.kernel.drop import DropReason
from emulator.kernel.owner import CONTROL
from emulator.kernel.sequence import MASK, is_older, unwrap
from emulator.kernel.socket.base import Socket, SocketInfo
from emulator.kernel.tcp.state import State
from emulator.packet.checksum import transport_checksum
from emulator.packet.tcp import ACK, RST, SYN, TCP

if TYPE_CHECKING:
    from emulator.kernel.tcp.connection import TcpSocket
    from emulator.kernel.tcp.segment import Segment

LENGTH = 60.0  # seconds (TCP_TIMEWAIT_LEN)
CHALLENGE_INTERVAL = 0.5
PROTOCOL = 6


class TimeWait(Socket):
    """The keeper of one connection's addresses."""

    __slots__ = (
        "_deadline",
        "_last_answer",
        "_received",
        "_sent",
        "_tcp",
        "_timestamp_offset",
        "_timestamp_recent",
        "_window",
    )

    def __init__(self, connection: TcpSocket) -> None:
        super().__init__(connection.netns)
        self.laddr, self.lport, self.raddr, self.rport = connection.key
        self.reuse_address = connection.reuse_address
        self._tcp = connection.tcp
        self._sent = connection.tx.next
        self._received = connection.rx.next
        self._window = min((connection.rx.edge - connection.rx.next) >> connection.receive_shift, 0xFFFF)
        self._timestamp_recent = connection.timestamp_recent if connection.timestamps else None
        self._timestamp_offset = connection.timestamp_offset
        self._last_answer = float("-inf")
        self._deadline = Deadline(connection.netns.kernel, self.finish)
        self._deadline.start(LENGTH)

    @property
    def key(self) -> tuple[int, int, int, int]:
        """Its place in the table of connections."""
        return self.laddr, self.lport, self.raddr, self.rport

    def may_be_replaced(self, segment: Segment) -> bool:
        """Whether a SYN is surely of a new connection (RFC 6191)."""
        if segment.flags & (SYN | RST | ACK) != SYN:
            return False
        newer = segment.timestamps is not None and self._timestamp_recent is not None
        if newer and segment.timestamps is not None and self._timestamp_recent is not None:
            if is_older(self._timestamp_recent, segment.timestamps[0]):
                return True
            if is_older(segment.timestamps[0], self._timestamp_recent):
                return False
        return unwrap(segment.sequence, self._received) > self._received

    def next_initial(self) -> int:
        """Return where a connection that takes its place may begin (`tcp_timewait_state_process`)."""
        return (self._sent + 0xFFFF + 2) & MASK

    def arrive(self, segment: Segment) -> DropReason | None:
        """Answer what is not a bare acknowledgement (`tcp_timewait_state_process`)."""
        sequence = unwrap(segment.sequence, self._received)
        old = (
            segment.timestamps is not None
            and self._timestamp_recent is not None
            and is_older(segment.timestamps[0], self._timestamp_recent)
        )
        if not old and sequence == self._received and (segment.length == 0 or segment.flags & RST):
            if segment.flags & RST:
                self.finish()
            else:
                self._deadline.start(LENGTH)
            return None
        if segment.flags & RST:
            return DropReason.TCP_INVALID_SEQUENCE
        if segment.flags & ACK:
            self._deadline.start(LENGTH)
        self._answer()
        return DropReason.TCP_OLD_DATA

    def finish(self) -> None:
        """Set the addresses free."""
        self._deadline.discard()
        self._tcp.remove(self)

    def detach(self) -> None:
        """The namespace goes away."""
        self.finish()

    def info(self) -> SocketInfo:
        """Return its row of `ss`."""
        return SocketInfo("tcp", State.TIME_WAIT.value, 0, 0, self.local_address, self.remote_address)

    def _answer(self) -> None:
        now = self.netns.kernel.now
        if now - self._last_answer < CHALLENGE_INTERVAL:
            return
        self._last_answer = now
        options = b""
        if self._timestamp_recent is not None:
            clock = (int(now * 1000) + self._timestamp_offset) & MASK
            options = b"\x01\x01\x08\x0a" + clock.to_bytes(4, "big") + self._timestamp_recent.to_bytes(4, "big")
        word = (20 + len(options)) << 10 | ACK
        segment = bytearray(
            TCP.pack(self.lport, self.rport, self._sent & MASK, self._received & MASK, word, self._window, 0, 0)
        )
        segment += options
        segment[16:18] = transport_checksum(segment, self.laddr, self.raddr, PROTOCOL).to_bytes(2, "big")
        self.netns.ip.output(PROTOCOL, segment, daddr=self.raddr, saddr=self.laddr, dont_fragment=True, socket=CONTROL)
