"""What a page shows of its rows: columns that are dropped where the terminal is narrow, and the order of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct

from tui.model.text import fit

GAP = 1


class Keyed(Protocol):
    """A row, known by its key over time."""

    @property
    def key(self) -> Any:
        """What tells it from other rows."""


R = TypeVar("R", bound=Keyed)


class Column(Struct, Generic[R], frozen=True):
    """One column. `value` gets a row and the wall-clock time; rows are sorted by it, None first, unless by `sort`.

    `text` writes a value, and `shorten` a text that is too long for its width. `width` is the least; what is left over
    is shared among columns by `stretch`, up to `limit`. `rank` says how early it is kept: 0 always, the highest is
    dropped first. `style` gives a row's style name.
    """

    name: str
    title: str
    width: int
    value: Callable[[R, float], Any]
    text: Callable[[Any], str] = str
    sort: Callable[[R], Any] | None = None
    rank: int = 0
    stretch: int = 0
    limit: int = 200
    right: bool = False
    shorten: Callable[[str, int], str] = fit
    style: Callable[[R], str] | None = None

    def cell(self, row: R, now: float) -> str:
        """Return what is written of a row."""
        return self.text(self.value(row, now))


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


def arrange(rows: Iterable[R], column: Column[R], now: float, *, descending: bool) -> list[R]:
    """Sort rows by a column; equal ones by their key, so that they do not change places."""

    def order(row: R) -> tuple[bool, Any]:
        value = column.value(row, now) if column.sort is None else column.sort(row)
        return value is not None, value

    ordered = sorted(rows, key=lambda row: row.key)
    ordered.sort(key=order, reverse=descending)
    return ordered
