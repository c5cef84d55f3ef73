"""conntrack of conntrack-tools 1.4.7: list, watch, make, change and delete the connections of a namespace."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

import trio
from msgspec import Struct

from emulator.apps.commands import conntrack_options
from emulator.apps.commands.conntrack_change import create, named_entry, update
from emulator.apps.commands.conntrack_filter import Condition, InvalidFilterError, conditions
from emulator.apps.commands.conntrack_options import OperationError, Request, parameters
from emulator.apps.commands.conntrack_output import TIMESTAMP, XML, XML_END, XML_HEAD, Printer, output_of
from emulator.apps.commands.conntrack_usage import PROTOCOL_HELP, USAGE, VERSION
from emulator.apps.environment import Invocation
from emulator.apps.options import UsageError
from emulator.kernel.netfilter.conntrack.connection import Connection
from emulator.kernel.netfilter.conntrack.conntrack import Conntrack
from emulator.kernel.netfilter.conntrack.event import Event, EventKind

PROGRAM = "conntrack"
_HINT = "Try `conntrack -h' or 'conntrack --help' for more information.\n"
_PORT_ID = 1  # the netlink address of whoever changes the table: there are no process ids here
_MOST_WAITING = 10_000  # events that the output may be behind
_LOST = (
    "WARNING: We have hit ENOBUFS! We are losing events.\nThis message means that the current netlink socket buffer "
    "size is too small.\nPlease, check --buffer-size in conntrack(8) manpage.\n"
)
_EVENTS: Mapping[str, int] = MappingProxyType({"ALL": 7, "NEW": 1, "UPDATES": 2, "DESTROY": 4})
_EVENT_BITS = {EventKind.NEW: 1, EventKind.UPDATE: 2, EventKind.DESTROY: 4}
_COMPARISONS = frozenset("psdrqmcuiwl()")


class _Run(Struct, frozen=True):
    """One run of the command, with its command line read."""

    invocation: Invocation
    request: Request
    conntrack: Conntrack
    condition: Condition
    output: int

    def printer(self) -> Printer:
        """Return what prints entries as they are now."""
        now = self.conntrack.now
        return Printer(self.output, now, self.invocation.wall_clock() - now)

    def tell(self, text: str) -> None:
        """Say something on standard error, as the tool does."""
        self.invocation.write_error(f"{VERSION}: {text}\n")

    def found(self) -> list[Connection]:
        """Return the entries that the command line means."""
        return [each for each in self.conntrack if self.condition(each)]


async def main(invocation: Invocation) -> int:
    """Run `conntrack`. Exit status 0, 1 where it fails or `-D`, `-U` find nothing, 2 for usage."""
    try:
        request = conntrack_options.read(invocation.argv[1:], invocation.write_error)
        if not request.command or request.command in "hV":
            return _about(invocation, request)
        output = output_of(request, invocation.write_error)
        required = conditions(request, invocation.write_error)
        run = _Run(
            invocation,
            request,
            invocation.network.netns.netfilter.conntrack,
            lambda connection: all(condition(connection) for condition in required),
            output,
        )
        commands = _EXPECTATIONS if request.table == "expect" else _COMMANDS
        return await commands[request.command](run)
    except UsageError as error:
        invocation.write_error(f"{VERSION}: {error}\n{_HINT}")
        return 2
    except InvalidFilterError:
        invocation.write_error(f"{VERSION}: Operation failed: invalid parameters\n")
    except OperationError as error:
        invocation.write_error(f"{VERSION}: {error}\n")
    return 1


def _about(invocation: Invocation, request: Request) -> int:
    if request.command == "V":
        invocation.write(f"{VERSION}\n")
        return 0
    invocation.write(USAGE)
    if request.command == "h" and request.protocol:
        name = request.value("p") if request.protocol == "other" else request.protocol
        invocation.write(f"Proto `{name}' help:\n{PROTOCOL_HELP.get(request.protocol, '')}")
    return 0


async def _list(run: _Run) -> int:
    request = run.request
    if "z" in request.options and request.options & _COMPARISONS:
        raise UsageError("Can't use -z with filtering parameters")
    found = run.found() if request.table == "conntrack" else []
    printer = run.printer()
    lines = [f"{printer.entry(connection)}\n" for connection in found]
    if "z" in request.options:
        for connection in found:
            connection.reset_counters()
    if lines and run.output & XML:
        lines = [XML_HEAD, *lines, XML_END]
    run.invocation.write("".join(lines))
    run.tell(f"{len(found)} flow entries have been shown.")
    return 0


async def _delete(run: _Run) -> int:
    found = run.found()
    printer = run.printer()
    for connection in found:
        run.conntrack.delete(connection, PROGRAM)
        run.invocation.write(f"{printer.entry(connection, command='-D')}\n")
    run.tell(f"{len(found)} flow entries have been deleted.")
    return 0 if found else 1


async def _flush(run: _Run) -> int:
    run.conntrack.flush(PROGRAM)  # whatever `-f` says
    run.tell("connection tracking table has been emptied.")
    return 0


async def _count(run: _Run) -> int:
    run.invocation.write(f"{len(list(run.conntrack))}\n")
    return 0


async def _statistics(run: _Run) -> int:
    """The counters of the one processor that a machine has."""
    statistics = run.conntrack.statistics
    counts = "".join(f"{name}={getattr(statistics, name)} " for name in STATISTICS)
    run.invocation.write(f"cpu=0   \t{counts}\n")
    return 0


STATISTICS = ("found", "invalid", "insert", "insert_failed", "drop", "early_drop", "error", "search_restart",
              "clash_resolve", "chaintoolong")  # fmt: skip


async def _get(run: _Run) -> int:
    connection = named_entry(run.conntrack, run.request)
    if connection is None:
        raise OperationError("Operation failed: such conntrack doesn't exist")
    run.invocation.write(f"{run.printer().entry(connection, use=2)}\n")
    run.tell("1 flow entries have been shown.")
    return 0


async def _create(run: _Run) -> int:
    made = create(run.conntrack, run.request, PROGRAM)
    done = "created" if run.request.command == "I" else "added"
    if not made and run.request.command == "I":
        raise OperationError("Operation failed: Such conntrack exists, try -U to update")
    run.tell(f"{int(made)} flow entries have been {done}.")
    return 0


async def _update(run: _Run) -> int:
    count = 0
    found = run.found()
    if found and not run.request.options & {"s", "d", "r", "q"}:  # the request then names no address family
        run.invocation.write_error("Operation failed: Operation not supported\n")
        raise OperationError("Operation failed: Operation not supported")
    for connection in found:
        if update(run.conntrack, run.request, connection, PROGRAM):
            run.invocation.write(f"{run.printer().entry(connection, use=2)}\n")
            count += 1
    run.tell(f"{count} flow entries have been updated.")
    return 0 if count else 1


class _Watch:
    """Events on their way from the table, which never waits, to the output."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        mask = run.request.value("e")
        self._kinds = 7 if mask is None else parameters(mask, _EVENTS, run.invocation.write_error)
        self._waiting: deque[str] = deque()
        self._woken = trio.Event()
        self._lost = False
        self.count = 0

    def note(self, event: Event) -> None:
        """Take an event, as the table changes."""
        if not _EVENT_BITS[event.kind] & self._kinds or not self._run.condition(event.connection):
            return
        if len(self._waiting) == _MOST_WAITING:
            self._lost = True
            return
        self._waiting.append(_event_line(self._run, event))
        self._woken.set()

    async def print_all(self) -> None:
        """Print events as they come, until cancelled."""
        while True:
            await self._print_some()

    async def _print_some(self) -> None:
        await self._woken.wait()
        self._woken = trio.Event()
        invocation = self._run.invocation
        head = XML_HEAD if self._run.output & XML and not self.count else ""
        self.count += len(self._waiting)
        invocation.write(head + "".join(self._waiting))
        self._waiting.clear()
        if self._lost:
            invocation.write_error(_LOST)
            self._lost = False


