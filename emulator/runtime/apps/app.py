"""One run of an app: the user's coroutine as the program of a container, in the pod's network, its output in the log.

What the app does wrong is the container's end and nothing else's: every exception, SystemExit too, is caught here.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import Context, ContextVar, copy_context
from functools import partial
from pathlib import Path
from typing import Any

import trio
from msgspec import Struct
from msgspec.structs import replace

from emulator.apps.environment import Container, ProgramFailure
from emulator.runtime.apps import guard, output
from emulator.runtime.apps.loader import AppError, AppFunction, is_app_file, load
from emulator.runtime.apps.stall import StallWatch, place_of
from emulator.runtime.sockets import pod_network
from emulator.runtime.sockets.network import NetnsNetwork

_FAILED = 1
_MESSAGE_LENGTH = 1_024

_log: ContextVar[Callable[[str], None] | None] = ContextVar("podwire_app_log", default=None)
_runs: trio.lowlevel.RunVar[_Apps] = trio.lowlevel.RunVar("podwire_apps")


class App(Struct, frozen=True):
    """A program: `name` is "module:function", to be found in the directories of `app_path`.

    `alone`: in a process of the cluster's, where nobody but apps has threads of his own.
    """

    name: str
    app_path: Sequence[Path]
    alone: bool = False

    async def __call__(
        self, container: Container, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> int:
        """Run it to its end; return its exit status. ProgramFailure where it failed, with the traceback in its log."""
        outside = copy_context()
        ended: list[int | ProgramFailure] = []
        guard.install(alone=self.alone)
        async with _watched(), trio.open_nursery() as nursery:
            # A task of its own: what it sets in its context must not reach the kubelet, that goes on in this one.
            nursery.start_soon(self._run, container, _Started(outside, task_status), ended.append)
        # Nothing has ended where the app raised a Cancelled of its own making, and its nursery took it for ours.
        end = ended[0] if ended else ProgramFailure(_FAILED, "Cancelled")
        if isinstance(end, ProgramFailure):
            raise end
        return end

    async def _run(
        self, container: Container, started: trio.TaskStatus[None], end: Callable[[int | ProgramFailure], None]
    ) -> None:
        network = container.network
        assert isinstance(network, NetnsNetwork)
        with pod_network.inside(network), output.to(container.log):
            _log.set(container.log)
            inside = copy_context()  # what the kubelet calls of the app's is the app's too

            def on_terminate(act: Callable[[], None]) -> None:
                container.on_terminate(partial(inside.run, act))

            try:
                end(await self._call(replace(container, on_terminate=on_terminate), started))
            except BaseException as error:
                end(self._failure(error, container))

    async def _call(self, container: Container, started: trio.TaskStatus[None]) -> int:
        function = load(self.name, self.app_path)
        arguments, tells = _arguments(function, self.name, container)
        if tells:
            return _status(await function(*arguments, task_status=started))
        started.started()
        return _status(await function(*arguments))

    def _failure(self, error: BaseException, container: Container) -> int | ProgramFailure:
        """Make an end of an exception, and write it down. What is not the app's own goes on: cancellation, Ctrl-C.

        In a process of the cluster's nobody presses Ctrl-C: there it is the app's own too.
        """
        outer, rest = _split(error, (trio.Cancelled,) if self.alone else (trio.Cancelled, KeyboardInterrupt))
        exiting, failed = (None, None) if rest is None else _split(rest, (SystemExit,))
        outcome: int | ProgramFailure = 0
        if failed is not None:
            outcome = _failed(failed, container, self.app_path)
        elif exiting is not None:
            outcome = _exit_status(exiting, container)
        if outer is not None:
            raise outer
        return outcome


class _Started:
    """`task_status` of an app: what follows when it has started is the kubelet's, in the kubelet's context."""

    def __init__(self, outside: Context, status: trio.TaskStatus[None]) -> None:
        self._outside = outside
        self._status = status

    def started(self, value: None = None) -> None:
        """Say that the app serves."""
        self._outside.run(self._status.started, value)


class _Apps:
    """The apps of this trio run, for the watch that sees all tasks."""

    def __init__(self) -> None:
        self.count = 0
        self.watch = StallWatch(self._warn)
        self.redirection = output.redirected()

    def _warn(self, task: trio.lowlevel.Task, seconds: float) -> None:
        log = task.context.get(_log)
        if log is not None:
            place = place_of(task, lambda path: not path.startswith("<") and "site-packages" not in path)
            where = f"; the task is at {place} now" if place else ""
            log(
                f"podwire: this app held its node up for {seconds:.1f} s without an await{where}"
                " (await trio.sleep, or trio.to_thread.run_sync for what blocks)"
            )


@asynccontextmanager
async def _watched() -> AsyncIterator[None]:
    """Have what apps need in the run, as long as any of them is there."""
    try:
        apps = _runs.get()
    except LookupError:
        apps = _Apps()
        _runs.set(apps)
    if apps.count == 0:
        trio.lowlevel.add_instrument(apps.watch)
        apps.redirection = output.redirected()
        apps.redirection.__enter__()
    apps.count += 1
    try:
        yield
    finally:
        apps.count -= 1
        if apps.count == 0:
            trio.lowlevel.remove_instrument(apps.watch)
            apps.redirection.__exit__(None, None, None)


def _arguments(function: AppFunction, name: str, container: Container) -> tuple[tuple[Container, ...], bool]:
    """What a function takes, the container or nothing; and whether it tells when it has started (`task_status`)."""
    parameters = dict(inspect.signature(function).parameters)
    tells = parameters.pop("task_status", None) is not None
    required = [
        p for p in parameters.values() if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    positional = [p for p in parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(required) > 1 or any(p.kind is p.KEYWORD_ONLY for p in required):
        raise AppError(f"{name} wants {', '.join(p.name for p in required)}; an app takes the container, or nothing")
    return (container,) if positional else (), tells


def _status(value: object) -> int:
    """The exit status of what a coroutine returned: an int is one (its low byte, as of exit(3)), all else success."""
    return value & 0xFF if isinstance(value, int) and not isinstance(value, bool) else 0


def _split(
    error: BaseException, kinds: tuple[type[BaseException], ...]
) -> tuple[BaseException | None, BaseException | None]:
    """Part an exception, which may be a group, into what is of these kinds and the rest."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(kinds)
    return (error, None) if isinstance(error, kinds) else (None, error)


