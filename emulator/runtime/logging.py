"""Each process writes one JSON object a line to its standard error, which the launcher has made its log file."""

from __future__ import annotations

import logging
import sys
from typing import TextIO


class ProcessLogger(logging.Logger):
    """The log of one process. What makes its lines comes with the first of them: most nodes have nothing to tell."""

    def __init__(self, process: str, stream: TextIO, level: int) -> None:
        super().__init__(f"podwire.{process}", level)
        self._process = process
        self._stream = stream

    def callHandlers(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Pass a record on."""
        if not self.handlers:
            self.addHandler(_handler(self._process, self._stream))
        super().callHandlers(record)


def open_log(process: str, stream: TextIO | None = None, level: int = logging.INFO) -> logging.Logger:
    """Return the log of one process; `extra={...}` of a call become fields of its line. Times are UTC.

    Each call makes a logger of its own, so the processes of a simulated cluster can have theirs side by side.
    """
    return ProcessLogger(process, stream or sys.stderr, level)


def _handler(process: str, stream: TextIO) -> logging.Handler:
    from pythonjsonlogger.json import JsonFormatter

    formatter = JsonFormatter(
        "%(levelname)s %(message)s",
        rename_fields={"levelname": "level"},
        static_fields={"process": process},
        timestamp="time",
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    return handler
