"""What is wrong with an object, in Kubernetes' words, and a cursor that walks an object and reports it.

Validation reads objects through `Cursor`: a missing field and a field of the wrong type (which the schema has
already reported) both read as None, so that each check says only what is its own business.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from msgspec import Struct, field

Path: TypeAlias = tuple[str | int, ...]

_PLAIN_KEY = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*\Z")


class Problem(Struct, frozen=True):
    """One thing that is wrong: where (as keys and indices), and the whole line for the user, which names the field."""

    path: Path
    message: str
    expects_text: bool = False
    """Whether the field wants a string and got a number, boolean or null: in YAML, quotes were forgotten."""

    def __str__(self) -> str:
        return self.message


def format_path(path: Path) -> str:
    """Return a path as kubectl prints it: `spec.ports[0].port`, `metadata.labels[example.com/x]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.match(part):
            text += f".{part}" if text else part
        else:
            text += f"[{printable(part)}]"
    return text


def printable(text: str) -> str:
    """Return `text` with what a terminal would act on (controls, line ends) escaped."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def quoted(value: Any) -> str:
    """Return a value as it is shown in a message: JSON on one line, shortened if it is long."""
    text = printable(json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str))
    return text if len(text) <= 200 else f"{text[:190]}…{text[-1]}"


def closest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known word that a misspelt one may have meant; `cutoff` is how alike they must be, at most 1."""
    from difflib import get_close_matches  # a large module, for mistakes only

    close = get_close_matches(word, tuple(known), n=1, cutoff=cutoff)
    return close[0] if close else None


def listed(values: Iterable[str]) -> str:
    """Return values as Kubernetes lists them: quoted, with commas."""
    return ", ".join(quoted(value) for value in values)


class Cursor(Struct, frozen=True):
    """A place in an object, with its value (None if there is none), and where problems go."""

    value: Any
    path: Path = ()
    problems: list[Problem] = field(default_factory=list)

    def get(self, *keys: str) -> Cursor:
        """Go to the field under `keys`; its value is None if any of them is missing."""
        value = self.value
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return Cursor(value, (*self.path, *keys), self.problems)

    def __iter__(self) -> Iterator[Cursor]:
        """Yield the items of a list."""
        if isinstance(self.value, list):
            for index, item in enumerate(self.value):
                yield Cursor(item, (*self.path, index), self.problems)

    def entries(self) -> Iterator[tuple[str, Cursor]]:
        """Yield the keys and values of a mapping."""
        if isinstance(self.value, dict):
            for key, item in self.value.items():
                yield key, Cursor(item, (*self.path, key), self.problems)

    @property
    def given(self) -> bool:
        """Whether there is a value that is not empty; zero and false are values."""
        return self.value is not None and self.value not in ("", [], {})

    @property
    def text(self) -> str | None:
        """The value if it is a string."""
        return self.value if isinstance(self.value, str) else None

    @property
    def number(self) -> int | None:
        """The value if it is an integer."""
        return self.value if isinstance(self.value, int) and not isinstance(self.value, bool) else None

    def report(self, message: str) -> None:
        """Add a problem of this field."""
        self.problems.append(Problem(self.path, f"{format_path(self.path)}: {message}"))

    def invalid(self, reason: str) -> None:
        """Report that the value is not allowed."""
        self.report(f"Invalid value: {quoted(self.value)}: {reason}")

    def required(self, reason: str = "") -> None:
        """Report that the value is missing."""
        self.report(f"Required value: {reason}" if reason else "Required value")

    def unsupported(self, supported: Iterable[str]) -> None:
        """Report that the value is none of those that are known."""
        self.report(f"Unsupported value: {quoted(self.value)}: supported values: {listed(supported)}")

    def duplicate(self) -> None:
        """Report that the value was there before."""
        self.report(f"Duplicate value: {quoted(self.value)}")

    def forbidden(self, reason: str) -> None:
        """Report that the field must not be given here."""
        self.report(f"Forbidden: {reason}")

    def not_found(self) -> None:
        """Report that what the value names does not exist."""
        self.report(f"Not found: {quoted(self.value)}")
