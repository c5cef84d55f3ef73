"""How programs end when they are told to: what SIGTERM, or the stop signal of their image, does to them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from emulator.apps.environment import Container

GO_DEFAULT = 2
"""Exit status of a Go program that does not handle SIGTERM.

As process 1 of a container it is not ended by a signal that it leaves to the default, and its runtime then calls
exit(2) (runtime/signal_unix.go, `dieFromSignal`).
"""


async def until_terminated(container: Container, status: int, serve: Callable[[], Awaitable[int]]) -> int:
    """Serve until told to end, then end at once with a status."""
    with trio.CancelScope() as scope:
        container.on_terminate(scope.cancel)
        return await serve()
    return status


def ignore_termination(container: Container) -> None:
    """Do as process 1 of a container that does not handle SIGTERM: nothing (signal(7), pid_namespaces(7))."""
    container.on_terminate(lambda: None)


def terminated(container: Container) -> trio.Event:
    """Return what is set when the container is told to end."""
    event = trio.Event()
    container.on_terminate(event.set)
    return event
