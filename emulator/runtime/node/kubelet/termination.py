"""One container's way to its end: its preStop hook, its turn, SIGTERM and, when its time is up, SIGKILL.

Source: pkg/kubelet/kuberuntime/kuberuntime_container.go (`killContainer`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import trio

from emulator.runtime.machine.containers import RunningContainer

SHORTEST = 2
"""Seconds between the two signals at least, whatever is left (`minimumGracePeriodInSeconds`)."""


class Termination:
    """Ends one program within `grace` seconds."""

    def __init__(self, container: RunningContainer, grace: float) -> None:
        self._container = container
        self._began = trio.current_time()
        self._left = grace
        self._least = 0.0
        self._scope = trio.CancelScope()

    def shorten(self, grace: float) -> None:
        """Leave no more than `grace` seconds from now."""
        self._left = min(self._left, self._elapsed() + grace)
        self._scope.deadline = min(self._scope.deadline, trio.current_time() + max(grace, self._least))

    async def run(self, hook: Callable[[], Awaitable[None]] | None, after: Sequence[RunningContainer]) -> None:
        """Run the hook, wait for those that end first, then send the signals. Ends when the container has."""
        ended = self._container.ended
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._end, hook, after)
            await ended.wait()
            nursery.cancel_scope.cancel()

    async def _end(self, hook: Callable[[], Awaitable[None]] | None, after: Sequence[RunningContainer]) -> None:
        with self._scope:
            self._scope.deadline = self._began + self._left
            if hook is not None:
                await hook()
            for container in after:
                await container.ended.wait()
        self._container.terminate()
        self._scope, self._least = trio.CancelScope(), SHORTEST
        with self._scope:
            self._scope.deadline = trio.current_time() + max(SHORTEST, self._left - self._elapsed())
            await trio.sleep_forever()
        self._container.kill()

    def _elapsed(self) -> int:
        """Whole seconds since the beginning, as the kubelet counts them."""
        return int(trio.current_time() - self._began)
