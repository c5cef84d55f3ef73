"""The processes that a shell makes: tasks with an id, which signals end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import trio

from emulator.apps.environment import Invocation
from emulator.apps.filesystem import Files
from emulator.apps.shell.flow import ShellError

SIGNALS = {
    "HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "TRAP": 5, "ABRT": 6, "BUS": 7, "FPE": 8, "KILL": 9, "USR1": 10,
    "SEGV": 11, "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15, "STKFLT": 16, "CHLD": 17, "CONT": 18, "STOP": 19,
    "TSTP": 20, "TTIN": 21, "TTOU": 22, "URG": 23, "XCPU": 24, "XFSZ": 25, "VTALRM": 26, "PROF": 27, "WINCH": 28,
    "POLL": 29, "PWR": 30, "SYS": 31,
}  # fmt: skip
_IGNORED = frozenset({"CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "WINCH"})  # nothing is ever stopped here
_BUILT_IN_COST, _PROGRAM_COST = 5e-5, 1e-3
_DEBT = 5e-3
MOST = 256
"""Processes of one shell at a time, as a pod's pids limit keeps a node from those that only make more."""
DEEPEST_SHELLS = 16


def signal_name(text: str) -> str | None:
    """Return the name of a signal given by name ("TERM", "sigterm") or number, "EXIT" for 0; None if there is none."""
    if text.isascii() and text.isdigit():
        return "EXIT" if int(text) == 0 else next((name for name, value in SIGNALS.items() if value == int(text)), None)
    name = text.upper().removeprefix("SIG")
    return name if name in SIGNALS or name == "EXIT" else None


class Process:
    """One process. `catch` is told of a signal and says whether that was its end; KILL it is not told of."""

    def __init__(self, pid: int, *, background: bool) -> None:
        self.pid = pid
        self.background = background
        self.scope = trio.CancelScope()
        self.ended = trio.Event()
        self.status = 0
        self.catch: Callable[[str], bool] = lambda _name: False
        self.running: set[Process] = set()  # it and others that share a processor
        self._killed_by = 0

    def signal(self, name: str) -> None:
        """Send a signal, by its name."""
        if name in _IGNORED or (name != "KILL" and self.catch(name)):
            return
        self._killed_by = self._killed_by or SIGNALS[name]
        self.scope.cancel()

    def end(self, status: int) -> int:
        """Note how it ended, and return that: what ended it counts for more than what it said."""
        self.status = 128 + self._killed_by if self._killed_by else status
        self.ended.set()
        self.running.discard(self)
        return self.status


class Processor:
    """What a shell and those that it starts (`sh -c ...`, scripts) share: how many they may be, and one processor."""

    def __init__(self) -> None:
        self.running: set[Process] = set()
        self._debt = 0.0
        self._busy_until = 0.0

    async def spend(self, cost: float) -> None:
        """Let others run: while a process pays for what was done, all wait."""
        self._debt += cost
        if self._debt >= _DEBT:
            self._busy_until = max(self._busy_until, trio.current_time()) + self._debt
            self._debt = 0.0
        if self._busy_until > trio.current_time():
            await trio.sleep_until(self._busy_until)
        else:
            await trio.lowlevel.checkpoint()


_SHARED: ContextVar[tuple[Processor, int] | None] = ContextVar("_SHARED", default=None)


@contextmanager
def shared_processor() -> Iterator[Processor]:
    """Give a shell the processor of the shell that runs it, or one of its own. ShellError where they are too deep."""
    found = _SHARED.get()
    processor, depth = (Processor(), 0) if found is None else found
    if depth >= DEEPEST_SHELLS:
        raise ShellError("shells run one another too deep")
    token = _SHARED.set((processor, depth + 1))
    try:
        yield processor
    finally:
        _SHARED.reset(token)


@dataclass(slots=True)
class Session:
    """What all processes of one shell share. `invocation` is that shell's own."""

    invocation: Invocation
    files: Files
    nursery: trio.Nursery
    processor: Processor
    processes: dict[int, Process] = field(default_factory=dict)
    _last_pid: int = 0

    def __post_init__(self) -> None:
        self._last_pid = self.invocation.pid or 2 + self.invocation.network.draw(14)

    @property
    def pid(self) -> int:
        """The id of the latest process, or of the first one's shell."""
        return self._last_pid

    def process(self, *, background: bool) -> Process:
        """Make a process. ShellError where there are too many."""
        running = self.processor.running
        if len(running) >= MOST:
            raise ShellError("can't fork: Resource temporarily unavailable")
        if len(self.processes) >= MOST:
            self.processes = {pid: process for pid, process in self.processes.items() if not process.ended.is_set()}
        self._last_pid += 1
        process = self.processes[self._last_pid] = Process(self._last_pid, background=background)
        process.running = running
        running.add(process)
        return process

    def stages(self, count: int, *, background: bool) -> list[Process]:
        """Make the processes of a pipeline, all or none. ShellError."""
        made: list[Process] = []
        try:
            while len(made) < count:
                made.append(self.process(background=background))
        except ShellError:
            for process in made:
                self.forget(process)
            raise
        return made

    def forget(self, process: Process) -> None:
        """Forget a process that has ended and that nobody will ask for."""
        self.processes.pop(process.pid, None)
        process.running.discard(process)

    def interrupt(self) -> None:
        """Pass Ctrl-C on to the processes in the foreground."""
        for process in [*self.processes.values()]:
            if not process.background and not process.ended.is_set():
                process.signal("INT")

    async def spend(self, *, program: bool = False) -> None:
        """Let others run. Commands take time: a loop without a pause must hold up neither its node nor a simulation."""
        await self.processor.spend(_PROGRAM_COST if program else _BUILT_IN_COST)
