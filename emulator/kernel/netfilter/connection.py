"""One entry of the conntrack table (`struct nf_conn`): both tuples, what was seen of the connection, when it ends."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.tuple import PROTOCOL_NAMES, TCP, Tuple

if TYPE_CHECKING:
    from emulator.kernel.netfilter.tcp_state import TcpTracking

ORIGINAL, REPLY = 0, 1


class Status(enum.IntFlag):
    """`enum ip_conntrack_status`. `Connection.status` is a plain int of these bits, for speed."""

    EXPECTED = 1 << 0
    SEEN_REPLY = 1 << 1
    ASSURED = 1 << 2
    CONFIRMED = 1 << 3
    SRC_NAT = 1 << 4
    DST_NAT = 1 << 5
    SRC_NAT_DONE = 1 << 7
    DST_NAT_DONE = 1 << 8
    DYING = 1 << 9
    FIXED_TIMEOUT = 1 << 10
    TEMPLATE = 1 << 11
    NAT_CLASH = 1 << 12


SEEN_REPLY = int(Status.SEEN_REPLY)
ASSURED = int(Status.ASSURED)
CONFIRMED = int(Status.CONFIRMED)
SRC_NAT = int(Status.SRC_NAT)
DST_NAT = int(Status.DST_NAT)
SRC_NAT_DONE = int(Status.SRC_NAT_DONE)
DST_NAT_DONE = int(Status.DST_NAT_DONE)
DYING = int(Status.DYING)
FIXED_TIMEOUT = int(Status.FIXED_TIMEOUT)
TEMPLATE = int(Status.TEMPLATE)
NAT_CLASH = int(Status.NAT_CLASH)
NAT_MASK = SRC_NAT | DST_NAT


class Connection:
    """A connection. Before it is confirmed it is in no table and `deadline` is a duration; after, a time.

    It has few objects of its own, because tables are large: counters are slots and not lists.
    """

    __slots__ = (
        "_bytes",
        "_packets",
        "_reply_bytes",
        "_reply_packets",
        "bucket",
        "deadline",
        "identity",
        "mark",
        "masquerade_link",
        "newer",
        "older",
        "original",
        "reply",
        "start",
        "status",
        "stream_after",
        "tcp",
    )

    def __init__(self, original: Tuple, reply: Tuple) -> None:
        self.original = original
        self.reply = reply
        self.status = 0
        self.mark = 0
        self.deadline = 0.0
        self.start = 0.0  # when it was confirmed
        self._packets = self._bytes = self._reply_packets = self._reply_bytes = 0
        self.tcp: TcpTracking | None = None
        self.stream_after = 0.0  # UDP: traffic later than this makes it a stream
        self.bucket = 0  # where the table's expiry wheel has it
        self.identity = 0  # as `conntrack -o id` prints it
        self.masquerade_link = 0  # index of the link whose address MASQUERADE took
        self.older: Connection | None = None  # of those whose same source NAT has rewritten; see `Nat.remember`
        self.newer: Connection | None = None

    @property
    def protocol(self) -> int:
        """The IP protocol."""
        return self.original.protocol

    @property
    def zone(self) -> int:
        """The conntrack zone that it is in."""
        return self.original.zone

    @property
    def packets(self) -> tuple[int, int]:
        """How many packets were counted by direction: original, reply."""
        return self._packets, self._reply_packets

    @property
    def bytes(self) -> tuple[int, int]:
        """How many bytes, from the IP header on."""
        return self._bytes, self._reply_bytes

    def count(self, direction: int, size: int) -> None:
        """Count one packet of a direction."""
        if direction == ORIGINAL:
            self._packets += 1
            self._bytes += size
        else:
            self._reply_packets += 1
            self._reply_bytes += size

    def reset_counters(self) -> None:
        """Count from zero again, as `conntrack -L -z` does."""
        self._packets = self._bytes = self._reply_packets = self._reply_bytes = 0

    @property
    def assured(self) -> bool:
        """Whether it is spared by an early drop."""
        return bool(self.status & ASSURED)

    def __str__(self) -> str:
        return self.format()

    def format(self, now: float | None = None, *, accounting: bool = False, extended: bool = False) -> str:
        """Return its line as `conntrack -L` prints it: with the time left if `now` is given, else without.

        `accounting` adds packets= and bytes= (net.netfilter.nf_conntrack_acct), `extended` the family and zone
        columns of `-o extended`.
        """
        name = PROTOCOL_NAMES.get(self.protocol, "unknown")
        words = [f"{name:8s} {self.protocol}"]
        if extended:
            words.insert(0, f"{'ipv4':8s} 2")
        if now is not None:
            words.append(str(max(0, int(self.deadline - now))))
        if self.protocol == TCP and self.tcp is not None:
            words.append(self.tcp.state.name)
        words.append(str(self.original))
        if accounting:
            words.append(f"packets={self.packets[0]} bytes={self.bytes[0]}")
        if not self.status & SEEN_REPLY:
            words.append("[UNREPLIED]")
        words.append(str(self.reply))
        if accounting:
            words.append(f"packets={self.packets[1]} bytes={self.bytes[1]}")
        if self.status & ASSURED:
            words.append("[ASSURED]")
        words.append(f"mark={self.mark}")
        if self.zone:
            words.append(f"zone={self.zone}")
        words.append("use=1")
        return " ".join(words)
