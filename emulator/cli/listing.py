"""Objects as rows under column names, as `get` lists them once and `get -w` as they change."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from emulator.api.kinds import Kind
from emulator.api.messages import Object
from emulator.cli.columns import columns_of
from emulator.cli.columns.columns import labels_text
from emulator.cli.lists import CHUNK
from emulator.cli.output import Table


class Wanted(NamedTuple):
    """What the options ask for. `namespace` None means all of them; `chunk` is how many objects are had at a time."""

    namespace: str | None
    selector: str
    fields: str
    output: str | None
    headers: bool
    labels: bool
    chunk: int = CHUNK


def tables(groups: Sequence[tuple[Kind, list[Object]]], wanted: Wanted, *, prefixed: bool) -> list[str]:
    """Return one table for each kind that has objects, with an empty line between two."""
    now = time.time()
    lines: list[str] = []
    for kind, found in groups:
        if found:
            rows = [row(kind, obj, wanted, now, prefixed=prefixed) for obj in found]
            header = [header_of(kind, wanted)] if wanted.headers else []
            lines += ([""] if lines else []) + Table().lines(header + rows)
    return lines


def header_of(kind: Kind, wanted: Wanted) -> list[str]:
    """Return the column names of a kind."""
    columns = columns_of(kind.key)
    names = [*columns.names, *(columns.wide if wanted.output == "wide" else ())]
    first = ["NAMESPACE"] if wanted.namespace is None and kind.namespaced else []
    return first + names + (["LABELS"] if wanted.labels else [])


def row(kind: Kind, obj: Object, wanted: Wanted, now: float, *, prefixed: bool = False) -> list[str]:
    """Return the cells of an object; `prefixed` puts the kind before its name."""
    columns = columns_of(kind.key)
    cells = columns.row(obj, now)
    if wanted.output != "wide":
        cells = cells[: len(columns.names)]
    if prefixed:
        cells[0] = kind.described(cells[0])
    metadata = obj["metadata"]
    first = [metadata.get("namespace", "")] if wanted.namespace is None and kind.namespaced else []
    return first + cells + ([labels_text(metadata.get("labels"))] if wanted.labels else [])
