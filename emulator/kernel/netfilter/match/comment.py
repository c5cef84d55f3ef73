"""`-m comment`: matches every packet."""

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

_MAXIMUM_LENGTH = 255


class Comment(Match, frozen=True):
    """`-m comment --comment "default/web cluster IP"`."""

    name = "comment"
    options: ClassVar[Mapping[str, int]] = {"--comment": 1}

    text: str

    @classmethod
    def parse(cls, options: Options) -> Comment:
        text = options.require("--comment").value
        return cls(text.encode()[:_MAXIMUM_LENGTH].decode(errors="ignore"))  # the rest is cut off without a word

    def format(self) -> str:
        return f"--comment {quote(self.text)}"

    def listing(self, names: Names) -> str:
        return f"/* {self.text} */"

    def matches(self, skb: Skb, context: Context) -> bool:
        return True
