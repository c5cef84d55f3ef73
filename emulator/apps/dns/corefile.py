"""The Corefile, CoreDNS's configuration: server blocks of zones and a port, with one directive a plugin.

Source: coredns.io/manual/configuration; the lexer and parser of github.com/coredns/caddy (caddyfile).
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from emulator.apps.dns.request import full_name
from emulator.errors import PodwireError
from emulator.packet.digits import is_natural

DEFAULT_PORT = 53
_MOST_IMPORTS = 1000


class CorefileError(PodwireError):
    """What is wrong with a Corefile, as CoreDNS prints it."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"/etc/coredns/Corefile:{line} - Error during parsing: {message}")


class Line(Struct, frozen=True):
    """The words of one line, and where it is."""

    words: tuple[str, ...]
    number: int

    @property
    def name(self) -> str:
        """Its first word."""
        return self.words[0]

    @property
    def arguments(self) -> tuple[str, ...]:
        """What follows the first word."""
        return self.words[1:]

    def wrong(self, message: str) -> CorefileError:
        """Return the error that something about this line is."""
        return CorefileError(self.number, message)

    def argument_error(self, word: str | None = None) -> CorefileError:
        """Return the error that too few or other words than wanted are here."""
        if word is None:
            return self.wrong("Wrong argument count or unexpected line ending after '" + self.words[-1] + "'")
        return self.wrong(f"unknown property '{word}'")


class Directive(Struct, frozen=True):
    """One plugin of a server block: its line, and the lines between its braces."""

    line: Line
    block: tuple[Line, ...] = ()

    @property
    def name(self) -> str:
        """The plugin."""
        return self.line.name


class ServerBlock(Struct, frozen=True):
    """Zones (lower case, with a dot at the end) on a port, and the plugins for them in the order of the file."""

    zones: tuple[str, ...]
    port: int
    directives: tuple[Directive, ...]

    def find(self, name: str) -> Directive | None:
        """Return a plugin's directive, or None."""
        return next((directive for directive in self.directives if directive.name == name), None)


def parse_corefile(text: str) -> list[ServerBlock]:
    """Read a Corefile. CorefileError."""
    reader = _Reader(list(_lines(text)))
    blocks = []
    while (line := reader.take()) is not None:
        if line.words[-1] != "{":
            raise line.wrong("Unexpected token '" + line.words[-1] + "', expecting '{'")
        if line.name.startswith("(") and line.name.endswith(")") and len(line.words) == 2:
            reader.snippets[line.name[1:-1]] = reader.raw_block(line)
            continue
        directives = tuple(reader.directives(line))
        zones, ports = _addresses(line)
        blocks += [ServerBlock(zones, port, directives) for port in ports]
    return blocks


class _Reader:
    """The lines that are still to be read; `snippets` are named runs of lines that `import` puts in its place."""

    def __init__(self, lines: list[Line]) -> None:
        self.snippets: dict[str, list[Line]] = {}
        self._lines = lines[::-1]
        self._imports = 0

    def take(self) -> Line | None:
        return self._lines.pop() if self._lines else None

    def raw_block(self, opening: Line) -> list[Line]:
        """Take the lines up to the brace that closes the one of `opening`."""
        found: list[Line] = []
        depth = 1
        while (line := self.take()) is not None:
            depth += (line.words[-1] == "{") - (line.words == ("}",))
            if depth == 0:
                return found
            found.append(line)
        raise opening.wrong("Unexpected EOF, expecting '}'")

    def directives(self, opening: Line) -> Iterator[Directive]:
        while (line := self.take()) is not None:
            if line.words == ("}",):
                return
            if line.name == "import":
                self._import(line)
            elif line.words[-1] == "{":
                inner = self.raw_block(line)
                yield Directive(Line(line.words[:-1], line.number), tuple(inner))
            else:
                yield Directive(line)
        raise opening.wrong("Unexpected EOF, expecting '}'")

    def _import(self, line: Line) -> None:
        name = " ".join(line.arguments)
        self._imports += 1
        if name not in self.snippets or self._imports > _MOST_IMPORTS:
            raise line.wrong(f"File to import not found: {name}")
        self._lines += self.snippets[name][::-1]


def _lines(text: str) -> Iterator[Line]:
    for number, raw in enumerate(text.splitlines(), 1):
        words = tuple(_words(raw, number))
        if words:
            yield Line(words, number)


def _words(raw: str, number: int) -> Iterator[str]:
    position = 0
    while position < len(raw):
        if raw[position].isspace():
            position += 1
        elif raw[position] == "#":
            return
        elif raw[position] == '"':
            word = ""
            position += 1
            while position < len(raw) and raw[position] != '"':
                position += raw.startswith('\\"', position)
                word += raw[position]
                position += 1
            if position == len(raw):
                raise CorefileError(number, "a quotation mark is not closed")
            position += 1
            yield word
        else:
            start = position
            while position < len(raw) and not raw[position].isspace():
                position += 1
            yield raw[start:position]


def _addresses(line: Line) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return zones and ports of a block's first line: `.:53`, `example.org`, `dns://cluster.local:1053`."""
    zones, ports = [], []
    for word in " ".join(line.words[:-1]).replace(",", " ").split():
        scheme, separator, rest = word.rpartition("://")
        if separator and scheme != "dns":
            raise line.wrong(f"the transport {scheme}:// is not there; dns:// is")
        zone, colon, port = rest.rpartition(":")
        if not colon:
            zone, port = rest, str(DEFAULT_PORT)
        if not is_natural(port) or not 0 < int(port) < 65536 or "/" in zone:
            raise line.wrong(f"not a zone and a port: {word}")
        zones.append(full_name(zone))
        ports.append(int(port))
    if not zones:
        raise line.wrong("a server block needs a zone")
    return tuple(dict.fromkeys(zones)), tuple(dict.fromkeys(ports))


def duration(line: Line, text: str) -> float:
    """Return seconds of a Go duration ("5s", "1m30s", "500ms"), or of a plain number. CorefileError."""
    if is_natural(text):
        return float(text)
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    total, rest = 0.0, text
    while rest:
        digits = rest[: len(rest) - len(rest.lstrip("0123456789."))]
        rest = rest[len(digits) :]
        unit = rest[: len(rest) - len(rest.lstrip("hms"))]
        rest = rest[len(unit) :]
        if unit not in units or not digits.replace(".", "", 1).isdigit():
            raise line.wrong(f'time: invalid duration "{text}"')
        total += float(digits) * units[unit]
    if not text:
        raise line.argument_error()
    return total


def number(line: Line, text: str, low: int, high: int) -> int:
    """Return a whole number in a range. CorefileError."""
    if not is_natural(text) or not low <= int(text) <= high:
        raise line.wrong(f"{line.name} must be in range [{low}, {high}]: {text}")
    return int(text)
