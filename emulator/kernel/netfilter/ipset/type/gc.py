"""When the kernel removes elements whose time is over: every third of the set's timeout, region by region."""

_LONGEST = 180
_FIRST = 1.0
_SHORTEST = 0.1


class Collector:
    """Until it has run, an element whose time is over keeps its place in the table, though nobody sees it."""

    __slots__ = ("_next", "_period", "_region")

    def __init__(self, timeout: int, now: float) -> None:
        self._period = min(timeout // 3, _LONGEST) or 1
        self._next = now + _FIRST
        self._region = 0

    def due(self, now: float, regions: int) -> list[int]:
        """Return the regions whose turn has come; each at most once."""
        due: list[int] = []
        interval = max(self._period / regions, _SHORTEST)
        while self._next <= now and len(due) < regions:
            self._region %= regions
            due.append(self._region)
            self._region += 1
            self._next += interval
        if self._next <= now:
            self._next = now + interval
        return due
