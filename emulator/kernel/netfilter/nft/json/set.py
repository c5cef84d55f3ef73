"""Elements of sets and maps as libnftables' JSON has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.nft.datatype import Datatype
from emulator.kernel.netfilter.nft.element import (
    DEFAULT,
    Data,
    Element,
    Name,
    Part,
    Span,
    name_of,
    prefix_length,
    wildcard,
)
from emulator.kernel.netfilter.nft.statement.verdict import Outcome

if TYPE_CHECKING:
    from emulator.kernel.netfilter.nft.set import Declaration


def element_json(element: Element, declaration: Declaration, now: float, *, stateless: bool = False) -> object:
    """Return one element, of a map a pair of key and data."""
    key: object = DEFAULT
    if element.key is not DEFAULT:
        parts = [part_json(kind, part) for kind, part in zip(declaration.types, element.parts(), strict=True)]
        key = parts[0] if len(parts) == 1 else {"concat": parts}
    more: dict[str, object] = {}
    if element.timeout:
        more["timeout"] = element.timeout // 1000
    if element.expires and not stateless:
        more["expires"] = max(0, int(element.expires - now))
    if element.comment:
        more["comment"] = element.comment
    if element.counter is not None:
        more["counter"] = element.counter.json(stateless=stateless)
    if element.limit is not None:
        more.update(element.limit.json_values())
    if more:
        key = {"elem": {"val": key, **more}}
    return key if element.data is None else [key, data_json(declaration.data_types, element.data)]


def data_json(types: Sequence[Datatype], data: Data) -> object:
    """Return what a map has for a key."""
    if isinstance(data, Outcome):
        return data.json()
    if isinstance(data, Name):
        return str(data)
    values = data if isinstance(data, tuple) else (data,)
    found = [kind.json(value) for kind, value in zip(types, values, strict=True)]
    return found[0] if len(found) == 1 else {"concat": found}


def part_json(kind: Datatype, part: Part) -> object:
    """Return one part of a key: a value, a prefix or a range."""
    if not isinstance(part, Span):
        return kind.json(part)
    if kind.text:
        return wildcard(part) or name_of(part.low)
    if part.low == part.high:
        return kind.json(part.low)
    length = prefix_length(kind, part)
    if length >= 0:
        return {"prefix": {"addr": kind.json(part.low), "len": length}}
    return {"range": [kind.json(part.low), kind.json(part.high)]}
