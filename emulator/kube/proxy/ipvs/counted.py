"""Values that several service ports may want at once, and which of them came or went since somebody last looked."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Counted(Generic[T]):
    """Wanted values, each with how many want it. A change costs what it changes."""

    def __init__(self, present: Iterable[T] = ()) -> None:
        """Begin with nobody wanting anything, on a node that has `present`."""
        self._counts: dict[T, int] = {}
        self._before: dict[T, bool] = dict.fromkeys(present, True)  # of what was touched: whether the node has it

    def __len__(self) -> int:
        return len(self._counts)

    def __iter__(self) -> Iterator[T]:
        return iter(self._counts)

    def add(self, value: T) -> None:
        """One more wants this value."""
        self._before.setdefault(value, value in self._counts)
        self._counts[value] = self._counts.get(value, 0) + 1

    def discard(self, value: T) -> None:
        """One less wants this value."""
        self._before.setdefault(value, True)
        left = self._counts[value] - 1
        if left:
            self._counts[value] = left
        else:
            del self._counts[value]

    def take_changes(self) -> tuple[list[T], list[T]]:
        """Return what the node lacks and what it has beyond what is wanted, each in the order of first touch."""
        lacking = [value for value, there in self._before.items() if not there and value in self._counts]
        beyond = [value for value, there in self._before.items() if there and value not in self._counts]
        self._before = {}
        return lacking, beyond
