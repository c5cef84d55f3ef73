"""`-m tos`: the TOS byte of the IP header, or bits of it (xt_dscp.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.dscp_class import format_tos, list_tos, parse_tos
from emulator.kernel.netfilter.match.base import Match

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb


class Tos(Match, frozen=True):
    """`-m tos --tos 0x10/0x3f`."""

    name = "tos"
    options: ClassVar[Mapping[str, int]] = {"--tos": 1}
    invertible = frozenset(options)

    value: int
    mask: int
    inverted: bool = False

    @classmethod
    def parse(cls, options: Options) -> Tos:
        option = options.require("--tos")
        return cls(*parse_tos(option, cls.name), option.inverted)

    def format(self) -> str:
        return f"{'! ' if self.inverted else ''}--tos {format_tos(self.value, self.mask)}"

    def listing(self, names: Names) -> str:
        return f"tos match{'!' if self.inverted else ''}{list_tos(self.value, self.mask, numeric=names.numeric)}"

    def seen(self, skb: Skb, context: Context) -> str:
        return f"tos {skb.data[skb.network + 1]:#04x}"

    def matches(self, skb: Skb, context: Context) -> bool:
        return (skb.data[skb.network + 1] & self.mask == self.value) is not self.inverted
