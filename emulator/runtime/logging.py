"""Each process writes one JSON object a line to its standard error, which the launcher has made its log file."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

from pythonjsonlogger.json import JsonFormatter


def open_log(process: str, stream: TextIO | None = None, level: int = logging.INFO) -> logging.Logger:
    """Return the log of one process; `extra={...}` of a call become fields of its line. Times are UTC.

    Each call makes a logger of its own, so the processes of a simulated cluster can have theirs side by side.
    """
    formatter = JsonFormatter(
        "%(levelname)s %(message)s",
        rename_fields={"levelname": "level"},
        static_fields={"process": process},
        timestamp="time",
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter)
    logger = logging.Logger(f"podwire.{process}", level)
    logger.addHandler(handler)
    return logger
