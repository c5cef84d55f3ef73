"""The filter line of a page: words that must all be found, fields such as `pod:` and `port:`, `!` for what must not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

from msgspec import Struct

R = TypeVar("R")
Test = Callable[[R, str], bool]


class Term(Struct, frozen=True):
    """One part of a filter; a word has no field. All is in lower case."""

    field: str
    value: str
    is_negated: bool = False


class Filter(Struct, Generic[R], frozen=True):
    """What a row must be; `word` and `fields` say how a row is asked."""

    terms: tuple[Term, ...] = ()

    def matches(self, row: R, word: Test[R], fields: Mapping[str, Test[R]]) -> bool:
        """Whether a row is to be shown."""
        return all(fields.get(term.field, word)(row, term.value) is not term.is_negated for term in self.terms)


def parse(text: str, fields: Iterable[str]) -> Filter[R]:
    """Read a filter line. What has no known field before its colon (10.0.0.1:80) is a word; no line is an error."""
    known = frozenset(fields)
    terms = []
    for part in text.lower().split():
        is_negated, word = part.startswith("!"), part.removeprefix("!")
        field, colon, value = word.partition(":")
        if not (colon and field in known):
            field, value = "", word
        if value:
            terms.append(Term(field, value, is_negated))
    return Filter(tuple(terms))
