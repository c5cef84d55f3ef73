"""`ipset restore`: commands from text, one a line, until one fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.netfilter.ipset.error import IpsetError, IpsetRestoreError, IpsetUsageError

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipset.sets import Sets


class Restorer:
    """Carries out the lines of one text."""

    def __init__(self, sets: Sets, *, exist: bool) -> None:
        self._sets = sets
        self._exist = exist

    def run(self, text: str) -> None:
        """Carry out all lines. IpsetRestoreError with the number of the one that failed."""
        for number, line in enumerate(text.splitlines(), 1):
            words = split(line)
            if not words or words[0][0] == "#" or words == ["COMMIT"]:
                continue
            try:
                self._line(words)
            except IpsetError as error:
                raise IpsetRestoreError(number, str(error), error.status) from None

    def _line(self, words: list[str]) -> None:
        match words:
            case ["create", name, kind, *rest]:
                self._sets.create(name, kind, rest, exist=self._exist)
            case ["add", name, *rest] if rest:
                self._sets.add(name, rest, exist=self._exist)
            case ["del", name, *rest] if rest:
                self._sets.delete(name, rest, exist=self._exist)
            case _:
                raise IpsetUsageError(f"No command specified: unknown argument {words[0]}")


def split(line: str) -> list[str]:
    """Split a line into words; quotes keep spaces together and are dropped."""
    if '"' not in line:
        return line.split()
    words: list[str] = []
    for position, part in enumerate(line.split('"')):
        if position % 2:
            words.append(part)
        else:
            words += part.split()
    return words
