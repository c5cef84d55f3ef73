"""`-m sctp`: ports, and the types of the chunks that a packet carries (xt_sctp.c)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.match.base import Hotdrop
from emulator.kernel.netfilter.match.port import FRAGMENT_OFFSET, PORT_OPTIONS, PortMatch, read_ports

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_TYPES = {
    "DATA": 0,
    "INIT": 1,
    "INIT_ACK": 2,
    "SACK": 3,
    "HEARTBEAT": 4,
    "HEARTBEAT_ACK": 5,
    "ABORT": 6,
    "SHUTDOWN": 7,
    "SHUTDOWN_ACK": 8,
    "ERROR": 9,
    "COOKIE_ECHO": 10,
    "COOKIE_ACK": 11,
    "ECN_ECNE": 12,
    "ECN_CWR": 13,
    "SHUTDOWN_COMPLETE": 14,
    "I_DATA": 64,
    "ASCONF_ACK": 128,
    "RE_CONFIG": 130,
    "PAD": 132,
    "FORWARD_TSN": 192,
    "ASCONF": 193,
    "I_FORWARD_TSN": 194,
}
_NAMES = {number: name for name, number in _TYPES.items()}
# The letters of a type's flags, from bit 7 to bit 0. A capital wants the flag set, a small letter unset.
_FLAGS = {0: "----IUBE", 6: "-------T", 14: "-------T", 64: "----IUBE"}
_MODES = ("any", "all", "only")
_HEADER, _CHUNK_HEADER = 12, 4


class Chunk(Struct, frozen=True):
    """A type, which of its flags are looked at, and what they must be."""

    type: int
    mask: int = 0
    flags: int = 0

    def format(self, *, numeric: bool = False) -> str:
        """Print it with its flags."""
        text = f"0x{self.type:04X}" if numeric else _NAMES[self.type]
        letters = "".join(
            letter if self.flags & 0x80 >> at else letter.lower()
            for at, letter in enumerate(_FLAGS.get(self.type, ""))
            if self.mask & 0x80 >> at
        )
        return f"{text}:{letters}" if letters else text


class Chunks(Struct, frozen=True):
    """`any`: one of them is there; `all`: each is; `only`: nothing else is. `word`: ALL or NONE, if it was given."""

    mode: str
    chunks: tuple[Chunk, ...]
    word: str = ""
    inverted: bool = False

    def format(self, *, numeric: bool = False) -> str:
        """Print the list."""
        text = self.word or ",".join(chunk.format(numeric=numeric) for chunk in self.chunks)
        return f"{self.mode} {text}"

    def hold(self, skb: Skb) -> bool:
        """Whether a packet's chunks are as wanted (`match_packet`)."""
        wanted = {chunk.type: chunk for chunk in self.chunks}
        missing = set(wanted) if self.word != "ALL" else set(range(256))
        for kind, flags in _chunks(skb):
            chunk = Chunk(kind) if self.word == "ALL" else wanted.get(kind)
            if chunk is not None and flags & chunk.mask == chunk.flags:
                if self.mode == "any":
                    return True
                if self.mode == "all":
                    missing.discard(kind)
            elif self.mode == "only":
                return False
        return not missing if self.mode == "all" else self.mode == "only"


class Sctp(PortMatch, frozen=True):
    """`-p sctp -m sctp --dport 3868 --chunk-types any INIT,DATA:Be`."""

    name = "sctp"
    options: ClassVar[Mapping[str, int]] = {**PORT_OPTIONS, "--chunk-types": 2}
    invertible = frozenset(options)

    chunks: Chunks | None = None

    @classmethod
    def parse(cls, options: Options) -> Sctp:
        source, destination = read_ports(options)
        option = options.get("--chunk-types")
        chunks = None if option is None else _parse_chunks(option.values[0], option.values[1], option.inverted)
        options.require_protocol("sctp")
        return cls(source, destination, chunks=chunks)

    def format(self) -> str:
        words = self.format_ports()
        if self.chunks is not None:
            words.append(f"{'! ' if self.chunks.inverted else ''}--chunk-types {self.chunks.format()}")
        return " ".join(words)

    def listing(self, names: Names) -> str:
        words = self.list_ports(names)
        if self.chunks is not None:
            words.append(f"{'! ' if self.chunks.inverted else ''}{self.chunks.format(numeric=names.numeric)}")
        return " ".join(words)

    @property
    def only_ports(self) -> bool:
        return self.chunks is None

    def matches(self, skb: Skb, context: Context) -> bool:
        if skb.fragment & FRAGMENT_OFFSET or not PortMatch.matches(self, skb, context):
            return False
        return self.chunks is None or self.chunks.hold(skb) is not self.chunks.inverted


def _chunks(skb: Skb) -> Iterator[tuple[int, int]]:
    """Yield type and flags of each chunk. Hotdrop if one is cut short, or there is none."""
    data, at = skb.data, skb.transport + _HEADER
    while True:
        if at + _CHUNK_HEADER > len(data):
            raise Hotdrop("sctp")
        length = data[at + 2] << 8 | data[at + 3]
        if not length:
            raise Hotdrop("sctp")
        yield data[at], data[at + 1]
        at += length + 3 & ~3
        if at >= len(data):
            return


def _parse_chunks(mode: str, text: str, inverted: bool) -> Chunks:
    if mode.lower() not in _MODES:
        raise RuleError('Match type has to be one of "ALL", "ANY" or "ONLY"')
    if text.upper() in ("ALL", "NONE"):
        return Chunks(mode.lower(), (), text.upper(), inverted)
    given = {chunk.type: chunk for chunk in map(_parse_chunk, text.split(","))}
    return Chunks(mode.lower(), tuple(given[kind] for kind in sorted(given)), "", inverted)


def _parse_chunk(text: str) -> Chunk:
    name, _, letters = text.partition(":")
    kind = _TYPES.get(name.upper())
    if kind is None:
        raise RuleError(f"Unknown sctp chunk `{name}'")
    mask = flags = 0
    for letter in letters:
        at = _FLAGS.get(kind, "").find(letter.upper())
        if at < 0 or letter == "-":
            raise RuleError(f"Invalid flags for chunk type {kind}")
        mask |= 0x80 >> at
        if letter.isupper():
            flags |= 0x80 >> at
    return Chunk(kind, mask, flags)
