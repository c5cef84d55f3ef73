"""`-m helper`: connections that a helper expected (xt_helper.c). There are no helpers here, so no such connections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.netfilter.options import quote

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb


class Helper(Match, frozen=True):
    """`-m helper --helper ftp`."""

    name = "helper"
    options: ClassVar[Mapping[str, int]] = {"--helper": 1}
    invertible = frozenset(options)
    needs_conntrack = True

    helper: str
    inverted: bool = False

    @classmethod
    def parse(cls, options: Options) -> Helper:
        option = options.require("--helper")
        return cls(option.value, option.inverted)

    def format(self) -> str:
        return f"{'! ' if self.inverted else ''}--helper {quote(self.helper)}"

    def listing(self, names: Names) -> str:
        return f'helper match {"! " if self.inverted else ""}"{self.helper}"'

    def seen(self, skb: Skb, context: Context) -> str:
        return "no helper"

    def matches(self, skb: Skb, context: Context) -> bool:
        return self.inverted
