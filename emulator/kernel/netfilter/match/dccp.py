"""`-m dccp`: ports, packet types and options of DCCP (xt_dccp.c, RFC 4340)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.match.base import Hotdrop
from emulator.kernel.netfilter.match.port import FRAGMENT_OFFSET, PORT_OPTIONS, PortMatch, read_ports
from emulator.kernel.netfilter.options import parse_integer

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_TYPES = ("REQUEST", "RESPONSE", "DATA", "ACK", "DATAACK", "CLOSEREQ", "CLOSE", "RESET", "SYNC", "SYNCACK", "INVALID")
_INVALID = len(_TYPES) - 1
_OTHER_TYPES = 0xF800  # 11 to 15 are invalid too
_HEADER = 12


class Dccp(PortMatch, frozen=True):
    """`-p dccp -m dccp --dport 5004 --dccp-types REQUEST,RESPONSE`; `types` are bits, (bits, inverted)."""

    name = "dccp"
    options: ClassVar[Mapping[str, int]] = {**PORT_OPTIONS, "--dccp-types": 1, "--dccp-option": 1}
    invertible = frozenset(options)

    types: tuple[int, bool] | None = None
    option: tuple[int, bool] | None = None

    @classmethod
    def parse(cls, options: Options) -> Dccp:
        source, destination = read_ports(options)
        types, option = options.get("--dccp-types"), options.get("--dccp-option")
        options.require_protocol("dccp")
        return cls(
            source,
            destination,
            types=None if types is None else (_parse_types(types.value), types.inverted),
            option=None
            if option is None
            else (parse_integer(option.value, "dccp: --dccp-option", 1, 255), option.inverted),
        )

    def format(self) -> str:
        words = self.format_ports()
        if self.types is not None:
            words.append(f"{'! ' if self.types[1] else ''}--dccp-types {_format_types(self.types[0])}")
        if self.option is not None:
            words.append(f"{'! ' if self.option[1] else ''}--dccp-option {self.option[0]}")
        return " ".join(words)

    def listing(self, names: Names) -> str:
        words = self.list_ports(names)
        if self.types is not None:
            words.append(f"{'! ' if self.types[1] else ''}{_format_types(self.types[0], numeric=names.numeric)}")
        if self.option is not None:
            words.append(f"option={'!' if self.option[1] else ''}{self.option[0]}")
        return " ".join(words)

    @property
    def only_ports(self) -> bool:
        return self.types is None and self.option is None

    @property
    def may_drop(self) -> bool:
        return True

    def matches(self, skb: Skb, context: Context) -> bool:
        if skb.fragment & FRAGMENT_OFFSET:
            return False
        data, start = skb.data, skb.transport
        if len(data) < start + _HEADER:
            raise Hotdrop(self.name)
        sport, dport = data[start] << 8 | data[start + 1], data[start + 2] << 8 | data[start + 3]
        if self.source is not None and not self.source.hold(sport):
            return False
        if self.destination is not None and not self.destination.hold(dport):
            return False
        kind = data[start + 8] >> 1 & 0xF
        if self.types is not None and bool(self.types[0] >> kind & 1) is self.types[1]:
            return False
        return self.option is None or _has_option(data, start, self.option[0]) is not self.option[1]


def _has_option(data: bytearray, start: int, wanted: int) -> bool:
    """Look for an option. Hotdrop if the header is shorter than it says (dccp_find_option)."""
    extended = data[start + 8] & 1
    at = start + (16 if extended else 12)
    end = start + data[start + 4] * 4
    if end < at or end > len(data):
        raise Hotdrop("dccp")
    while at < end:
        if data[at] == wanted:
            return True
        at += 1 if data[at] < 2 else max(data[at + 1], 1) if at + 1 < end else 1
    return False


def _parse_types(text: str) -> int:
    types = 0
    for name in text.split(","):
        if not name:
            continue
        if name.upper() not in _TYPES:
            raise RuleError(f"Unknown DCCP type `{name}'")
        types |= 1 << _TYPES.index(name.upper())
    return types | _OTHER_TYPES if types >> _INVALID & 1 else types


def _format_types(types: int, *, numeric: bool = False) -> str:
    if numeric:
        return ",".join(str(kind) for kind in range(16) if types >> kind & 1)
    return ",".join(name for kind, name in enumerate(_TYPES) if types >> kind & 1)
