"""`-j MARK`: sets bits of the packet's mark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.target.base import Target
from emulator.kernel.netfilter.target.masked import SET_OPTIONS, MarkChange, read_mark_change

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.hook import Verdict
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb


class Mark(Target, frozen=True):
    """`-j MARK --set-xmark 0x4000/0x4000`."""

    name = "MARK"
    options: ClassVar[Mapping[str, int]] = SET_OPTIONS

    change: MarkChange

    @classmethod
    def parse(cls, options: Options) -> Mark:
        change = read_mark_change(options)
        if change is None:
            raise RuleError("MARK: One of the --set-xmark, --{and,or,xor,set}-mark options is required")
        return cls(change)

    def format(self) -> str:
        return self.change.format()

    def listing(self, names: Names) -> str:
        return f"MARK {self.change.listing()}"

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        skb.mark = self.change.apply(skb.mark)
        return None
