"""Puts packets through a bundle's node, each at its own time, and tells of each what became of it.

Timers that are due in between (ARP's repetitions, connections that end, fragments that are given up) run at their own
times; what they send is in the next row's `timers`. The clock ends with the last packet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.bundle.bundle import Bundle, load_bundle
from emulator.bundle.complete import SEGMENTED, complete, segments
from emulator.bundle.edge import EdgeLink
from emulator.bundle.frame import frame_of
from emulator.bundle.inject import receive, send
from emulator.bundle.inputs import LOCAL, Arrival, was_sent
from emulator.bundle.local import take_deliveries
from emulator.bundle.not_emulated import NOT_EMULATED, not_emulated
from emulator.bundle.row import DELIVERED, DROPPED, FORWARDED, STOLEN, Output, Row
from emulator.errors import PodwireError
from emulator.kernel.drop import DropReason
from emulator.kernel.netfilter.conntrack.connection import CONFIRMED, DYING
from emulator.kernel.record import Record
from emulator.packet.capture import NANOSECONDS

if TYPE_CHECKING:
    from emulator.kernel.kernel import RandomSource
    from emulator.kernel.link.link import Link
    from emulator.kernel.trace import Trace

FAULT = "EMULATOR_FAULT"
_ARP = b"\x08\x06"


class Outputs:
    """Gathers what the node sends. `time` is that of the event in hand, in nanoseconds."""

    def __init__(self) -> None:
        self.time = 0
        self.sent: list[Output] = []

    def emit(self, link: EdgeLink, frame: bytes) -> None:
        """Take a frame."""
        self.sent.append(Output(self.time, link.name, frame, link.ethernet))

    def take(self) -> list[Output]:
        """Hand over what was sent since the last call."""
        sent, self.sent = self.sent, []
        return sent


class UnknownLinkError(PodwireError):
    """Packets for a link that the node does not have."""

    def __init__(self, link: str, known: Sequence[str]) -> None:
        self.link = link
        self.known = tuple(known)
        super().__init__(f"no link {link} in the bundle's links.json; there are {', '.join(known)}")


class Options(Struct, frozen=True):
    """How a bundle is taken, and what is told.

    `ignore_unknown`, `assume_neighbours`: see `load_bundle`. `considered`: rows have the steps of their packet, with
    each rule that was considered. `skip_sent`: leave out packets that the capture saw as the node sent them.
    """

    ignore_unknown: bool = False
    assume_neighbours: bool | None = None
    considered: bool = False
    skip_sent: bool = False


DEFAULTS = Options()


class Replay:
    """One node and its packets. `links` are the names that packets come in by.

    Make it (BundleError if the bundle cannot be used), then iterate over `rows`.
    """

    def __init__(
        self,
        directory: Path,
        arrivals: Sequence[Arrival],
        links: Iterable[str],
        random: RandomSource,
        options: Options = DEFAULTS,
    ) -> None:
        self._outputs = Outputs()
        self._considered = options.considered
        now = arrivals[0].packet.time / NANOSECONDS if arrivals else 0.0
        self.bundle: Bundle = load_bundle(
            directory,
            self._outputs.emit,
            random,
            now=now,
            ignore_unknown=options.ignore_unknown,
            assume_neighbours=options.assume_neighbours,
        )
        self._kernel = self.bundle.kernel
        self._netns = self.bundle.netns
        take_deliveries(self._netns)
        self._check_links(links)
        received = [each for each in arrivals if not self._was_sent(each)]
        self.sent = len(arrivals) - len(received)  # packets that the node sent and that cannot have come in
        self._arrivals = received if options.skip_sent else arrivals

    @property
    def faults(self) -> int:
        """How many packets met a fault of the emulator."""
        return self._kernel.fault_count

    def _check_links(self, names: Iterable[str]) -> None:
        for name in names:
            if name != LOCAL and name not in self._netns.links:
                raise UnknownLinkError(name, [*self._netns.links, LOCAL])

    def _was_sent(self, arrival: Arrival) -> bool:
        link = self._netns.links.get(arrival.link)
        return link is not None and was_sent(arrival.packet, link.mac_bytes if link.mac else None)

    def rows(self) -> Iterator[Row]:
        """Yield a row for each packet, in time order."""
        for number, arrival in enumerate(self._arrivals, 1):
            yield self._row(number, arrival)

    def waiting(self) -> list[str]:
        """Say which packets still wait for ARP, since the clock has ended."""
        return [
            f"{len(entry.queue)} packets wait for ARP to find {entry}"
            if len(entry.queue) > 1
            else f"1 packet waits for ARP to find {entry}"
            for entry in self._netns.neighbours
            if entry.queue
        ]

    # One packet

    def _row(self, number: int, arrival: Arrival) -> Row:
        packet = arrival.packet
        row = Row(number, packet.time, arrival.link)
        self._pass_time(packet.time)
        row.timers = self._outputs.take()
        link = None if arrival.link == LOCAL else self._netns.links[arrival.link]
        ethernet = not isinstance(link, EdgeLink) or link.ethernet
        frame, length = frame_of(packet, link, ethernet=ethernet)
        row.frame = bytes(frame)
        note = complete(frame, length)
        if note:
            row.notes.append(note)
        record = Record()
        trace = self._kernel.open_trace(number, considered=True) if self._considered else None
        faults = self._kernel.fault_count
        self._feed(row, frame, link, record, trace)
        self._settle(packet.time)
        row.out = self._outputs.take()
        self._judge(row, frame[12:14], record)
        if self._kernel.fault_count > faults:
            row.verdict, row.reason = DROPPED, FAULT
            row.notes.append(f"a fault of the emulator: {self._kernel.faults[-1].error.strip().splitlines()[-1]}")
        if trace is not None:
            row.steps = [step for step in self._kernel.take_steps() if step.trace == number]
        return row

    def _feed(self, row: Row, frame: bytearray, link: Link | None, record: Record, trace: Trace | None) -> None:
        """Put a packet in, in the pieces that the link carries."""
        if link is None:
            send(self._netns, frame, record, trace, cut=lambda whole, mtu: self._cut(row, whole, mtu))
            return
        for piece in self._cut(row, frame, link.mtu):
            receive(link, piece, record, trace)

    @staticmethod
    def _cut(row: Row, frame: bytearray, mtu: int) -> list[bytearray]:
        if len(frame) - 14 <= mtu:
            return [frame]
        pieces = segments(frame, mtu)
        if len(pieces) > 1:
            row.notes.append(SEGMENTED.format(length=len(frame) - 14, mtu=mtu, count=len(pieces)))
        return pieces

    # Time

    def _pass_time(self, until: int) -> None:
        """Let timers run, each at its own time, up to a packet's."""
        end = until / NANOSECONDS
        kernel = self._kernel
        while (deadline := kernel.next_deadline()) is not None and deadline <= end:
            self._outputs.time = min(round(deadline * NANOSECONDS), until)
            kernel.run(deadline)
        self._outputs.time = until
        kernel.run(end)

    def _settle(self, time: int) -> None:
        """Let what the packet set off come to an end."""
        now = time / NANOSECONDS
        kernel = self._kernel
        while (deadline := kernel.next_deadline()) is not None and deadline <= now:
            kernel.run(now)

    # Verdict

    def _judge(self, row: Row, ethertype: bytes | bytearray, record: Record) -> None:
        if record.left:
            row.verdict = FORWARDED
        elif record.delivered:
            row.verdict = DELIVERED
        elif record.drops:
            row.verdict, row.reason = DROPPED, record.drops[-1].name
        else:
            row.verdict = DELIVERED if ethertype == _ARP else STOLEN
        row.rules = [f"{chain.table.name}:{chain.name}:rule:{rule.number}" for chain, rule in record.rules]
        if record.policy is not None:
            policy = record.policy
            row.rules.append(f"{policy.table.name}:{policy.name}:policy:{len(policy.rules) + 1}")
        row.ignored = [f"{chain.table.name}:{chain.name}:rule:{number}" for chain, number in record.ignored]
        row.state = record.state or None
        row.entry = self._entry(record)
        if row.reason == DropReason.UNHANDLED_PROTO.name and (kind := not_emulated(ethertype)):
            row.reason = NOT_EMULATED
            row.notes.append(f"{kind} is not emulated: what the node does with this packet is not known")
        stand_ins = self.bundle.stand_ins
        if stand_ins is not None:
            notes = (stand_ins.note(each.frame) for each in row.out if each.ethernet)
            row.notes += dict.fromkeys(note for note in notes if note)

    def _entry(self, record: Record) -> str | None:
        connection = record.connection
        if connection is None or not connection.status & CONFIRMED or connection.status & DYING:
            return None
        return connection.format(self._kernel.now)
