"""The shape of a description: keys with values in a column, lists and tables below their keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emulator.api.messages import Object
from emulator.api.problem import printable

NONE = "<none>"
HIDDEN_ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"
_INDENT = "  "


class Page:
    """Collects the lines of a description."""

    def __init__(self) -> None:
        self._entries: list[tuple[int, str, str | None]] = []

    def add(self, key: str, value: object = "", depth: int = 0) -> None:
        """Add a key and its value."""
        self._entries.append((depth, f"{key}:", str(value)))

    def add_list(self, key: str, values: Sequence[str], depth: int = 0) -> None:
        """Add a key and its values, one a line."""
        self.add(key, values[0] if values else NONE, depth)
        for value in values[1:]:
            self._entries.append((depth, "", value))

    def add_table(self, key: str, rows: Sequence[Sequence[str]], depth: int = 0) -> None:
        """Add a key and, below it, a table whose first row are the column names."""
        if len(rows) < 2:
            self.add(key, NONE, depth)
            return
        self._entries.append((depth, f"{key}:", ""))
        marks = [["-" * len(name) for name in rows[0]]]
        every = [rows[0], *marks, *rows[1:]]
        widths = [max(len(row[column]) for row in every) for column in range(len(rows[0]))]
        for row in every:
            text = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self._entries.append((depth + 1, text.rstrip(), None))

    def add_text(self, line: str) -> None:
        """Add a line as it is."""
        self._entries.append((0, line, None))

    def lines(self) -> list[str]:
        """Return the lines: the values of neighbouring keys of one depth begin in one column."""
        lines = []
        for index, (depth, key, value) in enumerate(self._entries):
            indent = _INDENT * depth
            if not value:
                lines.append(printable(f"{indent}{key}".rstrip()))
                continue
            lines.append(printable(f"{indent}{key.ljust(self._width(index))}{value}".rstrip()))
        return lines

    def _width(self, index: int) -> int:
        """Return the width of the keys around an entry: those of its depth, as far as no shallower one parts them."""
        depth = self._entries[index][0]
        keys = [len(self._entries[index][1])]
        for step in (-1, 1):
            other = index + step
            while 0 <= other < len(self._entries) and self._entries[other][0] >= depth:
                if self._entries[other][0] == depth and self._entries[other][2]:
                    keys.append(len(self._entries[other][1]))
                other += step
        return max(keys) + 2


def mapping_lines(values: Mapping[str, str] | None, separator: str = "=") -> list[str]:
    """Return `key=value` lines, sorted."""
    shown = {key: value for key, value in (values or {}).items() if key != HIDDEN_ANNOTATION}
    return [f"{key}{separator}{value}" for key, value in sorted(shown.items())]


def head(page: Page, obj: Object) -> None:
    """Add what every page begins with."""
    metadata = obj["metadata"]
    page.add("Name", metadata["name"])
    if metadata.get("namespace"):
        page.add("Namespace", metadata["namespace"])
    page.add_list("Labels", mapping_lines(metadata.get("labels")))
    page.add_list("Annotations", mapping_lines(metadata.get("annotations"), ": "))
    if metadata.get("creationTimestamp"):
        page.add("Created", metadata["creationTimestamp"])
    owner = next(iter(metadata.get("ownerReferences") or ()), None)
    if owner is not None:
        page.add("Controlled By", f"{owner['kind']}/{owner['name']}")


def conditions(page: Page, obj: Object) -> None:
    """Add the table of conditions with their reasons."""
    rows = [
        [entry["type"], entry.get("status", ""), entry.get("reason", ""), entry.get("message", "")]
        for entry in obj.get("status", {}).get("conditions") or ()
    ]
    page.add_table("Conditions", [["Type", "Status", "Reason", "Message"], *rows])
