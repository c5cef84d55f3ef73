"""`-m string`: bytes that the packet has in it, from its IP header on (xt_string.c, skb_find_text)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import KernelError, RuleError
from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.netfilter.options import parse_integer

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_LONGEST = 128  # XT_STRING_MAX_PATTERN_SIZE
_END = 0xFFFF
_ALGORITHMS = ("bm", "kmp")  # the third, fsm, takes patterns of another form, which the kernel finds to be none
_HEXADECIMAL = "0123456789abcdefABCDEF"
# The kernel's toupper knows Latin-1 (lib/ctype.c).
_LOWER = (*range(ord("a"), ord("z") + 1), 0xDF, *range(0xE0, 0xF7), *range(0xF8, 0x100))
_UPPER_TABLE = bytes(byte - 32 if byte in _LOWER else byte for byte in range(256))


class String(Match, frozen=True):
    """`-m string --string "GET " --algo bm --from 40 --to 64`.

    Both algorithms find the same; the first place counts, and must end at `end` at the latest.
    """

    name = "string"
    options: ClassVar[Mapping[str, int]] = {
        "--from": 1,
        "--to": 1,
        "--algo": 1,
        "--string": 1,
        "--hex-string": 1,
        "--icase": 0,
    }
    invertible = frozenset({"--string", "--hex-string"})

    pattern: bytes
    algorithm: str
    start: int = 0
    end: int = _END
    ignore_case: bool = False
    inverted: bool = False

    @classmethod
    def parse(cls, options: Options) -> String:
        name = options.only_one("--string", "--hex-string")
        if name is None:
            raise RuleError("STRING match: You must specify `--string' or `--hex-string'")
        algorithm = options.require("--algo").value
        option = options.require(name)
        pattern = _parse_plain(option.value) if name == "--string" else _parse_mixed(option.value)
        start, end = _offset(options, "--from", 0), _offset(options, "--to", _END)
        if start > end:
            raise KernelError("Invalid argument", "string: --from is behind --to")
        if not pattern:
            raise KernelError("Invalid argument", "string: the pattern is empty")
        if algorithm not in _ALGORITHMS:
            reason = "Invalid argument" if algorithm == "fsm" else "No such file or directory"
            raise KernelError(reason, f"string: there is no algorithm `{algorithm}'")
        return cls(pattern, algorithm, start, end, options.has("--icase"), option.inverted)

    def _text(self) -> tuple[str, str]:
        """Return the option that it is printed as, and its value."""
        if any(not 32 <= byte < 127 for byte in self.pattern) or self.pattern[-1:] == b"\\":
            return "--hex-string", f'"|{self.pattern.hex()}|"'
        plain = self.pattern.decode("ascii")
        return "--string", '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'

    def format(self) -> str:
        option, value = self._text()
        words = [f"{'! ' if self.inverted else ''}{option} {value} --algo {self.algorithm}"]
        words += [f"--from {self.start}"] if self.start else []
        words += [f"--to {self.end}"] if self.end != _END else []
        words += ["--icase"] if self.ignore_case else []
        return " ".join(words)

    def listing(self, names: Names) -> str:
        words = [f"STRING match {'!' if self.inverted else ''} {self._text()[1]} ALGO name {self.algorithm}"]
        words += [f"FROM {self.start}"] if self.start else []
        words += [f"TO {self.end}"] if self.end != _END else []
        words += ["ICASE"] if self.ignore_case else []
        return " ".join(words)

    def matches(self, skb: Skb, context: Context) -> bool:
        return self._found(skb) is not self.inverted

    def _found(self, skb: Skb) -> bool:
        text = bytes(skb.data[skb.network + self.start :])
        pattern = self.pattern
        if self.ignore_case:
            text, pattern = text.translate(_UPPER_TABLE), pattern.translate(_UPPER_TABLE)
        at = text.find(pattern)
        return at >= 0 and at + len(pattern) <= self.end - self.start


def _offset(options: Options, name: str, default: int) -> int:
    option = options.get(name)
    return default if option is None else parse_integer(option.value, f"string: {name}", 0, _END)


def _parse_plain(text: str) -> bytes:
    pattern = text.encode()
    if len(pattern) > _LONGEST:
        raise RuleError(f'STRING too long "{text}"')
    return pattern


def _parse_mixed(text: str) -> bytes:
    """Read a string with hexadecimal bytes between bars: `GET|20 2f|x`. A backslash takes what follows literally."""
    if not text:
        raise RuleError("STRING must contain at least one char")
    pattern = bytearray()
    octets = text.encode()
    at, in_hex = 0, False
    while at < len(octets):
        if len(pattern) >= _LONGEST:
            raise RuleError(f'STRING too long "{text}"')
        byte = octets[at : at + 1]
        literal = byte == b"\\"
        if literal and in_hex:
            raise RuleError("Cannot include literals in hex data")
        if byte == b"|":
            in_hex = not in_hex
            while in_hex and octets[at + 1 : at + 2] == b" ":
                at += 1
            at += 1
            if at >= len(octets):
                break
        if literal:
            if at + 1 >= len(octets):
                raise RuleError("Bad literal placement at end of string")
            pattern += octets[at + 1 : at + 2]
            at += 2
        elif in_hex:
            pattern.append(_parse_pair(octets, at))
            at += 3 if octets[at + 2 : at + 3] == b" " else 2
        else:
            pattern += octets[at : at + 1]
            at += 1
    return bytes(pattern)


def _parse_pair(octets: bytes, at: int) -> int:
    if at + 1 >= len(octets):
        raise RuleError("Odd number of hex digits")
    if at + 2 >= len(octets):
        raise RuleError("Invalid hex block")
    for digit in octets[at : at + 2].decode("latin-1"):
        if digit not in _HEXADECIMAL:
            raise RuleError(f"Invalid hex char '{digit}'")
    return int(octets[at : at + 2], 16)
