"""Zone files (RFC 1035 section 5): $ORIGIN, $TTL, records over one line or in parentheses."""

from __future__ import annotations

from collections.abc import Iterator

from emulator.apps.dns.text import record_type
from emulator.errors import PodwireError, WireError
from emulator.packet.address import ipv4_to_int, ipv6_to_int
from emulator.packet.digits import is_natural
from emulator.packet.dns_record import (
    AAAA,
    CNAME,
    MX,
    NS,
    PTR,
    SOA,
    SRV,
    TXT,
    A,
    Mx,
    Record,
    RecordData,
    Soa,
    Srv,
    type_name,
)

DEFAULT_TTL = 3600
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class ZoneFileError(PodwireError):
    """What is wrong with a zone file, and in which line."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"dns: {message} at line: {line}")


def parse_zone_file(text: str, origin: str) -> list[Record]:
    """Read the records of a zone file; names without a dot at their end are below `origin`. ZoneFileError."""
    reader = _Reader(origin)
    for number, blank, words in _entries(text):
        try:
            reader.entry(blank, words)
        except (ValueError, IndexError, WireError) as error:
            raise ZoneFileError(number, f"not a record: {' '.join(words)} ({error})") from None
    return reader.records


class _Reader:
    def __init__(self, origin: str) -> None:
        self.records: list[Record] = []
        self._origin = origin
        self._ttl = DEFAULT_TTL
        self._owner = origin

    def entry(self, blank: bool, words: list[str]) -> None:
        """Take one entry; `blank`: it begins with a space, so it is about the owner of the one before."""
        if words[0].upper() == "$ORIGIN":
            self._origin = self._name(words[1])
            return
        if words[0].upper() == "$TTL":
            self._ttl = _seconds(words[1])
            return
        if not blank:
            self._owner = self._name(words.pop(0))
        ttl = self._ttl
        while words[0].upper() == "IN" or words[0][0].isdigit():
            word = words.pop(0)
            ttl = ttl if word.upper() == "IN" else _seconds(word)
        kind = record_type(words[0])
        if kind is None:
            raise ValueError(f"unknown type {words[0]}")
        self.records.append(Record(self._owner, kind, ttl, self._data(kind, words[1:])))

    def _name(self, word: str) -> str:
        if word == "@":
            return self._origin
        if word.endswith("."):
            return word
        return f"{word}." if self._origin == "." else f"{word}.{self._origin}"

    def _data(self, kind: int, words: list[str]) -> RecordData:
        if kind == A:
            return ipv4_to_int(words[0])
        if kind == AAAA:
            return ipv6_to_int(words[0])
        if kind in {NS, CNAME, PTR}:
            return self._name(words[0])
        if kind == TXT:
            return tuple(word.encode() for word in words)
        if kind == MX:
            return Mx(int(words[0]), self._name(words[1]))
        if kind == SRV:
            return Srv(int(words[0]), int(words[1]), int(words[2]), self._name(words[3]))
        if kind == SOA:
            times = [_seconds(word) for word in words[2:7]]
            return Soa(self._name(words[0]), self._name(words[1]), *times)
        raise ValueError(f"the type {type_name(kind)} is not there")


def _seconds(word: str) -> int:
    """Return seconds of a number or of BIND's form ("1h30m"). ValueError."""
    if is_natural(word):
        return int(word)
    total, digits = 0, ""
    for letter in word.lower():
        if letter.isdigit():
            digits += letter
        else:
            total += int(digits) * _UNITS.get(letter, 0)
            digits = ""
    if digits or not total:
        raise ValueError(f"not a time: {word}")
    return total


def _entries(text: str) -> Iterator[tuple[int, bool, list[str]]]:
    """Yield each entry: its first line's number, whether it begins with a space, and its words."""
    words: list[str] = []
    start, blank, depth = 0, False, 0
    for number, line in enumerate(text.splitlines(), 1):
        if not words:
            start, blank = number, line[:1].isspace()
        for word in _words(line):
            if word in {"(", ")"}:
                depth += 1 if word == "(" else -1
            else:
                words.append(word.removeprefix('"') if word.startswith('"') else word)
        if words and depth == 0:
            yield start, blank, words
            words = []
    if words:
        raise ZoneFileError(start, "a parenthesis is not closed")


def _words(line: str) -> Iterator[str]:
    word, quoted = "", False
    for letter in line:
        if letter == '"':
            quoted = not quoted
            word = '"' if quoted else word
            if not quoted:
                yield word
                word = ""
        elif quoted:
            word += letter
        elif letter == ";":
            break
        elif letter.isspace() or letter in "()":
            if word:
                yield word
            word = ""
            if letter in "()":
                yield letter
        else:
            word += letter
    if word:
        yield word
