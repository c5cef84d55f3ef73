"""`-j CONNMARK`: sets the connection's mark, or copies it from or to the packet's (xt_connmark.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.conntrack.connection import CHANGED_MARK
from emulator.kernel.netfilter.error import KernelError, RuleError
from emulator.kernel.netfilter.options import U32, parse_integer
from emulator.kernel.netfilter.target.base import Target
from emulator.kernel.netfilter.target.masked import SET_OPTIONS, MarkChange, read_mark_change

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.hook import Verdict
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_MOST_BITS = 31


class Connmark(Target, frozen=True):
    """`change` sets the mark; else it is saved from the packet, or restored to it, under the two masks.

    `shift` moves the bits on their way: to the left, or to the right if it is negative.
    """

    name = "CONNMARK"
    options: ClassVar[Mapping[str, int]] = {
        **SET_OPTIONS,
        "--save-mark": 0,
        "--restore-mark": 0,
        "--nfmask": 1,
        "--ctmask": 1,
        "--mask": 1,
        "--left-shift-mark": 1,
        "--right-shift-mark": 1,
    }
    needs_conntrack = True

    change: MarkChange | None = None
    restore: bool = False
    packet_mask: int = U32
    connection_mask: int = U32
    shift: int = 0

    @classmethod
    def parse(cls, options: Options) -> Connmark:
        change = read_mark_change(options)
        copy = options.only_one("--save-mark", "--restore-mark")
        if change is not None and copy is not None:
            raise RuleError(f"CONNMARK: a mark is set, or it is copied ({copy}), but not both")
        if change is None and copy is None:
            raise RuleError("CONNMARK target: No operation specified")
        for name in ("--nfmask", "--ctmask"):
            options.only_one(name, "--mask")
        shift = _parse_shift(options)
        both = _mask(options, "--mask", U32)
        masks = _mask(options, "--nfmask", both), _mask(options, "--ctmask", both)
        if change is not None:
            given = [name for name in options.by_name if name in ("--mask", "--ctmask", *SET_OPTIONS)]
            if given[-1] not in SET_OPTIONS:  # of what says the mask the last one counts
                change = MarkChange(change.value, masks[1])
            return cls(change, shift=shift)
        return cls(None, copy == "--restore-mark", *masks, shift)

    def format(self) -> str:
        shift = f" --{self._shift()}" if self.shift else ""
        if self.change is not None:
            return self.change.format() + shift
        action = "--restore-mark" if self.restore else "--save-mark"
        return f"{action} --nfmask {self.packet_mask:#x} --ctmask {self.connection_mask:#x}{shift}"

    def _shift(self) -> str:
        return f"{'left' if self.shift > 0 else 'right'}-shift-mark {abs(self.shift)}"

    def listing(self, names: Names) -> str:
        return f"{self._action()} {self._shift()}" if self.shift else self._action()

    def _action(self) -> str:
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
            skb.mark = (skb.mark & ~self.packet_mask ^ self._moved(connection.mark & self.connection_mask)) & U32
            return None
        if self.change is not None:
            mark = self._moved(self.change.apply(connection.mark))
        else:
            mark = (connection.mark & ~self.connection_mask ^ self._moved(skb.mark & self.packet_mask)) & U32
        if mark != connection.mark:
            connection.mark = mark
            connection.status |= CHANGED_MARK
        return None

    def _moved(self, mark: int) -> int:
        return mark << self.shift & U32 if self.shift >= 0 else mark >> -self.shift


def _parse_shift(options: Options) -> int:
    """Read the shift; of both directions the last one counts."""
    given = [name for name in options.by_name if name in ("--left-shift-mark", "--right-shift-mark")]
    if not given:
        return 0
    bits = parse_integer(options.require(given[-1]).value, f"CONNMARK: {given[-1]}", 0, 32)
    if bits > _MOST_BITS:
        raise KernelError("Invalid argument", f"CONNMARK: a mark is shifted by at most {_MOST_BITS} bits")
    return bits if given[-1] == "--left-shift-mark" else -bits


def _mask(options: Options, name: str, default: int) -> int:
    option = options.get(name)
    return default if option is None else parse_integer(option.value, f"CONNMARK: {name}")
