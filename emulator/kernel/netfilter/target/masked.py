"""How MARK and CONNMARK say what becomes of a mark: `mark = mark & ~mask ^ value`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.kernel.netfilter.options import U32, parse_integer, parse_masked

if TYPE_CHECKING:
    from emulator.kernel.netfilter.options import Options

SET_OPTIONS = {"--set-mark": 1, "--set-xmark": 1, "--and-mark": 1, "--or-mark": 1, "--xor-mark": 1}


class MarkChange(Struct, frozen=True):
    """A change of a 32-bit mark."""

    value: int
    mask: int

    def apply(self, mark: int) -> int:
        """Return the mark after it."""
        return (mark & ~self.mask ^ self.value) & U32

    def format(self) -> str:
        """Print it as an option."""
        return f"--set-xmark {self.value:#x}/{self.mask:#x}"

    def listing(self) -> str:
        """Print it as `iptables -L` does: in the shortest of its forms."""
        if self.value == 0:
            return f"and {~self.mask & U32:#x}"
        if self.value == self.mask:
            return f"or {self.value:#x}"
        if self.mask == 0:
            return f"xor {self.value:#x}"
        return f"set {self.value:#x}" if self.mask == U32 else f"xset {self.value:#x}/{self.mask:#x}"


def read_mark_change(options: Options) -> MarkChange | None:
    """Read one of the options that set a mark; None if none was given."""
    name = options.only_one(*SET_OPTIONS)
    if name is None:
        return None
    text = options.require(name).value
    what = f"{options.owner}: {name}"
    if name in ("--set-mark", "--set-xmark"):
        value, mask = parse_masked(text, what)
        return MarkChange(value, mask | value if name == "--set-mark" else mask)
    value = parse_integer(text, what)
    if name == "--and-mark":
        return MarkChange(0, ~value & U32)
    return MarkChange(value, value if name == "--or-mark" else 0)
