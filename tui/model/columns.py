"""What a page shows of its rows: columns that are dropped where the terminal is narrow, and the order of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct

GAP = 1


class Keyed(Protocol):
    """A row: frozen, and known by its key over time."""

    @property
    def key(self) -> Any:
        """What tells it from other rows."""


R = TypeVar("R", bound=Keyed)


class Column(Struct, Generic[R], frozen=True):
    """One column. `cell` gets a row and the wall-clock time.

    `rank` says how early it is kept: 0 always, the highest is dropped first. `width` is the least; what is left over
    is shared among columns by `stretch`, up to `limit`. `style` gives a row's style name;
    `is_name` keeps the telling parts of a name that is too long.
    """

    name: str
    title: str
    width: int
    cell: Callable[[R, float], str]
    sort: Callable[[R], Any]
    rank: int = 0
    stretch: int = 0
    limit: int = 200
    right: bool = False
    is_name: bool = False
    style: Callable[[R], str] | None = None


class Placed(Struct, Generic[R], frozen=True):
    """A column with the place it got."""

    column: Column[R]
    left: int
    width: int


def place(columns: Sequence[Column[R]], width: int) -> list[Placed[R]]:
    """Choose the columns that fit, by rank, and share out the rest of the width."""
    chosen = list(columns)
    while len(chosen) > 1 and sum(column.width + GAP for column in chosen) - GAP > width:
        chosen.remove(max(chosen, key=lambda column: (column.rank, columns.index(column))))
    widths = {column.name: column.width for column in chosen}
    rest = width - sum(widths.values()) - GAP * (len(chosen) - 1)
    while rest > 0:
        growing = [c for c in chosen if c.stretch and widths[c.name] < c.limit]
        if not growing:
            break
        share = max(1, rest // sum(column.stretch for column in growing))
        for column in growing:
            more = min(rest, share * column.stretch, column.limit - widths[column.name])
            widths[column.name] += more
            rest -= more
    placed, left = [], 0
    for column in chosen:
        placed.append(Placed(column, left, widths[column.name]))
        left += widths[column.name] + GAP
    return placed


def arrange(rows: Iterable[R], column: Column[R], *, descending: bool) -> list[R]:
    """Sort rows by a column; equal ones by their key, so that they do not change places."""
    ordered = sorted(rows, key=lambda row: row.key)
    return sorted(ordered, key=column.sort, reverse=descending)
