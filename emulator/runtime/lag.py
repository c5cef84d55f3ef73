"""Deadlines for signs of life that lie unread while this very process is held up: its own lag is nobody's silence."""

from __future__ import annotations

import trio

PACE = 0.5
"""Seconds between two looks at one's own lag while a deadline runs."""


BUSY = 0.05
"""Seconds of lag from which on a loop counts as busy, and the pace then: nearly all of each turn is seen as lag."""


def pace(late: float) -> float:
    """Return the seconds until the next look after one that came `late`."""
    return BUSY if late > BUSY else PACE


async def sleep_until(due: float) -> float:
    """Sleep until `due` (trio's clock, seconds) and return by how many seconds the loop came round too late."""
    await trio.sleep_until(due)
    return max(0.0, trio.current_time() - due)


def extended(deadline: float, late: float, grace: float) -> float:
    """Return `deadline` moved on by the lag; after one longer than `grace` at least `grace` seconds are left."""
    if late <= grace:
        return deadline + late
    return max(deadline + late, trio.current_time() + grace)
