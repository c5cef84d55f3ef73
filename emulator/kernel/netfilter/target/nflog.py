"""`-j NFLOG`: hands a copy of the packet to whoever listens to its group (nfnetlink_log.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.options import parse_integer, quote
from emulator.kernel.netfilter.target.base import Target

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.hook import Hook, Verdict
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_LONGEST_PREFIX = 127


class NflogMessage(Struct, frozen=True):
    """What a listener gets: `payload` is the packet from its IP header, or as much of it as the rule wants."""

    time: float
    group: int
    prefix: str
    hook: Hook
    in_link: str
    out_link: str
    mark: int
    payload: bytes


class Nflog(Target, frozen=True):
    """`-j NFLOG --nflog-group 5 --nflog-prefix "in: "`. The messages are in `Netfilter.nflog`.

    `size`: how many bytes of a packet to copy, None for all. `threshold` (messages sent together) has no effect here.
    """

    name = "NFLOG"
    options: ClassVar[Mapping[str, int]] = {
        "--nflog-group": 1,
        "--nflog-prefix": 1,
        "--nflog-range": 1,
        "--nflog-size": 1,
        "--nflog-threshold": 1,
    }

    group: int = 0
    prefix: str = ""
    size: int | None = None
    threshold: int = 0

    @classmethod
    def parse(cls, options: Options) -> Nflog:
        options.only_one("--nflog-range", "--nflog-size")
        _number(options, "--nflog-range", 0xFFFFFFFF)  # never had an effect, and is not printed again
        prefix = options.get("--nflog-prefix")
        if prefix is not None and "\n" in prefix.value:
            raise RuleError("Newlines not allowed in --log-prefix")
        size = _number(options, "--nflog-size", 0xFFFFFFFF) if options.has("--nflog-size") else None
        return cls(
            _number(options, "--nflog-group", 0xFFFF),
            prefix.value[:_LONGEST_PREFIX] if prefix else "",
            size,
            _number(options, "--nflog-threshold", 0xFFFF),
        )

    def format(self) -> str:
        return " ".join(f"--{word}" for word in self._words())

    def listing(self, names: Names) -> str:
        return " ".join(self._words())

    def _words(self) -> list[str]:
        words = [f"nflog-prefix {quote(self.prefix)}"] if self.prefix else []
        if self.group:
            words.append(f"nflog-group {self.group}")
        if self.size is not None:
            words.append(f"nflog-size {self.size}")
        if self.threshold:
            words.append(f"nflog-threshold {self.threshold}")
        return words

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        end = len(skb.data) if self.size is None else skb.network + self.size
        context.netfilter.nflog.append(
            NflogMessage(
                context.netns.kernel.now,
                self.group,
                self.prefix,
                context.hook,
                "" if skb.in_link is None else skb.in_link.name,
                "" if skb.out_link is None else skb.out_link.name,
                skb.mark,
                bytes(skb.data[skb.network : end]),
            )
        )
        return None


def _number(options: Options, name: str, most: int) -> int:
    option = options.get(name)
    return 0 if option is None else parse_integer(option.value, f"NFLOG: {name}", 0, most)
