"""`-j AUDIT`: a record in the audit log for each packet (xt_AUDIT.c). Nobody reads one here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.target.base import Target

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.hook import Verdict
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_TYPES = ("accept", "drop", "reject")


class Audit(Target, frozen=True):
    """`-j AUDIT --type drop`: what the record says; the packet goes on with the next rule."""

    name = "AUDIT"
    options: ClassVar[Mapping[str, int]] = {"--type": 1}

    type: str

    @classmethod
    def parse(cls, options: Options) -> Audit:
        text = options.require("--type").value
        if text.lower() not in _TYPES:
            raise RuleError(f'Bad action type value "{text}"')
        return cls(text.lower())

    def format(self) -> str:
        return f"--type {self.type}"

    def listing(self, names: Names) -> str:
        return f"AUDIT {self.type}"

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        return None
