"""`-m tcp`: ports, flags, and whether an option is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.match.base import Hotdrop
from emulator.kernel.netfilter.match.port import (
    FRAGMENT_OFFSET,
    PORT_OPTIONS,
    PortMatch,
    is_foreign,
    read_native_ports,
    read_ports,
)
from emulator.kernel.netfilter.options import parse_integer

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_FLAGS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32}
_ALL = 0x3F


class Flags(Struct, frozen=True):
    """`--tcp-flags MASK SET`."""

    mask: int
    wanted: int
    inverted: bool = False

    def format(self) -> str:
        """Print it as an option."""
        return f"{'! ' if self.inverted else ''}--tcp-flags {_flag_names(self.mask)} {_flag_names(self.wanted)}"

    def listing(self, names: Names) -> str:
        """Print it as `iptables -L` does."""
        mark = "!" if self.inverted else ""
        if names.numeric:
            return f"flags:{mark}0x{self.mask:02X}/0x{self.wanted:02X}"
        return f"flags:{mark}{_flag_names(self.mask)}/{_flag_names(self.wanted)}"


class Tcp(PortMatch, frozen=True):
    """`-p tcp -m tcp --dport 80 --tcp-flags FIN,SYN,RST,ACK SYN`. `option` is a TCP option's kind."""

    name = "tcp"
    options: ClassVar[Mapping[str, int]] = {**PORT_OPTIONS, "--tcp-flags": 2, "--syn": 0, "--tcp-option": 1}
    invertible = frozenset(options)

    flags: Flags | None = None
    option: int | None = None
    option_inverted: bool = False

    @property
    def native(self) -> bool:
        return self.option is None

    @property
    def may_drop(self) -> bool:
        return self.option is not None

    @classmethod
    def parse(cls, options: Options) -> Tcp:
        foreign = is_foreign(options, "tcp", "--tcp-flags", "--syn")
        # With --tcp-option the rule is left to the kernel's own match, as it is written.
        source, destination = (read_ports if "--tcp-option" in options.by_name else read_native_ports)(options)
        if options.has("--tcp-flags") and options.has("--syn"):
            raise RuleError("Only one of `--syn' or `--tcp-flags'  allowed")
        flags = None
        if given := options.get("--tcp-flags"):
            flags = Flags(_parse_flags(given.values[0]), _parse_flags(given.values[1]), given.inverted)
        elif given := options.get("--syn"):
            flags = Flags(_parse_flags("FIN,SYN,RST,ACK"), _FLAGS["SYN"], given.inverted)
        option = options.get("--tcp-option")
        kind = None if option is None else _parse_kind(option.value)
        return cls(source, destination, foreign, flags, kind, option is not None and option.inverted)

    def format(self) -> str:
        words = self.format_ports()
        if self.option is not None:
            words.append(f"{'! ' if self.option_inverted else ''}--tcp-option {self.option}")
        if self.flags is not None:
            words.append(self.flags.format())
        return " ".join(words)

    @property
    def only_ports(self) -> bool:
        return self.flags is None and self.option is None

    def listing(self, names: Names) -> str:
        words = self.list_ports(names)
        if self.option is not None:
            words.append(f"option={'!' if self.option_inverted else ''}{self.option}")
        if self.flags is not None:
            words.append(self.flags.listing(names))
        return " ".join(words)

    def seen(self, skb: Skb, context: Context) -> str:
        data, transport = skb.data, skb.transport
        if not PortMatch.matches(self, skb, context) or len(data) < transport + 14:
            return PortMatch.seen(self, skb, context)
        if self.flags is not None:
            return f"flags {_flag_names(data[transport + 13])}"
        return "its options"

    def matches(self, skb: Skb, context: Context) -> bool:
        if self.option is not None:
            self._drop_broken(skb)
        if not PortMatch.matches(self, skb, context):
            return False
        data, transport = skb.data, skb.transport
        if self.flags is not None:
            if len(data) < transport + 14:
                return False
            if (data[transport + 13] & self.flags.mask == self.flags.wanted) is self.flags.inverted:
                return False
        if self.option is None:
            return True
        return not skb.fragment & FRAGMENT_OFFSET and self._finds_option(data, transport)

    def _drop_broken(self, skb: Skb) -> None:
        """Drop what has no whole TCP header, as the kernel's own match does and nftables' tests do not (tcp_mt)."""
        offset = skb.fragment & FRAGMENT_OFFSET
        if offset == 1 or (not offset and len(skb.data) < skb.transport + 20):
            raise Hotdrop(self.name)

    def _finds_option(self, data: bytearray, transport: int) -> bool:
        """Look for the option, or its absence; options that are not all there drop the packet (tcp_find_option)."""
        at, end = transport + 20, transport + (data[transport + 12] >> 4) * 4
        if end < at or end > len(data):
            raise Hotdrop(self.name)
        while at < end:
            if data[at] == self.option:
                return not self.option_inverted
            if data[at] < 2:
                at += 1
            else:
                at += max(data[at + 1], 1) if at + 1 < end else 1
        return self.option_inverted


def _parse_flags(text: str) -> int:
    flags = 0
    for name in text.split(","):
        if not name:
            continue
        flag = _ALL if name.upper() == "ALL" else 0 if name.upper() == "NONE" else _FLAGS.get(name.upper())
        if flag is None:
            raise RuleError(f"Unknown TCP flag `{name}'")
        flags |= flag
    return flags


def _flag_names(flags: int) -> str:
    return ",".join(name for name, bit in _FLAGS.items() if flags & bit) or "NONE"


def _parse_kind(text: str) -> int:
    try:
        return parse_integer(text, "tcp: --tcp-option", 1, 255)
    except RuleError:
        raise RuleError(f'Bad TCP option "{text}"') from None
