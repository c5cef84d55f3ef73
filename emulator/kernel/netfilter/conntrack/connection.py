"""One entry of the conntrack table (`struct nf_conn`): both tuples, what was seen of the connection, when it ends."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.conntrack.tuple import PROTOCOL_NAMES, Tuple

if TYPE_CHECKING:
    from emulator.kernel.netfilter.conntrack.sctp_state import SctpTracking
    from emulator.kernel.netfilter.conntrack.tcp_state import TcpTracking

ORIGINAL, REPLY = 0, 1


_TICK = 0.001  # seconds; the finest that Linux counts timeouts in (HZ 1000)


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
    # Ours, in place of the kernel's extensions of an entry (nf_conntrack_acct.c, nf_conntrack_timestamp.c).
    ACCOUNTED = 1 << 16  # made while nf_conntrack_acct was on: its counters are printed
    TIMESTAMPED = 1 << 17  # made while nf_conntrack_timestamp was on
    UNOBSERVED = 1 << 18  # made while nf_conntrack_events was off
    # What changed and was not told yet (`enum ip_conntrack_events`).
    CHANGED_STATE = 1 << 20
    CHANGED_REPLY = 1 << 21
    CHANGED_ASSURED = 1 << 22
    CHANGED_MARK = 1 << 23


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
ACCOUNTED = int(Status.ACCOUNTED)
TIMESTAMPED = int(Status.TIMESTAMPED)
UNOBSERVED = int(Status.UNOBSERVED)
CHANGED_STATE = int(Status.CHANGED_STATE)
CHANGED_REPLY = int(Status.CHANGED_REPLY)
CHANGED_ASSURED = int(Status.CHANGED_ASSURED)
CHANGED_MARK = int(Status.CHANGED_MARK)
CHANGES = CHANGED_STATE | CHANGED_REPLY | CHANGED_ASSURED | CHANGED_MARK
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
        "sctp",
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
        self.sctp: SctpTracking | None = None
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
        """The conntrack zone that it is in, be it with both directions or with one."""
        return self.original.zone or self.reply.zone

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

    def set_counters(self, original: tuple[int, int], reply: tuple[int, int]) -> None:
        """Set packets and bytes of each direction, for an entry that was read from text."""
        self._packets, self._bytes = original
        self._reply_packets, self._reply_bytes = reply

    def reset_counters(self) -> None:
        """Count from zero again, as `conntrack -L -z` does."""
        self._packets = self._bytes = self._reply_packets = self._reply_bytes = 0

    @property
    def state_name(self) -> str:
        """The state of its protocol as it is printed; empty for protocols that have none."""
        if self.tcp is not None:
            return self.tcp.state.name
        return "" if self.sctp is None else self.sctp.state.name

    @property
    def assured(self) -> bool:
        """Whether it is spared by an early drop."""
        return bool(self.status & ASSURED)

    def seconds_left(self, now: float) -> int:
        """Return the whole seconds until it ends, as the kernel counts them: in ticks, of which none is lost.

        Floats lose some: 1000.001 + 120 - 1000.001 is a little less than 120.
        """
        return max(0, int(self.deadline - now + _TICK))

    def __str__(self) -> str:
        return self.format()

    def format(
        self,
        now: float | None = None,
        *,
        accounting: bool | None = None,
        extended: bool = False,
        start: str = "",
        identity: bool = False,
        state: bool = True,
        mark: bool = True,
        use: int = 1,
    ) -> str:
        """Return its line as `conntrack -L` prints it: with the time left if `now` is given, else without.

        `accounting` adds packets= and bytes= or leaves them out; None: as nf_conntrack_acct was when it was made.
        `extended` adds the columns of `-o extended`, `start` those of `-o ktimestamp`, `identity` that of `-o id`.
        `state`, `mark` and `use` are left out of events that do not tell them: False, False and 0.
        """
        accounting = bool(self.status & ACCOUNTED) if accounting is None else accounting
        words = [f"{'ipv4':8s} 2"] if extended else []
        words.append(f"{PROTOCOL_NAMES.get(self.protocol, 'unknown'):8s} {self.protocol}")
        if now is not None:
            words.append(str(self.seconds_left(now)))
        if state and self.state_name:
            words.append(self.state_name)
        one_zone = self.original.zone == self.reply.zone
        words.append(str(self.original))
        words += [] if one_zone or not self.original.zone else [f"zone-orig={self.original.zone}"]
        words += [f"packets={self._packets} bytes={self._bytes}"] if accounting else []
        words += [] if self.status & SEEN_REPLY else ["[UNREPLIED]"]
        words.append(str(self.reply))
        words += [] if one_zone or not self.reply.zone else [f"zone-reply={self.reply.zone}"]
        words += [f"packets={self._reply_packets} bytes={self._reply_bytes}"] if accounting else []
        words += ["[ASSURED]"] if self.status & ASSURED else []
        words += [f"mark={self.mark}"] if mark else []
        words += [f"zone={self.zone}"] if one_zone and self.zone else []
        if self.status & TIMESTAMPED and now is not None:
            words.append(f"delta-time={int(now) - int(self.start)}")
        words += [f"[start={start}]"] if start else []
        words += [f"use={use}"] if use else []
        words += [f"id={self.identity}"] if identity else []
        return " ".join(words)


class Template(Connection):
    """What `-j CT` puts on a packet before connection tracking looks at it (`nf_ct_tmpl_alloc`): only its zone counts.

    `original.zone` and `reply.zone` are the zones in which either direction is looked up. `zone_from_mark`: where these
    are not zero, the zone is the mark that the packet has when connection tracking sees it.
    """

    __slots__ = ("zone_from_mark",)

    def __init__(self, original_zone: int, reply_zone: int, *, zone_from_mark: bool = False) -> None:
        super().__init__(Tuple(0, 0, 0, 0, 0, 0, original_zone), Tuple(0, 0, 0, 0, 0, 0, reply_zone))
        self.status = TEMPLATE
        self.zone_from_mark = zone_from_mark

    def zones(self, mark: int) -> tuple[int, int]:
        """Return the zones of the original and the reply direction for a packet with this mark."""
        original, reply = self.original.zone, self.reply.zone
        if not self.zone_from_mark:
            return original, reply
        zone = mark & 0xFFFF
        return zone if original else 0, zone if reply else 0
