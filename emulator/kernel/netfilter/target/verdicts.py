"""ACCEPT, DROP and RETURN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.hook import Verdict
from emulator.kernel.netfilter.target.base import Target

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb


class Accept(Target, frozen=True):
    """The table has no more to say about the packet."""

    name = "ACCEPT"
    options: ClassVar[Mapping[str, int]] = {}

    @classmethod
    def parse(cls, options: Options) -> Accept:
        return cls()

    def format(self) -> str:
        return ""

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        return Verdict.ACCEPT


class Drop(Target, frozen=True):
    """The packet ends here. The nat table refuses it."""

    name = "DROP"
    options: ClassVar[Mapping[str, int]] = {}
    tables = frozenset({"raw", "mangle", "filter", "security"})

    @classmethod
    def parse(cls, options: Options) -> Drop:
        return cls()

    def format(self) -> str:
        return ""

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        return Verdict.DROP


class Return(Target, frozen=True):
    """Back to the calling chain, or to the policy. `Table.evaluate` does it."""

    name = "RETURN"
    options: ClassVar[Mapping[str, int]] = {}

    @classmethod
    def parse(cls, options: Options) -> Return:
        return cls()

    def format(self) -> str:
        return ""

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        return None