async def _watch(run: _Run) -> int:
    """Print events until somebody ends it."""
    watch = _Watch(run)
    close = run.conntrack.event_log.listen(watch.note)
    try:
        await watch.print_all()
    finally:
        close()
        if run.output & XML and watch.count:
            run.invocation.write(XML_END)
        run.tell(f"{watch.count} flow events have been shown.")
    return 0


def _event_line(run: _Run, event: Event) -> str:
    line = run.printer().entry(event.connection, event=event)
    if run.output & TIMESTAMP and not run.output & XML:
        line = f"[{run.invocation.wall_clock():.6f}]\t{line}"
    by = f" [USERSPACE] portid={_PORT_ID} progname={event.program}" if event.program else ""
    return f"{line}{by}\n"


async def _watch_expectations(run: _Run) -> int:
    try:
        await trio.sleep_forever()
    finally:
        run.tell("0 expectation events have been shown.")


def _say(message: str) -> Callable[[_Run], Awaitable[int]]:
    async def say(run: _Run) -> int:
        run.tell(message)
        return 0

    return say


def _write(text: str) -> Callable[[_Run], Awaitable[int]]:
    async def write(run: _Run) -> int:
        run.invocation.write(text)
        return 0

    return write


async def _no_helper(_: _Run) -> int:
    raise OperationError("Operation failed: No such file or directory")


_COMMANDS: Mapping[str, Callable[[_Run], Awaitable[int]]] = MappingProxyType(
    {
        "L": _list,
        "I": _create,
        "A": _create,
        "D": _delete,
        "U": _update,
        "G": _get,
        "F": _flush,
        "E": _watch,
        "C": _count,
        "S": _statistics,
    }
)
# There are never expectations, since no helper is attached to a connection.
_EXPECTATIONS: Mapping[str, Callable[[_Run], Awaitable[int]]] = MappingProxyType(
    {
        "L": _say("0 expectations have been shown."),
        "F": _say("expectation table has been emptied."),
        "C": _write("0\n"),
        "S": _write("cpu=0   \texpect_new=0 expect_create=0 expect_delete=0 \n"),
        "E": _watch_expectations,
        "I": _no_helper,
        "D": _no_helper,
        "G": _no_helper,
    }
)
