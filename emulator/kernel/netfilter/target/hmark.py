"""`-j HMARK`: a mark from a hash of addresses and ports, the same for both directions (xt_HMARK.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.jhash import jhash2
from emulator.kernel.netfilter.conntrack.connection import Connection
from emulator.kernel.netfilter.error import KernelError, RuleError
from emulator.kernel.netfilter.options import U32, parse_integer, parse_prefix_length
from emulator.kernel.netfilter.target.base import Target
from emulator.packet.address import MASKS

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.hook import Verdict
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_ICMP, _AH = 1, 51
_WITH_PORTS = frozenset({6, 17, 33, 50, 132, 136})  # ESP: the SPI (proto_ports_offset)
_ICMP_ERRORS = frozenset({3, 4, 5, 11, 12})
_ICMP_HEADER, _IP_HEADER = 8, 20
_IS_FRAGMENT = 0x3FFF
# Options in the order of printing: their largest values, and how many digits they are printed with.
_NUMBERS = {
    "--hmark-sport-mask": (0xFFFF, 4),
    "--hmark-dport-mask": (0xFFFF, 4),
    "--hmark-spi-mask": (U32, 8),
    "--hmark-sport": (0xFFFF, 4),
    "--hmark-dport": (0xFFFF, 4),
    "--hmark-spi": (U32, 8),
    "--hmark-proto-mask": (0xFFFF, 2),
    "--hmark-rnd": (U32, 8),
}
_PREFIXES = ("--hmark-src-prefix", "--hmark-dst-prefix")
_MODULUS, _OFFSET, _TUPLE = "--hmark-mod", "--hmark-offset", "--hmark-tuple"
_FIELDS = {  # of --hmark-tuple, and what each of them stands for
    "ct": (_TUPLE, 1),
    "src": ("--hmark-src-prefix", 32),
    "dst": ("--hmark-dst-prefix", 32),
    "sport": ("--hmark-sport-mask", 0xFFFF),
    "dport": ("--hmark-dport-mask", 0xFFFF),
    "proto": ("--hmark-proto-mask", 0xFFFF),
    "spi": ("--hmark-spi-mask", U32),
}


class Hmark(Target, frozen=True):
    """`-j HMARK --hmark-tuple src,dst --hmark-mod 10 --hmark-rnd 1`; `given` are options and their values."""

    name = "HMARK"
    options: ClassVar[Mapping[str, int]] = dict.fromkeys((_TUPLE, *_PREFIXES, *_NUMBERS, _MODULUS, _OFFSET), 1)

    given: tuple[tuple[str, int], ...]

    @classmethod
    def parse(cls, options: Options) -> Hmark:
        given: dict[str, int] = {}
        for option in options.by_name.values():
            if option.name == _TUPLE:
                given |= _parse_tuple(option.value)
            elif option.name in _PREFIXES:
                given[option.name] = parse_prefix_length(option, cls.name)
            else:
                most = _NUMBERS.get(option.name, (U32, 0))[0]
                least = 1 if option.name == _MODULUS else 0
                given[option.name] = parse_integer(option.value, f"HMARK: {option.name}", least, most)
        for name in (_MODULUS, "--hmark-rnd"):
            if name not in given:
                raise RuleError(f"{name} is mandatory")
        if "--hmark-spi-mask" in given and ("--hmark-sport-mask" in given or "--hmark-dport-mask" in given):
            raise RuleError("you cannot use --hmark-spi-mask and --hmark-?port-mask,at the same time")
        if not {*_PREFIXES, *list(_NUMBERS)[:7], _TUPLE} & set(given):
            raise RuleError("you have to specify --hmark-tuple at least")
        if "--hmark-spi" in given and ("--hmark-sport" in given or "--hmark-dport" in given):
            raise KernelError("Invalid argument", "HMARK: --hmark-spi and ports do not go together")
        order = (*_PREFIXES, *_NUMBERS, _MODULUS, _OFFSET, _TUPLE)
        return cls(tuple((name, given[name]) for name in order if name in given))

    def format(self) -> str:
        words = []
        for name, value in self.given:
            digits = _NUMBERS.get(name, (0, 0))[1]
            text = "ct" if name == _TUPLE else f"0x{value:0{digits}x}" if digits else str(value)
            words.append(f"{name} {text}")
        return " ".join(words)

    def listing(self, names: Names) -> str:
        given = dict(self.given)
        words = [f"HMARK mod {given[_MODULUS]}"]
        words += [f"+ {given[_OFFSET]:#x}"] if _OFFSET in given else []
        words += ["ct,"] if _TUPLE in given else []
        words += [f"{name[8:]} {given[name]}" for name in _PREFIXES if name in given]
        words += [f"{name[8:]} {given[name]:#x}" for name in _NUMBERS if name in given]
        return " ".join([*words, ""])

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        given = dict(self.given)
        found = _of_connection(skb, given) if _TUPLE in given else _of_packet(skb, given)
        if found is None:
            return None
        source, destination, ports, protocol = found
        low, high = sorted(
            (source & MASKS[given.get(_PREFIXES[0], 0)], destination & MASKS[given.get(_PREFIXES[1], 0)])
        )
        digest = jhash2((low, high, ports), given["--hmark-rnd"]) ^ protocol & given.get("--hmark-proto-mask", 0)
        skb.mark = (digest * given[_MODULUS] >> 32) + given.get(_OFFSET, 0) & U32
        return None


Found = tuple[int, int, int, int]  # source, destination, both ports, protocol


def _of_connection(skb: Skb, given: Mapping[str, int]) -> Found | None:
    ct = skb.ct
    if not isinstance(ct, Connection):
        return None
    ports = 0 if ct.protocol == _ICMP else _ports(ct.original.sport << 16 | ct.reply.sport, given)
    return ct.original.saddr, ct.reply.saddr, ports, ct.protocol


def _of_packet(skb: Skb, given: Mapping[str, int]) -> Found | None:
    """Read them of the packet, or of that which an ICMP error quotes."""
    data, network, start = skb.data, skb.network, skb.transport
    if skb.protocol == _ICMP and len(data) >= start + _ICMP_HEADER and data[start] in _ICMP_ERRORS:
        network = start + _ICMP_HEADER
        if len(data) < network + _IP_HEADER:
            return None
        start = network + (data[network] & 0xF) * 4
    source, destination = (int.from_bytes(data[network + at : network + at + 4], "big") for at in (12, 16))
    protocol = data[network + 9]
    fragment = data[network + 6] << 8 | data[network + 7]
    at = start if protocol in _WITH_PORTS else start + 4 if protocol == _AH else -1
    ports = 0
    if at >= 0 and not fragment & _IS_FRAGMENT and len(data) >= at + 4:
        ports = _ports(int.from_bytes(data[at : at + 4], "big"), given)
    return source, destination, ports, protocol


def _ports(word: int, given: Mapping[str, int]) -> int:
    """Mask the ports, set what is to be set, and put the larger one first (hmark_swap_ports)."""

    def both(spi: str, sport: str, dport: str) -> int:
        return given.get(spi, given.get(sport, 0) << 16 | given.get(dport, 0))

    mask = both("--hmark-spi-mask", "--hmark-sport-mask", "--hmark-dport-mask")
    word = word & mask | both("--hmark-spi", "--hmark-sport", "--hmark-dport")
    source, destination = word >> 16, word & 0xFFFF
    return max(source, destination) << 16 | min(source, destination)


def _parse_tuple(text: str) -> dict[str, int]:
    if not text or text.endswith(","):
        raise RuleError('"--hmark-tuple" requires a list of types with no spaces, e.g. src,dst,sport,dport,proto')
    given = {}
    for at, word in enumerate(text.split(",")):
        field = next((name for name in _FIELDS if word and name.startswith(word.lower())), None)
        if field is None:
            raise RuleError(f'Bad type "{",".join(text.split(",")[at:])}"')
        name, value = _FIELDS[field]
        given[name] = value
    return given
