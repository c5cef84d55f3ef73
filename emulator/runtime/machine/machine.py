"""One `Kernel` under trio: a single task runs it when frames, timers or socket calls want it.

It carries what the NIC sends to the underlay, and wakes the tasks that wait on sockets.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence

import trio

from emulator.kernel.kernel import Kernel
from emulator.kernel.link.nic import Nic
from emulator.kernel.skb import Skb
from emulator.kernel.trace import Step, StepKind
from emulator.runtime.underlay.underlay import SegmentSizes, TraceMarks, Underlay

BUDGET = 200  # frames in one turn; at the slow path's worst this holds other tasks up for some 10 ms


class Machine:
    """A kernel, its way to other machines, and its time.

    Time is trio's clock; `wall_offset` added to it is the wall clock. Tasks that call into the kernel (sockets,
    rules, links) call `enter()` right before.
    """

    def __init__(self, kernel: Kernel, underlay: Underlay, log: logging.Logger, wall_offset: float) -> None:
        self.kernel = kernel
        self.underlay = underlay
        self.wall_offset = wall_offset
        kernel.boot_time = wall_offset  # both count from trio's start
        self.on_steps: Callable[[list[Step]], None] | None = None
        self._log = log
        self._nic: Nic | None = None
        self._wanted = trio.Event()
        self._logged_faults = 0

    def wall_clock(self) -> float:
        """Seconds since the epoch at this moment."""
        return self.wall_offset + trio.current_time()

    def enter(self) -> None:
        """Bring the kernel's time up to now, and have it run as soon as the calling task waits."""
        now = trio.current_time()
        if now > self.kernel.now:
            self.kernel.now = now
        self._wanted.set()

    def attach(self, nic: Nic) -> None:
        """Connect the NIC to the underlay."""
        self._nic = nic
        nic.tso_max_size = self.underlay.largest_frame

    async def run(self) -> None:
        """Run the kernel and the underlay until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.underlay.run, self._deliver)
            await self._run_kernel()

    async def _run_kernel(self) -> None:
        while True:
            self._wanted = trio.Event()
            if self._turn():
                await trio.lowlevel.checkpoint()
                continue
            deadline = self.kernel.next_deadline()
            with trio.move_on_at(math.inf if deadline is None else deadline):
                await self._wanted.wait()

    def _turn(self) -> bool:
        """Run once, and hand over all that came of it. True if frames are left for another turn."""
        kernel = self.kernel
        more = kernel.run(trio.current_time(), BUDGET)
        if self._nic is not None:
            queue, send = self._nic.transmit_queue, self.underlay.send
            while queue:
                send(*queue.popleft())
            self.underlay.flush()
        for socket in kernel.take_woken():
            socket.wake()
        if kernel.steps:
            steps = kernel.take_steps()
            if self.on_steps is not None:
                self.on_steps(steps)
        if kernel.fault_count != self._logged_faults:
            self._log_faults()
        return more

    def _deliver(self, sender: str, frames: Sequence[bytes], marks: TraceMarks, segments: SegmentSizes) -> None:
        """Take the frames of one datagram."""
        nic = self._nic
        if nic is None:
            return
        self.enter()
        if not marks and not segments:
            for frame in frames:
                nic.receive_frame(frame)
            return
        for index, frame in enumerate(frames):
            mark = marks.get(index)
            if mark is None:
                nic.receive_frame(frame, None, segments.get(index, 0))
            else:
                self._receive_traced(nic, sender, frame, mark)

    def _receive_traced(self, nic: Nic, sender: str, frame: bytes, mark: Sequence[int]) -> None:
        trace = self.kernel.open_trace(mark[0], mark[1], considered=len(mark) > 2 and mark[2] == 1)
        way = {"from": sender, "to": self.kernel.name}
        Skb(bytearray(frame), trace).step(nic.netns, StepKind.UNDERLAY, **way)
        nic.receive_frame(frame, trace)

    def _log_faults(self) -> None:
        """Write down each exception that a packet caused, with its frame; the machine goes on."""
        kernel = self.kernel
        count = min(kernel.fault_count - self._logged_faults, len(kernel.faults))
        self._logged_faults = kernel.fault_count
        for fault in list(kernel.faults)[len(kernel.faults) - count :]:
            self._log.error(
                "a packet caused an exception",
                extra={"link": fault.link, "frame": fault.frame.hex(), "error": fault.error},
            )
