"""Notices apps that hold their node up: code that computes or blocks without letting other tasks of the node run."""

from __future__ import annotations

import time
from collections.abc import Callable

import trio

LONGEST = 1.0
"""Seconds that a task of an app may run without an await before its container's log has a line about it."""

Warn = Callable[[trio.lowlevel.Task, float], None]


class StallWatch(trio.abc.Instrument):
    """Times each step of each task; `warn` is told of those that were too long, and finds out whose they are."""

    def __init__(self, warn: Warn) -> None:
        self._warn = warn
        self._began = 0.0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Trio is about to run a task."""
        del task
        self._began = time.perf_counter()  # real time: under a mock clock a stall is none of trio's seconds

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """The task waits for something, or has ended."""
        took = time.perf_counter() - self._began
        if took > LONGEST:
            self._warn(task, took)


def place_of(task: trio.lowlevel.Task, is_app_file: Callable[[str], bool]) -> str:
    """Where in the app's own files a task waits now ("hello.py:12"); empty where it has ended."""
    found = ""
    if getattr(task.coro, "cr_frame", None) is None:
        return found
    for frame, line in task.iter_await_frames():
        if is_app_file(frame.f_code.co_filename):
            found = f"{frame.f_code.co_filename.rpartition('/')[2]}:{line}"
    return found
