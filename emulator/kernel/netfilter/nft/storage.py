"""How a set keeps its elements: by hash, as disjoint intervals, or as concatenations of intervals.

A lookup costs the same however many elements there are: one dict lookup, one bisection, or one dict lookup for each
shape of prefixes that occurs (nft_set_hash.c, nft_set_rbtree.c and nft_set_pipapo.c have the same aims).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import product

from emulator.kernel.netfilter.nft.element import Element, ElementKey, Span
from emulator.kernel.netfilter.nft.expression.expression import Key


class Overlap(Exception):  # noqa: N818 - no error until somebody makes one of it
    """An interval that is there in part already."""


class Storage(ABC):
    """Elements by key."""

    @abstractmethod
    def find(self, key: Key) -> Element | None:
        """Return the element that holds a packet's value."""

    @abstractmethod
    def exact(self, key: ElementKey) -> Element | None:
        """Return the element with this very key."""

    @abstractmethod
    def add(self, element: Element) -> None:
        """Add an element whose key is not there. Overlap if a part of it is."""

    @abstractmethod
    def remove(self, key: ElementKey) -> None:
        """Remove the element with this key."""

    @abstractmethod
    def __iter__(self) -> Iterator[Element]: ...

    @abstractmethod
    def __len__(self) -> int: ...


class Hash(Storage):
    """Exact keys."""

    def __init__(self) -> None:
        self._elements: dict[object, Element] = {}

    def find(self, key: Key) -> Element | None:
        return self._elements.get(key)

    def exact(self, key: ElementKey) -> Element | None:
        return self._elements.get(key)

    def add(self, element: Element) -> None:
        self._elements[element.key] = element

    def remove(self, key: ElementKey) -> None:
        del self._elements[key]

    def __iter__(self) -> Iterator[Element]:
        return iter(self._elements.values())

    def __len__(self) -> int:
        return len(self._elements)


class Intervals(Storage):
    """Disjoint spans, ascending."""

    def __init__(self) -> None:
        self._lows: list[int] = []
        self._elements: list[Element] = []

    def find(self, key: Key) -> Element | None:
        if not isinstance(key, int):
            return None
        index = bisect_right(self._lows, key) - 1
        if index < 0:
            return None
        element = self._elements[index]
        return element if _span(element).high >= key else None

    def exact(self, key: ElementKey) -> Element | None:
        if not isinstance(key, Span):
            return None
        index = bisect_left(self._lows, key.low)
        found = self._elements[index] if index < len(self._lows) else None
        return found if found is not None and found.key == key else None

    def add(self, element: Element) -> None:
        span = _span(element)
        if self.touching(span, 0):
            raise Overlap
        index = bisect_left(self._lows, span.low)
        self._lows.insert(index, span.low)
        self._elements.insert(index, element)

    def touching(self, span: Span, reach: int) -> list[Element]:
        """Return the elements that overlap a span, or are at most `reach` away from it."""
        index = max(0, bisect_right(self._lows, span.low - reach) - 1)
        found: list[Element] = []
        while index < len(self._lows) and self._lows[index] <= span.high + reach:
            if _span(self._elements[index]).high >= span.low - reach:
                found.append(self._elements[index])
            index += 1
        return found

    def merge(self, element: Element) -> list[Element]:
        """Add a span together with those that it overlaps or touches, and return these."""
        assert isinstance(element.key, Span)
        low, high = element.key
        touched = self.touching(element.key, 1)
        for other in touched:
            assert isinstance(other.key, Span)
            low, high = min(low, other.key.low), max(high, other.key.high)
            self.remove(other.key)
        element.key = Span(low, high)
        self.add(element)
        return touched

    def remove(self, key: ElementKey) -> None:
        if isinstance(key, Span):
            index = bisect_left(self._lows, key.low)
            del self._lows[index], self._elements[index]

    def __iter__(self) -> Iterator[Element]:
        return iter(self._elements)

    def __len__(self) -> int:
        return len(self._lows)


def _span(element: Element) -> Span:
    assert isinstance(element.key, Span)
    return element.key


Shape = tuple[int, ...]  # of each part the mask's low bits that do not count


class ConcatenatedIntervals(Storage):
    """Tuples of spans. Each is cut into prefixes; those of one shape share a dict, as in tuple space search."""

    def __init__(self) -> None:
        self._elements: dict[object, tuple[int, Element]] = {}
        self._shapes: dict[Shape, dict[tuple[object, ...], tuple[int, Element]]] = {}
        self._sequence = 0

    def find(self, key: Key) -> Element | None:
        """Return the first that was added of those that hold the value."""
        if not isinstance(key, tuple):
            return None
        best: tuple[int, Element] | None = None
        for shape, table in self._shapes.items():
            found = table.get(tuple(_cut(value, bits) for value, bits in zip(key, shape, strict=True)))
            if found is not None and (best is None or found[0] < best[0]):
                best = found
        return None if best is None else best[1]

    def exact(self, key: ElementKey) -> Element | None:
        found = self._elements.get(key)
        return None if found is None else found[1]

    def add(self, element: Element) -> None:
        self._sequence += 1
        entry = (self._sequence, element)
        self._elements[element.key] = entry
        for shape, key in _prefixes(element):
            self._shapes.setdefault(shape, {}).setdefault(key, entry)

    def remove(self, key: ElementKey) -> None:
        _, element = self._elements.pop(key)
        for shape, cut in _prefixes(element):
            table = self._shapes[shape]
            if cut in table and table[cut][1] is element:
                del table[cut]
            if not table:
                del self._shapes[shape]

    def __iter__(self) -> Iterator[Element]:
        return iter([element for _, element in self._elements.values()])

    def __len__(self) -> int:
        return len(self._elements)


def _cut(value: object, bits: int) -> object:
    return value >> bits if isinstance(value, int) else value


def _prefixes(element: Element) -> Iterator[tuple[Shape, tuple[object, ...]]]:
    """Yield the prefixes that make up a key."""
    choices: list[list[tuple[int, object]]] = [
        list(_cover(part)) if isinstance(part, Span) else [(0, part)] for part in element.parts()
    ]
    for combination in product(*choices):
        yield tuple(bits for bits, _ in combination), tuple(value for _, value in combination)


def _cover(span: Span) -> Iterator[tuple[int, object]]:
    """Cut a span into as few prefixes as possible: each (bits that do not count, value of the others)."""
    low, high = span
    while low <= high:
        bits = (low & -low).bit_length() - 1 if low else (high + 1).bit_length() - 1
        while low + (1 << bits) - 1 > high:
            bits -= 1
        yield bits, low >> bits
        low += 1 << bits
