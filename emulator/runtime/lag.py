"""Deadlines for signs of life that lie unread while this very process is held up: its own lag is nobody's silence."""

from __future__ import annotations

import trio

PACE = 0.5
"""Seconds between two looks at one's own lag while a deadline runs."""


async def sleep_until(due: float) -> float:
    """Sleep until `due` (trio's clock, seconds) and return by how many seconds the loop came round too late."""
    await trio.sleep_until(due)
    return max(0.0, trio.current_time() - due)


def extended(deadline: float, late: float, grace: float) -> float:
    """Return `deadline` moved on by the lag; after one longer than `grace` at least `grace` seconds are left."""
    if late <= grace:
        return deadline + late
    return max(deadline + late, trio.current_time() + grace)
