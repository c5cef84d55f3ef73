"""Buffers that grow with what a connection needs: net.ipv4.tcp_rmem and tcp_wmem (least, first, most bytes).

Linux counts memory; half of it holds data here, as its tcp_adv_win_scale of 1 says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.kernel.sysctl import Sysctl
    from emulator.kernel.tcp.receive_queue import ReceiveQueue
    from emulator.kernel.tcp.send_queue import SendQueue

RECEIVE_MEMORY = "net.ipv4.tcp_rmem"
SEND_MEMORY = "net.ipv4.tcp_wmem"
MODERATE = "net.ipv4.tcp_moderate_rcvbuf"
MAXIMUM_SHIFT = 14  # RFC 7323 section 2.3

_CORE_MAXIMUM = 212_992  # net.core.rmem_max
_FIRST_SEGMENTS = 10  # what is expected to come in the first round trip (TCP_INIT_CWND)


class Buffers:
    """The limits of one namespace's connections, in bytes of data; `shift` is the window scale that they call for."""

    __slots__ = ("_sysctl", "receive_first", "receive_most", "send_first", "send_most", "shift")

    def __init__(self, sysctl: Sysctl) -> None:
        self._sysctl = sysctl
        self.receive_first = self.receive_most = self.send_first = self.send_most = self.shift = 0
        for name, text, apply in (
            (RECEIVE_MEMORY, "4096\t131072\t6291456", self._set_receive),
            (SEND_MEMORY, "4096\t1048576\t4194304", self._set_send),
        ):
            sysctl.register(name, text, apply, numeric=False)
            apply(text)
        sysctl.register(MODERATE, 1)

    def receive_limit(self, mss: int) -> int:
        """What a new connection may hold: room for the first round trip, also of large segments (on loopback)."""
        return min(max(self.receive_first, _FIRST_SEGMENTS * mss), self.receive_most)

    def receive_space(self, now: float) -> ReceiveSpace:
        """Return what lets a new connection's receive buffer grow; it stays as it is with tcp_moderate_rcvbuf 0."""
        return ReceiveSpace(now, self.receive_most if self._sysctl.number(MODERATE) else 0)

    def grow_send(self, tx: SendQueue, window: int, mss: int) -> None:
        """Let the program queue two congestion windows, if it may queue less now (`tcp_sndbuf_expand`)."""
        tx.limit = max(tx.limit, min(2 * window * mss, self.send_most))

    def _set_receive(self, text: str) -> None:
        _, first, most = _three(text)
        self.receive_first, self.receive_most = first // 2, most // 2
        self.shift = min(max(max(most, _CORE_MAXIMUM).bit_length() - 16, 0), MAXIMUM_SHIFT)

    def _set_send(self, text: str) -> None:
        _, first, most = _three(text)
        self.send_first, self.send_most = first // 2, most // 2


class ReceiveSpace:
    """What the program reads in a round trip: the window must be twice that, or it holds the peer back.

    (`tcp_rcv_space_adjust`: dynamic right-sizing.) `most` is how far the buffer may grow.
    """

    __slots__ = ("_largest", "_read", "_since", "most")

    def __init__(self, now: float, most: int) -> None:
        self.most = most
        self._since = now
        self._read = 0
        self._largest = 0

    def note_read(self, rx: ReceiveQueue, size: int, now: float, round_trip: float | None, mss: int) -> None:
        """The program has taken `size` bytes: let the buffer grow at the end of a round trip that had more than any."""
        self._read += size
        if round_trip is None or now - self._since < round_trip:
            return
        largest = self._largest or min(rx.limit, _FIRST_SEGMENTS * mss)
        if self._read > largest:
            window = 2 * self._read + 16 * mss
            window += 2 * window * (self._read - largest) // largest  # the peer may be in slow start
            rx.limit = max(rx.limit, min(window, self.most))
            self._largest = self._read
        self._read = 0
        self._since = now


def _three(text: str) -> tuple[int, int, int]:
    least, first, most = (int(word) for word in text.split())
    if min(least, first, most) < 1:
        raise ValueError(text)
    return least, first, most
