"""The exit statuses that scripts rely on."""

from __future__ import annotations

OK = 0
FAILED = 1
USAGE = 2
INTERRUPTED = 130
"""128 and the number of SIGINT, as shells report it."""
