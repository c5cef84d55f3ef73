"""The filter line of a page: words that must all be found, fields such as `pod:` and `port:80,443`, `!` for not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

from msgspec import Struct

R = TypeVar("R")
Test = Callable[[R, str], bool]


class Term(Struct, frozen=True):
    """One part of a filter; a word has no field. One of `values` must be found. All is in lower case."""

    field: str
    values: tuple[str, ...]
    is_negated: bool = False


class Filter(Struct, Generic[R], frozen=True):
    """What a row must be; `word` and `fields` say how a row is asked."""

    terms: tuple[Term, ...] = ()

    def matches(self, row: R, word: Test[R], fields: Mapping[str, Test[R]]) -> bool:
        """Whether a row is to be shown."""
        for term in self.terms:
            test = fields.get(term.field, word)
            if any(test(row, value) for value in term.values) is term.is_negated:
                return False
        return True


def parse(text: str, fields: Iterable[str]) -> Filter[R]:
    """Read a filter line. What has no known field before its colon (10.0.0.1:80) is a word; no line is an error."""
    known = frozenset(fields)
    terms = []
    for part in text.lower().split():
        is_negated, word = part.startswith("!"), part.removeprefix("!")
        field, colon, value = word.partition(":")
        values = tuple(filter(None, value.split(",")))
        if not (colon and field in known):
            field, values = "", (word,) if word else ()
        if values:
            terms.append(Term(field, values, is_negated))
    return Filter(tuple(terms))
