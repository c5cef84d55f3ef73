"""Where the keys of a TOML file stand; `tomllib` gives values only, and messages should name lines."""

from __future__ import annotations

import re
from collections.abc import Mapping

from emulator.api.problem import Path

_HEADER = re.compile(r"\s*(?P<open>\[\[?)\s*(?P<name>[^\[\]]+?)\s*\]\]?\s*(#.*)?$")
_NAME = r"(?:[A-Za-z0-9_-]+|\"[^\"\\]*\"|'[^']*')"
_KEY = re.compile(rf"\s*(?P<name>{_NAME}(?:\s*\.\s*{_NAME})*)\s*=")
_PART = re.compile(r"\"([^\"\\]*)\"|'([^']*)'|([A-Za-z0-9_-]+)")


def locate(text: str) -> dict[Path, int]:
    """Return the line of each table and key of a TOML text that is known to be valid.

    Keys are looked for at the start of lines, which is where people write them; keys inside of inline tables are not
    found, and a line of a multi-line string may be taken for a key that does not exist, which does no harm.
    """
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _parts(header["name"])
            if header["open"] == "[[":
                index = counts.get(table, -1) + 1
                counts[table] = index
                lines.setdefault(table, number)
                table = (*table, index)
            elif table[:1] in counts and len(table) > 1:
                table = (table[0], counts[table[:1]], *table[1:])  # a table of the latest list entry
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault((*table, *_parts(key["name"])), number)
    return lines


def line_of(lines: Mapping[Path, int], path: Path) -> int:
    """Return the line of `path`, or of the nearest table above that was found; 0 if there is none."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return 0


def _parts(name: str) -> Path:
    return tuple(double or single or bare for double, single, bare in _PART.findall(name))
