"""How iperf3 3.12 writes its reports: units, intervals, summaries."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

RULE = " ".join("-" * 25)
BANNER = "-" * 59
_BYTES = ("Bytes", "KBytes", "MBytes", "GBytes", "TBytes")
_BITS = ("bits", "Kbits", "Mbits", "Gbits", "Tbits")
_SCALES = {"k": 1, "m": 2, "g": 3, "t": 4}


class Line(Struct, frozen=True):
    """One stream, or the sum of all, over a time (seconds from the test's start). `number` is None for the sum.

    `retransmits` and `window` (bytes) are of TCP's sender; `packets` with `errors` and `jitter` (seconds) of UDP.
    """

    number: int | None
    begin: float
    end: float
    size: int
    sender: bool
    retransmits: int | None = None
    window: int | None = None
    packets: int | None = None
    errors: int = 0
    jitter: float = 0.0

    @property
    def rate(self) -> float:
        """Bits a second."""
        return self.size * 8 / (self.end - self.begin) if self.end > self.begin else 0.0

    @property
    def lost_percent(self) -> float:
        """How many of the packets are missing, of a hundred."""
        return 100 * self.errors / self.packets if self.packets else 0.0


def amount(value: float, *, bits: bool = False, unit: str = "") -> str:
    """Write bytes (by 1024) or bits (by 1000) in four figures: "9.99 MBytes", "  12 Kbits"; `unit` fixes the scale.

    A unit in capitals makes bytes of bits.
    """
    if unit and unit.isupper():
        value, bits = value / 8, False
    step, names = (1000, _BITS) if bits else (1024, _BYTES)
    scale = _SCALES.get(unit.lower(), 0)
    if unit:
        value /= step**scale
    else:
        while value >= step and scale < len(names) - 1:
            value /= step
            scale += 1
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:4.{digits}f} {names[scale]}"


def header(*, udp: bool, sender: bool, summary: bool) -> str:
    """Return the titles of the columns."""
    head = "[ ID] Interval           Transfer     Bitrate"
    if udp:
        titles = "         Total Datagrams" if sender and not summary else "         Jitter    Lost/Total Datagrams"
        return head + titles
    if not sender:
        return head
    return head + ("         Retr" if summary else "         Retr  Cwnd")


def interval(line: Line, unit: str) -> str:
    """Write an interval of a running test."""
    if line.packets is not None:
        if line.sender:
            return f"{_beginning(line, unit)}  {line.packets}  "
        return f"{_beginning(line, unit)}  {_loss(line)}  "
    if line.retransmits is None:
        return f"{_beginning(line, unit)}{' ' * 18}"
    if line.window is None:
        return f"{_beginning(line, unit)}  {line.retransmits:3d}{' ' * 13}"
    return f"{_beginning(line, unit)}  {line.retransmits:3d}   {amount(line.window)}{' ' * 7}"


def summary(line: Line, unit: str) -> str:
    """Write a line of the end: who sent, or who received."""
    who = "sender" if line.sender else "receiver"
    if line.packets is not None:
        return f"{_beginning(line, unit)}  {_loss(line)}  {who}"
    if line.retransmits is None:
        return f"{_beginning(line, unit)}{' ' * 18}{who}"
    return f"{_beginning(line, unit)}  {line.retransmits:3d}{' ' * 13}{who}"


def total(lines: Sequence[Line]) -> Line:
    """Add streams up."""
    retransmits = [line.retransmits for line in lines if line.retransmits is not None]
    packets = [line.packets for line in lines if line.packets is not None]
    return Line(
        None,
        lines[0].begin,
        max(line.end for line in lines),
        sum(line.size for line in lines),
        lines[0].sender,
        sum(retransmits) if retransmits else None,
        None,
        sum(packets) if packets else None,
        sum(line.errors for line in lines),
        sum(line.jitter for line in lines) / len(lines),
    )


def _beginning(line: Line, unit: str) -> str:
    name = "SUM" if line.number is None else f"{line.number:3d}"
    rate = amount(line.rate, bits=True, unit=unit)
    return f"[{name}] {line.begin:6.2f}-{line.end:<6.2f} sec  {amount(line.size)}  {rate}/sec"


def _loss(line: Line) -> str:
    return f"{line.jitter * 1000:5.3f} ms  {line.errors}/{line.packets} ({line.lost_percent:.2g}%)"
