"""How much a node does per second, by the counters that it tells once a second and its own clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from msgspec import Struct

from emulator.api.messages import NodeStatusResult

SAMPLES = 60
_BARS = "▁▂▃▄▅▆▇█"


class Rate(Struct, frozen=True):
    """Of one second or so: underlay frames and bytes a second, both ways."""

    frames: float
    octets: float


class Rates:
    """The rates of one node, the latest last."""

    def __init__(self) -> None:
        self._last: NodeStatusResult | None = None
        self._rates: deque[Rate] = deque(maxlen=SAMPLES)

    def add(self, status: NodeStatusResult) -> None:
        """Take over what the node told; a process that began anew counts from zero, and so do we."""
        last, self._last = self._last, status
        if last is None or last.pid != status.pid or last.uptime >= status.uptime:
            self._rates.clear()
            return
        seconds = status.uptime - last.uptime
        old, new = last.underlay, status.underlay
        frames = new.sent_frames - old.sent_frames + new.received_frames - old.received_frames
        octets = new.sent_bytes - old.sent_bytes + new.received_bytes - old.received_bytes
        self._rates.append(Rate(frames / seconds, octets / seconds))

    @property
    def latest(self) -> Rate | None:
        """The last one, None before there are two samples."""
        return self._rates[-1] if self._rates else None

    @property
    def frames(self) -> tuple[float, ...]:
        """Frames a second, the latest last."""
        return tuple(rate.frames for rate in self._rates)


def sparkline(values: Sequence[float], width: int) -> str:
    """Draw the last `width` values as bars from zero to their greatest; a value above zero is seen."""
    shown = values[-width:] if width > 0 else ()
    top = max(shown, default=0.0)
    if top <= 0:
        return _BARS[0] * len(shown)
    steps = len(_BARS) - 1
    return "".join(_BARS[0 if value <= 0 else max(1, round(value / top * steps))] for value in shown)
