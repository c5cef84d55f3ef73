"""`-m u32`: 32-bit words anywhere in the packet, taken, masked, shifted and compared (xt_u32.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.netfilter.options import U32

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_MOST = 10  # XT_U32_MAXSIZE: tests, numbers of a location, values of a test
_BASES = {"0x": 16, "0X": 16}
_DIGITS = {16: "0123456789abcdefABCDEF", 10: "0123456789", 8: "01234567"}


class Test(Struct, frozen=True):
    """`0>>22&0x3C@12=80,443:445`: `steps` are (operator, number), the first one without an operator."""

    steps: tuple[tuple[str, int], ...]
    values: tuple[tuple[int, int], ...]

    def format(self) -> str:
        """Print it as iptables-save does."""
        location = "".join(f"{operator}{number:#x}" for operator, number in self.steps)
        values = (f"{low:#x}" if low == high else f"{low:#x}:{high:#x}" for low, high in self.values)
        return f"{location}={','.join(values)}"

    def value(self, packet: memoryview) -> int | None:
        """Return what stands at the location, from the IP header on; None if the packet is too short."""
        length = len(packet)
        at = 0
        word = 0
        for operator, number in self.steps:
            if operator == "&":
                word &= number
            elif operator == "<<":
                word = word << (number & 31) & U32  # as the processor shifts
            elif operator == ">>":
                word >>= number & 31
            else:
                if operator:
                    at += word
                if at + 4 > length or number > length - at - 4:
                    return None
                word = int.from_bytes(packet[at + number : at + number + 4], "big")
        return word


class U32Match(Match, frozen=True):
    """`-m u32 --u32 "6&0xFF=17"`: all tests must hold."""

    name = "u32"
    options: ClassVar[Mapping[str, int]] = {"--u32": 1}
    invertible = frozenset(options)

    tests: tuple[Test, ...]
    inverted: bool = False

    @classmethod
    def parse(cls, options: Options) -> U32Match:
        option = options.require("--u32")
        return cls(_Reader(option.value).read(), option.inverted)

    def _text(self) -> str:
        return f'"{"&&".join(test.format() for test in self.tests)}"'

    def format(self) -> str:
        return f"{'! ' if self.inverted else ''}--u32 {self._text()}"

    def listing(self, names: Names) -> str:
        return f"u32 {'! ' if self.inverted else ''}{self._text()}"

    def seen(self, skb: Skb, context: Context) -> str:
        packet = memoryview(skb.data)[skb.network :]
        values = [test.value(packet) for test in self.tests]
        return ", ".join("too short" if value is None else f"{value:#x}" for value in values)

    def matches(self, skb: Skb, context: Context) -> bool:
        packet = memoryview(skb.data)[skb.network :]
        for test in self.tests:
            value = test.value(packet)
            if value is None or not any(low <= value <= high for low, high in test.values):
                return self.inverted
        return not self.inverted


class _Reader:
    """Reads tests, one character after the other; errors name the place."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def read(self) -> tuple[Test, ...]:
        """Return the tests."""
        tests = [self._test()]
        while self._at < len(self._text):
            if len(tests) >= _MOST:
                raise self._error('too many "&&"s')
            tests.append(self._test())
        return tuple(tests)

    def _test(self) -> Test:
        return Test(self._location(), self._values())

    def _location(self) -> tuple[tuple[str, int], ...]:
        steps: list[tuple[str, int]] = []
        while True:
            self._skip_space()
            if self._peek() == "":
                raise RuleError("u32: abrupt end of input after location specifier")
            if self._peek() == "=":
                if not steps:
                    raise self._error("location spec missing")
                self._at += 1
                return tuple(steps)
            operator = self._operator() if steps else ""
            steps.append((operator, self._number()))
            if len(steps) > _MOST:
                raise self._error("too many operators")

    def _operator(self) -> str:
        operator = self._peek()
        if operator not in "&<>@":
            raise self._error("operator expected")
        self._at += 1
        if operator in "<>":
            if self._peek() != operator:
                raise self._error(f"a second '{operator}' was expected")
            self._at += 1
            return operator * 2
        return operator

    def _values(self) -> tuple[tuple[int, int], ...]:
        values: list[tuple[int, int]] = []
        while True:
            self._skip_space()
            if self._peek() == "":
                if not values:
                    raise RuleError("u32: test ended with no value specified")
                return tuple(values)
            if self._peek() == "&":
                self._at += 1
                if self._peek() != "&":
                    raise self._error("a second '&' was expected")
                if not values:
                    raise self._error("value spec missing")
                self._at += 1
                if not self._text[self._at :].strip():
                    raise RuleError("u32: abrupt end of input after location specifier")
                return tuple(values)
            if values:
                if self._peek() != ",":
                    raise self._error('expected "," or "&&"')
                self._at += 1
            values.append(self._range())
            if len(values) > _MOST:
                raise self._error('too many ","s')

    def _range(self) -> tuple[int, int]:
        low = self._number()
        self._skip_space()
        if self._peek() != ":":
            return low, low
        self._at += 1
        return low, self._number()

    def _number(self) -> int:
        """Read a number as strtoul does with base 0."""
        self._skip_space()
        start = self._at
        base = _BASES.get(self._text[start : start + 2], 8 if self._peek() == "0" else 10)
        end = start + 2 if base == 16 else start
        while end < len(self._text) and self._text[end] in _DIGITS[base]:
            end += 1
        digits = self._text[start:end]
        if not digits or (base == 16 and len(digits) == 2) or int(digits, base) > U32:
            raise self._error("not a number or out of range")
        self._at = end
        return int(digits, base)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _skip_space(self) -> None:
        while self._peek().isspace():
            self._at += 1

    def _error(self, what: str) -> RuleError:
        return RuleError(f"u32: at char {self._at}: {what}")
