"""One machine: its namespaces, what is queued between them, its timers and its random source.

The runtime's only ways in are `Nic.receive_frame`, the sockets' methods and `run(now)`; what the machine sends lies in
its NICs' transmit queues, what became ready in `take_woken()`.
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from emulator.kernel.choice import Choices, Drawn
from emulator.kernel.drop import DropReason
from emulator.kernel.timer import Timer, TimerHeap
from emulator.kernel.trace import Step, Trace

if TYPE_CHECKING:
    from emulator.kernel.drop_log import DropRecord
    from emulator.kernel.link.link import Link
    from emulator.kernel.netfilter.conntrack.refusal import Refusal
    from emulator.kernel.netns import Netns
    from emulator.kernel.skb import Skb

BACKLOG_LIMIT = 10_000
DROP_LOG_LIMIT = 4096
FAULT_LIMIT = 64
HOP_LIMIT = 64
FIRST_LINK_INDEX = 2  # each namespace's loopback has 1


class RandomSource(Protocol):
    """What the stack draws numbers from; `random.Random(seed)` is one."""

    def getrandbits(self, k: int, /) -> int:
        """Return an integer of `k` random bits."""

    def randrange(self, start: int, stop: int, /) -> int:
        """Return an integer in [start, stop)."""

    def random(self) -> float:
        """Return a float in [0, 1)."""


class Waker(Protocol):
    """A socket whose readiness changed; the runtime calls `wake` after the stack has run."""

    def wake(self) -> None:
        """Let whoever waits on it look again."""


class Fault(Struct, frozen=True):
    """An exception that one packet caused: counted and logged with the frame; the machine lives."""

    time: float
    link: str
    frame: bytes
    error: str


class Kernel:
    """A machine's stack. Two machines can live in one process: nothing here is global.

    `now` is the time in seconds of the event in hand. `boot_time` is the wall-clock time of `now == 0`, for what
    Linux prints as a date.
    """

    def __init__(self, name: str, random: RandomSource, now: float = 0.0) -> None:
        self.name = name
        self.random = random
        self.choices: Choices = Drawn(random)  # whoever wants to see every way a packet may take puts another here
        self.now = now
        self.boot_time = 0.0
        self.timers = TimerHeap()
        self.namespaces: dict[str, Netns] = {}
        self.steps: list[Step] = []  # of traced packets, until the runtime takes them
        self.drop_log: deque[DropRecord] = deque(maxlen=DROP_LOG_LIMIT)  # the runtime drains both
        self.refusals: deque[Refusal] = deque(maxlen=DROP_LOG_LIMIT)
        self.faults: deque[Fault] = deque(maxlen=FAULT_LIMIT)
        self.fault_count = 0
        self._backlog: deque[tuple[Link, Skb]] = deque()
        self._woken: dict[Waker, None] = {}
        self._next_link_index = FIRST_LINK_INDEX
        self._multipath_seed = 0

    @property
    def multipath_seed(self) -> int:
        """The machine's own seed for choosing among a route's ways, drawn when it is first wanted."""
        if not self._multipath_seed:
            self._multipath_seed = self.random.getrandbits(32) or 1
        return self._multipath_seed

    def wall_clock(self) -> float:
        """Return the time of the event in hand in seconds since the epoch."""
        return self.boot_time + self.now

    def next_link_index(self) -> int:
        """Return an ifindex that no link of this machine has."""
        index = self._next_link_index
        self._next_link_index += 1
        return index

    def schedule(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Arm a timer `delay` seconds from `now`."""
        return self.timers.add(self.now + delay, callback)

    def enqueue(self, link: Link, skb: Skb) -> None:
        """Queue a frame for reception on `link`, as `netif_rx` does: no recursion from namespace to namespace."""
        skb.hops += 1
        if skb.hops > HOP_LIMIT or len(self._backlog) >= BACKLOG_LIMIT:
            link.counters.rx_dropped += 1
            link.netns.drop(skb, DropReason.HOP_LIMIT if skb.hops > HOP_LIMIT else DropReason.CPU_BACKLOG)
            return
        self._backlog.append((link, skb))

    def run(self, now: float, budget: int = 1_000) -> bool:
        """Run due timers, then up to `budget` queued frames. True if work is left for another call."""
        if now > self.now:
            self.now = now
        self._run_timers()
        backlog = self._backlog
        while backlog and budget > 0:
            budget -= 1
            link, skb = backlog.popleft()
            try:
                link.receive(skb)
            except Exception:
                self._fault(link.name, bytes(skb.data))
            if not backlog:
                self._run_timers()
        return bool(backlog)

    def _run_timers(self) -> None:
        while (callback := self.timers.pop_due(self.now)) is not None:
            try:
                callback()
            except Exception:
                self._fault("timer", b"")

    def next_deadline(self) -> float | None:
        """When `run` is next wanted: now if frames are queued, else at the earliest timer, else None."""
        if self._backlog:
            return self.now
        return self.timers.next_deadline()

    def wake(self, waker: Waker) -> None:
        """Note that a socket became readable, writable or failed."""
        self._woken[waker] = None

    def take_woken(self) -> list[Waker]:
        """Hand over, once each, the sockets whose readiness changed since the last call."""
        if not self._woken:
            return []
        woken = list(self._woken)
        self._woken.clear()
        return woken

    def open_trace(self, identity: int, number: int = 0, *, considered: bool = False) -> Trace:
        """Return the mark for a packet to be traced here; `number` continues where another machine left off.

        `considered`: with the rules that did not match.
        """
        return Trace(identity, number, self._record, considered=considered)

    def take_steps(self) -> list[Step]:
        """Hand over the steps recorded since the last call."""
        steps, self.steps = self.steps, []
        return steps

    def _record(self, step: Step) -> None:
        self.steps.append(step)

    def _fault(self, link: str, frame: bytes) -> None:
        self.fault_count += 1
        self.faults.append(Fault(self.now, link, frame, traceback.format_exc()))
