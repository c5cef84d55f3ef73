"""Ctrl-C, SIGTERM and SIGHUP of a supervisor: counted, never raised in the middle of something.

They may come before trio runs, many at once (`timeout` and a closed terminal send two), and while all is ended.
"""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any, Self

import trio

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ENOUGH = 20
"""Signals that are counted; who sends more has said the same often enough."""


class Interruptions:
    """The signals that end a cluster, from the block's begin to its end. Make it in the main thread."""

    def __init__(self) -> None:
        self.count = 0
        self._taken = 0
        self._changed: tuple[trio.lowlevel.TrioToken, trio.Event] | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.count == ENOUGH:
            # A handler is interrupted by the next signal: a storm of them would go as deep as Python lets it.
            for number in SIGNALS:
                signal.signal(number, signal.SIG_IGN)
        if self._changed is not None:
            token, event = self._changed
            try:
                token.run_sync_soon(event.set)  # the one thing of trio that a signal's handler may call
            except (trio.RunFinishedError, OSError):  # OSError: it is just closing what wakes it
                self._changed = None

    async def next(self) -> None:
        """Wait for the next signal, or take one that has come already. For one task at a time."""
        event = trio.Event()
        self._changed = (trio.lowlevel.current_trio_token(), event)
        while self.count == self._taken:
            await event.wait()
        self._taken += 1
        await trio.lowlevel.checkpoint()
