"""`-j CLASSIFY`: the class that a queueing discipline takes the packet for (xt_CLASSIFY.c).

There is no traffic control here that would ask for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.hook import Hook
from emulator.kernel.netfilter.target.base import Target

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.hook import Verdict
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_CLASS = re.compile(r"\s*(?:0[xX])?([0-9a-fA-F]+):\s*(?:0[xX])?([0-9a-fA-F]+)")


class Classify(Target, frozen=True):
    """`-j CLASSIFY --set-class 1:10`, both parts hexadecimal."""

    name = "CLASSIFY"
    options: ClassVar[Mapping[str, int]] = {"--set-class": 1}
    hooks = frozenset({Hook.FORWARD, Hook.OUTPUT, Hook.POSTROUTING})

    major: int
    minor: int

    @classmethod
    def parse(cls, options: Options) -> Classify:
        text = options.require("--set-class").value
        found = _CLASS.match(text)
        if found is None:
            raise RuleError(f'Bad class value "{text}"')
        return cls(int(found[1], 16) & 0xFFFF, int(found[2], 16) & 0xFFFF)

    def format(self) -> str:
        return f"--set-class {self.major:04x}:{self.minor:04x}"

    def listing(self, names: Names) -> str:
        return f"CLASSIFY set {self.major:x}:{self.minor:x}"

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        return None
