"""One shell: its variables, options, functions, descriptors and traps; a subshell is a copy."""

from __future__ import annotations

import posixpath
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import trio

from emulator.apps.shell import execution
from emulator.apps.shell.expansion import Expander
from emulator.apps.shell.flow import Flow, FunctionReturn, Interrupted, ShellError
from emulator.apps.shell.parser import complete_commands
from emulator.apps.shell.pattern import Run, compile_pattern, is_pattern, plain
from emulator.apps.shell.process import MOST as MOST_PROCESSES
from emulator.apps.shell.process import SIGNALS, Process, Session
from emulator.apps.shell.streams import Descriptors, Pipe
from emulator.apps.shell.syntax import Command, Script, ShellSyntaxError
from emulator.apps.shell.variables import Variables

_MOST_SUBSTITUTED = 4 << 20  # bytes
_BROKEN_PIPE = 141  # 128 + SIGPIPE
_INTERRUPTED = 130
OPTIONS = {
    "allexport": "a", "errexit": "e", "noclobber": "C", "noglob": "f", "noexec": "n", "nounset": "u", "verbose": "v",
    "xtrace": "x", "notify": "b", "monitor": "m", "pipefail": "pipefail",
}  # fmt: skip
"""Long names of options to the letters that they are known by here."""


class Interpreter:
    """A shell process. `process` is set while it runs."""

    def __init__(self, session: Session, name: str, variables: Variables, descriptors: Descriptors) -> None:
        self.session = session
        self.name = name
        self.variables = variables
        self.descriptors = descriptors
        self.arguments: Sequence[str] = ()
        self.options: set[str] = set()
        self.functions: dict[str, Command] = {}
        self.traps: dict[str, str] = {}
        self.jobs: dict[int, Process] = {}
        self.status = 0
        self.directory = session.invocation.directory
        self.line = 0
        self.loops = 0
        self.calls = 0
        self.tested = 0  # how many conditions it is in, where `set -e` has no effect
        self.nested = 0  # how deep `eval` and `.` are in one another
        self.is_interactive = False
        self.option_place = (1, 0)  # getopts: the argument that is next, and the place in it
        self.substitution_status = 0
        self.last_job = 0
        self.shell_pid = session.pid
        self.process = Process(session.pid, background=False)
        self.replaced_by: Process | None = None  # what `exec` runs
        self.expander = Expander(self)
        self._pending: list[str] = []
        self._interrupted = False
        self._blocked: trio.CancelScope | None = None

    def fork(self) -> Interpreter:
        """Return a subshell: what it changes is its own. Traps are not inherited, but for ignored signals."""
        child = Interpreter(self.session, self.name, self.variables.copy(), self.descriptors.copy())
        child.arguments = self.arguments
        child.options = set(self.options)
        child.functions = dict(self.functions)
        child.traps = {name: action for name, action in self.traps.items() if not action}
        child.status, child.directory, child.line = self.status, self.directory, self.line
        child.loops, child.calls, child.tested = self.loops, self.calls, self.tested
        child.last_job, child.shell_pid = self.last_job, self.shell_pid
        return child

    def remember(self, job: Process) -> None:
        """Keep a job for `wait`; of those that nobody waited for the oldest that have ended are forgotten."""
        if len(self.jobs) >= MOST_PROCESSES:
            ended = next((pid for pid, other in self.jobs.items() if other.ended.is_set()), None)
            if ended is not None:
                del self.jobs[ended]
        self.jobs[job.pid] = job

    # --- running ---

    async def run_as(self, process: Process, act: Callable[[], Awaitable[int]]) -> int:
        """Run something as a process, to its end, and close its descriptors. Returns its status."""
        self.process = process
        process.catch = self._catch
        status = 0
        try:
            with process.scope:
                status = await self.run_to_end(act)
        finally:
            self.descriptors.close()
            process.end(status)
        return process.status

    async def run_to_end(self, act: Callable[[], Awaitable[int]]) -> int:
        """Run something, then the EXIT trap; `exit`, errors and broken pipes end it."""
        try:
            status = await self._status_of(act)
            self.status = status
            action = self.traps.pop("EXIT", "")
            if action:
                self.tested += 1
                ended = await self._status_of(lambda: self.run_text(action), or_else=status)
                status = ended
        except BrokenPipeError:
            self.process.signal("PIPE")
            status = _BROKEN_PIPE
        return status

    async def _status_of(self, act: Callable[[], Awaitable[int]], or_else: int | None = None) -> int:
        try:
            status = await act()
            return status if or_else is None else or_else
        except FunctionReturn as flow:
            return flow.status
        except Flow:
            return 0
        except ShellError as error:
            self.complain(str(error))
            return error.status

    async def run_text(self, text: str) -> int:
        """Run a text as `eval` does. ShellError where it is no script."""
        status = 0
        try:
            for script in complete_commands(text):
                status = await execution.run(self, script)
        except ShellSyntaxError as error:
            raise ShellError(str(error)) from None
        return status

    def print(self, text: str, descriptor: int = 1) -> None:
        """Write text. OSError where that fails."""
        stream = self.descriptors.get(descriptor)
        if stream is not None:
            stream.write(text.encode("utf-8", "surrogateescape"))

    def complain(self, message: str, command: str = "") -> None:
        """Say what is wrong, as ash does."""
        with suppress(OSError):
            self.print(f"{self.name}: {command + ': ' if command else ''}{message}\n", 2)

    async def drain(self) -> None:
        """Wait while readers of the output are behind."""
        for number in (1, 2):
            stream = self.descriptors.get(number)
            if stream is not None:
                await stream.drain()

    # --- signals ---

    def _catch(self, name: str) -> bool:
        """Take a signal: its trap runs when the command in the foreground is through; `wait` and `read` end at once."""
        if self.replaced_by is not None:
            if self.process.pid != 1:
                self.replaced_by.signal(name)
            else:
                self.replaced_by.catch(name)
            return True
        action = self.traps.get(name)
        if action:
            self._pending.append(name)
        elif name == "INT" and action is None:
            self._interrupted = True
        elif action is None:
            return self.process.pid == 1  # the first process of a container has no default actions
        if self._blocked is not None and (action or self._interrupted):
            self._blocked.cancel()
        return True

    async def block(self, act: Callable[[], Awaitable[int]]) -> int:
        """Wait for something, at most until a signal is caught: then the status is 128 and its number."""
        status = -1
        if not self._pending and not self._interrupted:
            with trio.CancelScope() as self._blocked:
                status = await act()
            self._blocked = None
        return status if status >= 0 else 128 + SIGNALS[self._pending[0] if self._pending else "INT"]

    async def between(self) -> None:
        """What happens between two commands: traps run, and Ctrl-C takes effect."""
        if self._interrupted:
            self._interrupted = False
            raise Interrupted(_INTERRUPTED)
        while self._pending:
            action = self.traps.get(self._pending.pop(0), "")
            status = self.status
            await self.run_text(action)
            self.status = status

    # --- what expansion needs ---

    def has(self, option: str) -> bool:
        """Whether an option of `set` is on."""
        return option in self.options

    def parameter(self, name: str) -> str | None:
        """Return the value of a variable or of a special parameter; None where it is not set."""
        if name.isdigit():
            index = int(name)
            if not index:
                return self.name
            return self.arguments[index - 1] if index <= len(self.arguments) else None
        match name:
            case "?":
                return str(self.status)
            case "#":
                return str(len(self.arguments))
            case "$":
                return str(self.shell_pid)
            case "!":
                return str(self.last_job) if self.last_job else None
            case "-":
                return "".join(sorted(option for option in self.options if len(option) == 1))
            case "LINENO":
                return str(self.line)
            case "RANDOM":
                return str(self.session.invocation.network.draw(15))
        return self.variables.get(name)

    def assign(self, name: str, value: str) -> None:
        """Set a variable. ExpansionError where it is read only."""
        self.variables.set(name, value, exported="a" in self.options)

    async def substitute(self, script: Script) -> str:
        """Run a command substitution and return its output without the newlines at its end."""
        process = self.session.process(background=self.process.background)
        pipe = Pipe()
        child = self.fork()
        child.descriptors.put(1, pipe.writer)
        output = bytearray()
        own = Descriptors()
        own.put(0, pipe.reader)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(child.run_as, process, lambda: execution.run(child, script))
                while data := await pipe.reader.read():
                    output += data
                    if len(output) > _MOST_SUBSTITUTED:
                        break
        finally:
            own.close()
        self.session.forget(process)
        self.substitution_status = process.status
        return output.replace(b"\0", b"").decode("utf-8", "surrogateescape").rstrip("\n")

    def path(self, name: str) -> str:
        """Return the absolute path of a name."""
        path = posixpath.normpath(posixpath.join(self.directory, name))
        return path[1:] if path.startswith("//") else path

    async def glob(self, runs: Sequence[Run]) -> list[str]:
        """Return the names of files that match, sorted."""
        absolute = plain(runs).startswith("/")
        found = ["/"] if absolute else [""]
        for component in _components(runs):
            if not plain(component):
                continue
            following: list[str] = []
            for folder in found:
                following += await self._matching(folder, component)
            found = [f"{name}/" for name in following]
        names = [name.rstrip("/") or "/" for name in found]
        return [f"{name}/" for name in names] if plain(runs).endswith("/") else names

    async def _matching(self, folder: str, component: list[Run]) -> list[str]:
        if not is_pattern(component):
            name = folder + plain(component)
            return [name] if await self.session.files.status(self.path(name)) is not None else []
        pattern = compile_pattern(component, of_file=True)
        try:
            names = await self.session.files.names(self.path(folder or "."))
        except OSError:
            return []
        return [folder + name for name in names if pattern.fullmatch(name)]


def _components(runs: Sequence[Run]) -> list[list[Run]]:
    """Cut a pattern at its slashes."""
    components: list[list[Run]] = [[]]
    for text, quoted in runs:
        first, *rest = text.split("/")
        components[-1].append((first, quoted))
        components += [[(section, quoted)] for section in rest]
    return components
