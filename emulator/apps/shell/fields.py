"""Field splitting: what expansions gave is cut at the characters of IFS, what was quoted is not.

Source: IEEE Std 1003.1-2017, volume 3, 2.6.5.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from emulator.apps.shell.pattern import Run

_WHITE = frozenset(" \t\n")


class Piece(Struct, frozen=True):
    """Some text of a word; `splits` where it came out of an expansion that was not quoted."""

    text: str
    quoted: bool
    splits: bool = False


class Break(Struct, frozen=True):
    """Between two fields of `$@`."""


BREAK = Break()


def join(pieces: Iterable[Piece | Break]) -> list[Run]:
    """Return pieces as one field."""
    return [(" ", True) if isinstance(piece, Break) else (piece.text, piece.quoted) for piece in pieces]


def split(pieces: Iterable[Piece | Break], separators: str) -> list[list[Run]]:
    """Return the fields of a word, each with what of it is quoted."""
    splitter = _Splitter(separators)
    for piece in pieces:
        if isinstance(piece, Break):
            splitter.close()
        elif piece.splits:
            splitter.split(piece.text)
        elif piece.text or piece.quoted:
            splitter.add(piece.text, piece.quoted)
    splitter.close()
    return splitter.fields


class _Splitter:
    """`_current` is the field that is open, if one is; `_after_white` where white space has ended the last one."""

    def __init__(self, separators: str) -> None:
        self.fields: list[list[Run]] = []
        self._white = _WHITE & {*separators}
        self._others = {*separators} - _WHITE
        self._current: list[Run] | None = None
        self._after_white = False

    def add(self, text: str, quoted: bool) -> None:
        if self._current is None:
            self._current = []
        self._current.append((text, quoted))
        self._after_white = False

    def close(self) -> None:
        if self._current is not None:
            self.fields.append(self._current)
        self._current = None
        self._after_white = False

    def split(self, text: str) -> None:
        start = 0
        for index, char in enumerate(text):
            if char not in self._white and char not in self._others:
                continue
            if index > start:
                self.add(text[start:index], quoted=False)
            start = index + 1
            if self._current is not None:
                self.close()
                self._after_white = char in self._white
            elif char in self._others:
                if not self._after_white:  # else it belongs to the white space before it
                    self.fields.append([("", False)])
                self._after_white = False
        if start < len(text):
            self.add(text[start:], quoted=False)
