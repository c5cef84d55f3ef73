"""`-m cpu`: the processor that handles the packet (xt_cpu.c). A machine here has one, number 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.netfilter.options import parse_integer

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb


class Cpu(Match, frozen=True):
    """`-m cpu --cpu 0`."""

    name = "cpu"
    options: ClassVar[Mapping[str, int]] = {"--cpu": 1}
    invertible = frozenset(options)

    number: int
    inverted: bool = False

    @classmethod
    def parse(cls, options: Options) -> Cpu:
        option = options.require("--cpu")
        return cls(parse_integer(option.value, "cpu: --cpu"), option.inverted)

    def format(self) -> str:
        return f"{'! ' if self.inverted else ''}--cpu {self.number}"

    def listing(self, names: Names) -> str:
        return f"cpu {'! ' if self.inverted else ''}{self.number}"

    def seen(self, skb: Skb, context: Context) -> str:
        return "cpu 0"

    def matches(self, skb: Skb, context: Context) -> bool:
        return (self.number == 0) is not self.inverted
