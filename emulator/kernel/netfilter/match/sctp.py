"""`-m sctp`: ports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.match.port import FRAGMENT_OFFSET, PORT_OPTIONS, PortMatch, read_ports

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb


@dataclass(frozen=True, slots=True)
class Sctp(PortMatch):
    """`-p sctp -m sctp --dport 3868`; chunk types are not looked at."""

    name = "sctp"
    options: ClassVar[Mapping[str, int]] = PORT_OPTIONS
    invertible = frozenset(options)

    @classmethod
    def parse(cls, options: Options) -> Sctp:
        options.require_protocol("sctp")
        return cls(*read_ports(options))

    def matches(self, skb: Skb, context: Context) -> bool:
        return not skb.fragment & FRAGMENT_OFFSET and PortMatch.matches(self, skb, context)
