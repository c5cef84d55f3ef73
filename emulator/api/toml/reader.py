"""Reads the tables of a TOML file: what is wrong is noted with its place and a default taken, so that all is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network
from typing import Any

from emulator.api.checks import formats
from emulator.api.networks import parse_network
from emulator.api.problem import Path as FieldPath
from emulator.api.problem import closest, format_path, printable, quoted
from emulator.api.toml.lines import line_of

NOT_AVAILABLE = "not available in this version"


class TomlReader:
    """Reads values; `problems` are (line, message), line 0 where it is not known."""

    def __init__(self, lines: Mapping[FieldPath, int], source: str) -> None:
        self._lines = lines
        self._source = source
        self.problems: list[tuple[int, str]] = []

    def sorted_problems(self) -> list[str]:
        """Return all problems as lines, in the order of the file."""
        shown = printable(self._source)
        ordered = sorted(self.problems, key=lambda entry: entry[0])
        return [f"{shown}:{line}: {message}" if line else f"{shown}: {message}" for line, message in ordered]

    def problem(self, path: FieldPath, message: str) -> None:
        """Note what is wrong at a place."""
        self.problems.append((line_of(self._lines, path), f"{format_path(path)}: {message}"))

    def check_keys(
        self, path: FieldPath, table: Mapping[str, Any], known: Iterable[str], later: Iterable[str] = ()
    ) -> None:
        """Note keys that there are not, with what may have been meant."""
        for key in table:
            if key in later:
                self.problem((*path, key), f"this section is {NOT_AVAILABLE}; take it out")
            elif key not in known:
                close = closest(key, known)
                hint = f'did you mean "{close}"?' if close else f"known are {', '.join(known)}"
                self.problem((*path, key), f"unknown key; {hint}")

    def mistyped(self, path: FieldPath, value: Any, wanted: str) -> None:
        """Note a value of another type than is wanted."""
        self.problem(path, f"Invalid value: {quoted(value)}: must be {wanted}")

    def table(self, path: FieldPath, value: Any) -> dict[str, Any]:
        """Return a table, or an empty one."""
        if isinstance(value, dict):
            return value
        self.mistyped(path, value, "a table")
        return {}

    def text(self, path: FieldPath, value: Any) -> str:
        """Return a string, or an empty one."""
        if isinstance(value, str):
            return value
        self.mistyped(path, value, "a string")
        return ""

    def network(self, path: tuple[str, str], table: Mapping[str, Any], default: IPv4Network) -> IPv4Network:
        """Return the network that a key has, or the default."""
        value = table.get(path[1])
        if value is None:
            return default
        if not isinstance(value, str):
            self.mistyped(path, value, f'a network in quotes, such as "{default}"')
            return default
        network = parse_network(value)
        if isinstance(network, IPv4Network):
            return network
        self.problem(path, f"Invalid value: {quoted(value)}: {network}")
        return default

    def name(self, path: FieldPath, value: Any, default: str) -> str:
        """Return a name that is a DNS label, or the default where there is none."""
        if value is None:
            return default
        if not isinstance(value, str):
            self.mistyped(path, value, "a string")
            return default
        for problem in formats.label_1123(value):
            self.problem(path, f"Invalid value: {quoted(value)}: {problem}")
        return value

    def label_value(self, path: FieldPath, value: Any) -> str:
        """Return a label's value."""
        if not isinstance(value, str):
            self.mistyped(path, value, "a string")
            return ""
        for problem in formats.label_value(value):
            self.problem(path, f"Invalid value: {quoted(value)}: {problem}")
        return value
