"""`-m realm`: the realm of the packet's route (xt_realm.c). Routes here have none, which is realm 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.hook import Hook
from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.netfilter.options import U32, format_masked, parse_named_masked

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_NAMES = {"cosmos": 0}  # /etc/iproute2/rt_realms
_HOOKS = frozenset({Hook.POSTROUTING, Hook.FORWARD, Hook.OUTPUT, Hook.INPUT})


class Realm(Match, frozen=True):
    """`-m realm --realm 0x2a/0xff`."""

    name = "realm"
    options: ClassVar[Mapping[str, int]] = {"--realm": 1}
    invertible = frozenset(options)

    value: int
    mask: int
    inverted: bool = False

    @property
    def hooks(self) -> frozenset[Hook]:
        return _HOOKS

    @classmethod
    def parse(cls, options: Options) -> Realm:
        option = options.require("--realm")
        return cls(*parse_named_masked(option.value, "realm: --realm", _NAMES), option.inverted)

    def _text(self, *, numeric: bool = False) -> str:
        if self.mask == U32 and self.value == 0 and not numeric:
            return "cosmos"
        return format_masked(self.value, self.mask)

    def format(self) -> str:
        return f"{'! ' if self.inverted else ''}--realm {self._text()}"

    def listing(self, names: Names) -> str:
        return f"{'! ' if self.inverted else ''}realm {self._text(numeric=names.numeric)}"

    def seen(self, skb: Skb, context: Context) -> str:
        return "realm 0"

    def matches(self, skb: Skb, context: Context) -> bool:
        return (self.value == 0) is not self.inverted
