"""One packet's row: what became of it, in the contract's words, as JSON or for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct, field
from msgspec.json import encode

from emulator.api.problem import printable
from emulator.packet.capture import format_time
from emulator.packet.describe import describe_frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emulator.kernel.trace import Step

FORWARDED, DELIVERED, DROPPED, STOLEN = "forwarded", "delivered", "dropped", "stolen"


class Output(NamedTuple):
    """A frame that the node sent at a link, and when (nanoseconds since 1970)."""

    time: int
    link: str
    frame: bytes
    ethernet: bool = True


class Row(Struct):
    """What is told of one packet.

    `number` counts from 1 over all inputs, in time order. `time` is in nanoseconds since 1970. `frame` is the packet
    as it came in, with room for an Ethernet header where it had none.
    `timers`: what the node's timers sent since the row before. `ignored`: rules that never match because they use what
    is unknown, and that the packet passed. `steps` is empty unless each rule that is considered was asked for.
    """

    number: int
    time: int
    link: str
    frame: bytes = b""
    verdict: str = STOLEN
    reason: str | None = None
    out: list[Output] = field(default_factory=list)
    state: str | None = None
    entry: str | None = None
    rules: list[str] = field(default_factory=list)
    timers: list[Output] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def to_json(self, **more: Any) -> str:
        """Return the row as one line of JSON. Keys beyond the contract are there only when they say something."""
        rest: dict[str, Any] = {
            "in": self.link,
            "verdict": self.verdict,
            "reason": self.reason,
            "out": [{"link": each.link, "frame": each.frame.hex()} for each in self.out],
            "ct": {"state": self.state, "entry": self.entry},
            "rules": self.rules,
        }
        if self.timers:
            rest["timer_out"] = [
                {"time": each.time / 1e9, "link": each.link, "frame": each.frame.hex()} for each in self.timers
            ]
        if self.ignored:
            rest["ignored"] = self.ignored
        if self.notes:
            rest["notes"] = self.notes
        rest.update(more)
        # The time is written by hand: a float would lose its nanoseconds.
        return f'{{"n":{self.number},"time":{format_time(self.time)},{encode(rest).decode()[1:]}'

    def to_text(self, steps: Sequence[str] = ()) -> list[str]:
        """Return the row as lines for people, with the packet's steps in the middle if they were recorded."""
        timers = [f"{'':10}a timer sent: {_output(each)}" for each in self.timers]
        # Names of links, chains and sets may hold what a terminal acts on.
        return [printable(line) for line in (*timers, *self._packet_lines(steps))]

    def _packet_lines(self, steps: Sequence[str]) -> list[str]:
        reason = f" {self.reason}" if self.reason else ""
        state = f"  {self.state}" if self.state else ""
        lines = [f"{self.number:>8}  {format_time(self.time)}  {self.link}  {self._packet()}", *steps]
        lines.append(f"{'':10}{self.verdict}{reason}{state}")
        lines += [f"{'':10}→ {_output(each)}" for each in self.out]
        if self.entry:
            lines.append(f"{'':10}{' '.join(self.entry.split())}")
        if self.rules:
            lines.append(f"{'':10}{' '.join(self.rules)}")
        if self.ignored:
            lines.append(f"{'':10}ignored: {' '.join(self.ignored)}")
        lines += [f"{'':10}note: {note}" for note in self.notes]
        return lines

    def _packet(self) -> str:
        """Describe the packet in one line, one of a link without Ethernet headers too."""
        return describe_frame(self.frame)


def _output(output: Output) -> str:
    return f"{output.link}  {describe_output(output)}"


def describe_output(output: Output) -> str:
    """Return a frame in one line."""
    if output.ethernet:
        return describe_frame(output.frame)
    return describe_frame(bytes(12) + (b"\x86\xdd" if output.frame[:1] >= b"\x60" else b"\x08\x00") + output.frame)
