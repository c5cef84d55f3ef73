"""`-j CONNMARK`: sets the connection's mark, or copies it from or to the packet's (xt_connmark.c)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.connection import CHANGED_MARK
from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.options import U32, parse_integer
from emulator.kernel.netfilter.target.base import Target
from emulator.kernel.netfilter.target.masked import SET_OPTIONS, MarkChange, read_mark_change

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.hook import Verdict
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb


@dataclass(frozen=True, slots=True)
class Connmark(Target):
    """`change` sets the mark; else it is saved from the packet, or restored to it, under the two masks."""

    name = "CONNMARK"
    options: ClassVar[Mapping[str, int]] = {
        **SET_OPTIONS,
        "--save-mark": 0,
        "--restore-mark": 0,
        "--nfmask": 1,
        "--ctmask": 1,
        "--mask": 1,
    }
    needs_conntrack = True

    change: MarkChange | None = None
    restore: bool = False
    packet_mask: int = U32
    connection_mask: int = U32

    @classmethod
    def parse(cls, options: Options) -> Connmark:
        change = read_mark_change(options)
        copy = options.only_one("--save-mark", "--restore-mark")
        if (change is None) == (copy is None):
            raise RuleError("CONNMARK: one of --set-xmark, --{and,or,xor,set}-mark, --save-mark, --restore-mark needed")
        if change is not None:
            return cls(change)
        both = _mask(options, "--mask", U32)
        return cls(None, copy == "--restore-mark", _mask(options, "--nfmask", both), _mask(options, "--ctmask", both))

    def format(self) -> str:
        if self.change is not None:
            return self.change.format()
        action = "--restore-mark" if self.restore else "--save-mark"
        return f"{action} --nfmask {self.packet_mask:#x} --ctmask {self.connection_mask:#x}"

    def listing(self, names: Names) -> str:
        if self.change is not None:
            return f"CONNMARK {self.change.listing()}"
        masks = (self.connection_mask, self.packet_mask) if self.restore else (self.packet_mask, self.connection_mask)
        action = "CONNMARK restore" if self.restore else "CONNMARK save"
        if masks[0] == masks[1]:
            return action if masks[0] == U32 else f"{action} mask {masks[0]:#x}"
        first, second = ("ctmask", "nfmask") if self.restore else ("nfmask", "ctmask")
        return f"{action} {first} {masks[0]:#x} {second} ~{masks[1]:#x}"

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        connection = skb.ct
        if connection is None:
            return None
        if self.restore:
            skb.mark = (skb.mark & ~self.packet_mask ^ connection.mark & self.connection_mask) & U32
            return None
        if self.change is not None:
            mark = self.change.apply(connection.mark)
        else:
            mark = (connection.mark & ~self.connection_mask ^ skb.mark & self.packet_mask) & U32
        if mark != connection.mark:
            connection.mark = mark
            connection.status |= CHANGED_MARK
        return None


def _mask(options: Options, name: str, default: int) -> int:
    option = options.get(name)
    return default if option is None else parse_integer(option.value, f"CONNMARK: {name}")
