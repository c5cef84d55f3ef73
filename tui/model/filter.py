"""The filter line of the flows page: words that must all be found, and fields such as `pod:` and `port:`."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from tui.model.flow_row import FlowRow

Test = Callable[[FlowRow, str], bool]

FIELDS: dict[str, Test] = {
    "pod": lambda row, value: any(value in name for name in row.pods),
    "service": lambda row, value: any(value in name for name in row.services),
    "port": lambda row, value: value.isdecimal() and int(value) in row.ports,
    "verdict": lambda row, value: row.verdict.lower().startswith(value),
    "protocol": lambda row, value: row.protocol.lower() == value,
    "node": lambda row, value: any(value in node for node in row.nodes),
}
"""Names and Service names match in part, verdicts from their beginning, ports and protocols as a whole."""


class Filter(Struct, frozen=True):
    """What a row must have: all words, and all (field, value)."""

    words: tuple[str, ...] = ()
    fields: tuple[tuple[str, str], ...] = ()

    def matches(self, row: FlowRow) -> bool:
        """Whether a row is to be shown."""
        state = row.state.lower()
        words = all(word in row.text or word in state for word in self.words)
        return words and all(FIELDS[name](row, value) for name, value in self.fields)


def parse(text: str) -> Filter:
    """Read a filter line. What has no known field before its colon (10.0.0.1:80) is a word; no line is an error."""
    words, fields = [], []
    for word in text.lower().split():
        name, colon, value = word.partition(":")
        if colon and name in FIELDS:
            if value:
                fields.append((name, value))
        else:
            words.append(word)
    return Filter(tuple(words), tuple(fields))