def _exit_status(error: BaseException, container: Container) -> int:
    """What sys.exit() asked for, as the interpreter takes it: an int, None for 0, anything else is printed for 1."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    code = error.code if isinstance(error, SystemExit) else None
    if code is None or isinstance(code, int):
        return (code or 0) & 0xFF
    container.log(str(code))
    return _FAILED


def _failed(error: BaseException, container: Container, app_path: Sequence[Path]) -> ProgramFailure:
    """Write the traceback down, from the app's first line on."""
    innermost = error
    while isinstance(innermost, BaseExceptionGroup) and len(innermost.exceptions) == 1:
        innermost = innermost.exceptions[0]
    frames = [f for f in traceback.extract_tb(innermost.__traceback__) if is_app_file(f.filename, app_path)]
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    if isinstance(innermost, AppError):
        container.log(str(innermost))
        return ProgramFailure(_FAILED, str(innermost))
    shown = error.with_traceback(_from_app(error, app_path))
    for line in traceback.format_exception(shown):
        container.log(line.rstrip("\n"))
    try:
        text = f"{type(innermost).__name__}: {innermost}"[:_MESSAGE_LENGTH]
    except Exception:  # its own __str__ fails
        text = type(innermost).__name__
    return ProgramFailure(_FAILED, text + place)


def _from_app(error: BaseException, app_path: Sequence[Path]) -> Any:
    """An exception's traceback without the frames that are ours, and none where no frame is the app's."""
    found = error.__traceback__
    while found is not None and not is_app_file(found.tb_frame.f_code.co_filename, app_path):
        found = found.tb_next
    return found
