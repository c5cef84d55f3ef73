"""What the columns of every kind are made of: names, further names of `-o wide`, and the cells of an object."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from emulator.api.ages import since
from emulator.api.messages import Object

NONE = "<none>"
UNSET = "<unset>"


class Columns(NamedTuple):
    """The columns of a kind. `row(object, now)` returns the cells, those of `wide` last; `now` is wall-clock time."""

    names: tuple[str, ...]
    wide: tuple[str, ...]
    row: Callable[[Object, float], list[str]]


def age(obj: Object, now: float) -> str:
    """Return how old an object is."""
    return since(obj["metadata"].get("creationTimestamp"), now)


def name_and_age(obj: Object, now: float) -> list[str]:
    """Return the cells of a kind of which nothing more is shown."""
    return [obj["metadata"]["name"], age(obj, now)]


def labels_text(labels: Mapping[str, str] | None, empty: str = NONE) -> str:
    """Return `a=b,c=d`, sorted."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or empty


def selector_text(selector: Object | None) -> str:
    """Return a label selector, or a plain one, as kubectl prints it: `app=web,tier in (a,b)`."""
    selector = selector or {}
    if all(isinstance(value, str) for value in selector.values()):
        selector = {"matchLabels": selector}
    terms = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for entry in selector.get("matchExpressions") or ():
        key, operator = entry["key"], entry["operator"]
        values = ",".join(sorted(entry.get("values") or ()))
        plain = {"Exists": key, "DoesNotExist": f"!{key}"}
        terms.append(plain.get(operator, f"{key} {operator.lower()} ({values})"))
    return ",".join(terms) or NONE


def with_more(texts: Iterable[str], limit: int = 3) -> str:
    """Return the first of some texts and how many more there are (`formatDiscoveryEndpoints` in printers.go)."""
    every = list(texts)
    shown = ",".join(every[:limit])
    return f"{shown} + {len(every) - limit} more..." if len(every) > limit else shown or UNSET
