"""One object of a JSON file, read field by field: a wrong one is a problem with its path, and reads as its default."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from emulator.bundle.problem import Problems
from emulator.errors import WireError
from emulator.packet.address import ipv4_to_int, mac_to_int

_NAMES = {str: "a string", int: "a number", bool: "true or false", list: "an array", dict: "an object"}
U32 = 0xFFFFFFFF


class Item:
    """An object and where it stands: `routes.json: [3]`."""

    def __init__(self, value: dict[str, Any], place: str, problems: Problems) -> None:
        self._value = value
        self.place = place
        self._problems = problems

    @classmethod
    def each(cls, values: list[Any], place: str, problems: Problems) -> Iterator[Item]:
        """Yield the objects of an array but empty ones, which old versions of ip(8) print for what they left out."""
        for number, value in enumerate(values):
            if not isinstance(value, dict):
                problems.add(f"{place}[{number}]", "an object is wanted")
            elif value:
                yield cls(value, f"{place}[{number}]", problems)

    def has(self, name: str) -> bool:
        """Whether the field is there."""
        return name in self._value

    def names(self) -> Iterator[str]:
        """The names of all fields."""
        return iter(self._value)

    def wrong(self, name: str, message: str) -> None:
        """Note that a field is wrong."""
        self._problems.add(f"{self.place}.{name}", message)

    def text(self, name: str, default: str = "") -> str:
        """Return a string."""
        value = self._typed(name, str)
        return default if value is None else str(value)

    def required(self, name: str) -> str:
        """Return a string that has to be there."""
        if name not in self._value:
            self.wrong(name, "missing")
        return self.text(name)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a boolean; numbers do too, as some versions print them."""
        value = self._value.get(name, default)
        if isinstance(value, (bool, int)):
            return bool(value)
        self._typed(name, bool)
        return default

    def number(self, name: str, default: int = 0, *, low: int = 0, high: int = U32) -> int:
        """Return an integer from `low` to `high`; a string of one (`"0x10"`) does too."""
        value = self._value.get(name)
        if value is None:
            return default
        if isinstance(value, str):
            try:
                value = int(value, 0)
            except ValueError:
                self.wrong(name, f"{value!r} is not a number")
                return default
        if not isinstance(value, int) or isinstance(value, bool):
            self._typed(name, int)
            return default
        if not low <= value <= high:
            self.wrong(name, f"{value} is not between {low} and {high}")
            return default
        return value

    def address(self, name: str) -> int:
        """Return an IPv4 address, 0 if it is not there."""
        text = self.text(name)
        try:
            return ipv4_to_int(text) if text else 0
        except WireError as error:
            self.wrong(name, str(error))
            return 0

    def mac(self, name: str) -> int:
        """Return a MAC, 0 if it is not there."""
        text = self.text(name)
        try:
            return mac_to_int(text) if text else 0
        except WireError as error:
            self.wrong(name, str(error))
            return 0

    def words(self, name: str) -> list[str]:
        """Return an array of strings."""
        value = self._typed(name, list) or []
        if all(isinstance(word, str) for word in value):
            return value
        self.wrong(name, "an array of strings is wanted")
        return []

    def child(self, name: str) -> Item:
        """Return an object; an empty one if it is not there."""
        return Item(self._typed(name, dict) or {}, f"{self.place}.{name}", self._problems)

    def children(self, name: str) -> Iterator[Item]:
        """Yield the objects of an array."""
        return Item.each(self._typed(name, list) or [], f"{self.place}.{name}", self._problems)

    def _typed(self, name: str, kind: type) -> Any:
        value = self._value.get(name)
        if value is None or isinstance(value, kind):
            return value
        self.wrong(name, f"{_NAMES[kind]} is wanted, not {value!r:.40}")
        return None
