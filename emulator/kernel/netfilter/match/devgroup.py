"""`-m devgroup`: the group of the link that the packet came in by or goes out by (xt_devgroup.c).

All links here are in group 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.hook import Hook
from emulator.kernel.netfilter.match.base import ALL_HOOKS, Match
from emulator.kernel.netfilter.options import U32, format_masked, parse_named_masked

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_NAMES = {"default": 0}  # /etc/iproute2/group
_IN = frozenset({Hook.PREROUTING, Hook.INPUT, Hook.FORWARD})
_OUT = frozenset({Hook.FORWARD, Hook.OUTPUT, Hook.POSTROUTING})


class Group(Struct, frozen=True):
    """A group and its mask."""

    value: int
    mask: int
    inverted: bool

    def format(self, option: str, *, numeric: bool = False) -> str:
        """Print it behind its option."""
        named = self.mask == U32 and self.value == 0 and not numeric
        return f"{'! ' if self.inverted else ''}{option} {'default' if named else format_masked(self.value, self.mask)}"


class Devgroup(Match, frozen=True):
    """`-m devgroup --src-group 2 --dst-group default`."""

    name = "devgroup"
    options: ClassVar[Mapping[str, int]] = {"--src-group": 1, "--dst-group": 1}
    invertible = frozenset(options)

    source: Group | None = None
    destination: Group | None = None

    @property
    def hooks(self) -> frozenset[Hook]:
        return (ALL_HOOKS if self.source is None else _IN) & (ALL_HOOKS if self.destination is None else _OUT)

    @classmethod
    def parse(cls, options: Options) -> Devgroup:
        groups = [
            Group(*parse_named_masked(option.value, f"devgroup: {name}", _NAMES), option.inverted)
            if (option := options.get(name))
            else None
            for name in cls.options
        ]
        if not any(groups):
            raise RuleError("devgroup match: You must specify either '--src-group' or '--dst-group'")
        return cls(*groups)

    def _words(self, dashes: str, *, numeric: bool) -> str:
        sides = (("src-group", self.source), ("dst-group", self.destination))
        return " ".join(group.format(dashes + name, numeric=numeric) for name, group in sides if group is not None)

    def format(self) -> str:
        return self._words("--", numeric=False)

    def listing(self, names: Names) -> str:
        return self._words("", numeric=names.numeric)

    def seen(self, skb: Skb, context: Context) -> str:
        return "group 0"

    def matches(self, skb: Skb, context: Context) -> bool:
        return all(
            group is None or (group.value & group.mask == 0) is not group.inverted
            for group in (self.source, self.destination)
        )
