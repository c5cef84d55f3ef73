"""One element of a set or map, and the parts of its key: single values, or spans where the set has intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from emulator.kernel.netfilter.nft.datatype import Datatype, Scalar
from emulator.kernel.netfilter.nft.statement.verdict import Outcome
from emulator.kernel.netfilter.nft.time import format_time

if TYPE_CHECKING:
    from emulator.kernel.netfilter.nft.statement.limit import Limit
    from emulator.kernel.netfilter.nft.statement.statement import Step


class Span(NamedTuple):
    """All values from the first to the last."""

    low: int
    high: int


class Name(str):
    """The data of a map to objects: the name of a counter."""

    __slots__ = ()


DEFAULT = "*"  # the key of the element that stands for all that no other holds
Part = Scalar | Span
ElementKey = Part | tuple[Part, ...]
Data = Scalar | tuple[Scalar, ...] | Outcome | Name


class Counted:
    """Packets and bytes."""

    __slots__ = ("bytes", "packets")

    def __init__(self, packets: int = 0, octets: int = 0) -> None:
        self.packets = packets
        self.bytes = octets

    def format(self, *, stateless: bool = False) -> str:
        """Print it as a statement."""
        return "counter" if stateless else f"counter packets {self.packets} bytes {self.bytes}"

    def json(self, *, stateless: bool = False) -> object:
        """Return it as JSON has it."""
        return None if stateless else {"packets": self.packets, "bytes": self.bytes}


class Element:
    """An element. `timeout` is in milliseconds, 0 for the set's own; `expires` is when it ends, 0.0 for never.

    `limit` is one of its own, that a rule gave it, and `limit_step` what asks it.
    """

    __slots__ = ("comment", "counter", "data", "expires", "key", "limit", "limit_step", "timeout")

    def __init__(
        self,
        key: ElementKey,
        data: Data | None = None,
        comment: str = "",
        timeout: int = 0,
        counter: Counted | None = None,
    ) -> None:
        self.key = key
        self.data = data
        self.comment = comment
        self.timeout = timeout
        self.expires = 0.0
        self.counter = counter
        self.limit: Limit | None = None
        self.limit_step: Step | None = None

    def parts(self) -> tuple[Part, ...]:
        """Return the parts of its key, one where it is no concatenation."""
        key = self.key
        return key if isinstance(key, tuple) and not isinstance(key, Span) else (key,)

    def format(
        self, types: Sequence[Datatype], data_types: Sequence[Datatype], now: float, *, stateless: bool = False
    ) -> str:
        """Print it as a listing does."""
        words = [DEFAULT]
        if self.key is not DEFAULT:
            words = [" . ".join(format_part(kind, part) for kind, part in zip(types, self.parts(), strict=True))]
        if self.counter is not None:
            words.append(self.counter.format(stateless=stateless))
        if self.limit is not None:
            words.append(self.limit.format())
        if self.timeout:
            words.append(f"timeout {format_time(self.timeout)}")
        if self.expires and not stateless:
            words.append(f"expires {format_time(max(0, round((self.expires - now) * 1000)))}")
        if self.comment:
            words.append(f'comment "{self.comment}"')
        if self.data is not None:
            words.append(f": {format_data(data_types, self.data)}")
        return " ".join(words)


def format_data(types: Sequence[Datatype], data: Data) -> str:
    """Print what a map has for a key."""
    if isinstance(data, Outcome):
        return data.format()
    if isinstance(data, Name):
        return f'"{data}"'
    values = data if isinstance(data, tuple) else (data,)
    return " . ".join(kind.format(value) for kind, value in zip(types, values, strict=True))


def prefix_length(kind: Datatype, span: Span) -> int:
    """Return the length of the prefix that a span is, or -1."""
    size = span.high - span.low + 1
    if not kind.prefixes or size & size - 1 or span.low & size - 1:
        return -1
    return kind.bits - size.bit_length() + 1


def wildcard(span: Span) -> str:
    """Return the pattern of interface names that a span of a set of these is, "" for a single name."""
    low, high = (value.to_bytes(16, "big") for value in span)
    begin = low.rstrip(b"\0")
    return "" if low == high else begin.decode(errors="replace") + "*"


def format_part(kind: Datatype, part: Part) -> str:
    """Print one part of a key: a value, a prefix or a range."""
    if not isinstance(part, Span):
        return kind.format(part)
    if kind.text:
        return f'"{wildcard(part) or name_of(part.low)}"'
    if part.low == part.high:
        return kind.format(part.low)
    length = prefix_length(kind, part)
    return f"{kind.format(part.low)}-{kind.format(part.high)}" if length < 0 else f"{kind.format(part.low)}/{length}"


def number_of(name: str) -> int:
    """Return an interface's name as the number that it is among intervals."""
    return int.from_bytes(name.encode().ljust(16, b"\0"), "big")


def name_of(number: int) -> str:
    """Return the name again."""
    return number.to_bytes(16, "big").rstrip(b"\0").decode(errors="replace")


def span_of_names(word: str) -> Span:
    """Return the span of an interface's name, or of a pattern that ends in *."""
    if not word.endswith("*"):
        return Span(number_of(word), number_of(word))
    begin = word[:-1].encode()
    return Span(int.from_bytes(begin.ljust(16, b"\0"), "big"), int.from_bytes(begin.ljust(16, b"\xff"), "big"))
