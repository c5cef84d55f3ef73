"""`-j NFQUEUE`: hands the packet to a program, which decides (xt_NFQUEUE.c, nf_queue.c).

No program listens here: as in Linux the packet is dropped, which its sender is not told, or with --queue-bypass goes on
to what looks next at its hook: NAT has then decided nothing about its connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.drop import DropReason
from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.hook import Verdict
from emulator.kernel.netfilter.options import parse_integer
from emulator.kernel.netfilter.target.base import Target

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_LAST = 0xFFFF


class Nfqueue(Target, frozen=True):
    """`-j NFQUEUE --queue-balance 0:3 --queue-bypass`: queues from `first` to `last`."""

    name = "NFQUEUE"
    options: ClassVar[Mapping[str, int]] = {
        "--queue-num": 1,
        "--queue-balance": 1,
        "--queue-bypass": 0,
        "--queue-cpu-fanout": 0,
    }

    first: int = 0
    last: int = 0
    bypass: bool = False
    fanout: bool = False

    @classmethod
    def parse(cls, options: Options) -> Nfqueue:
        options.only_one("--queue-num", "--queue-balance")
        number, balance = options.get("--queue-num"), options.get("--queue-balance")
        first = last = 0 if number is None else parse_integer(number.value, "NFQUEUE: --queue-num", 0, _LAST)
        if balance is not None:
            first, last = _parse_range(balance.value)
        if options.has("--queue-cpu-fanout") and balance is None:
            raise RuleError('NFQUEUE: option "--queue-cpu-fanout" also requires "--queue-balance".')
        return cls(first, last, options.has("--queue-bypass"), options.has("--queue-cpu-fanout"))

    def _words(self, num: str, balance: str, bypass: str, fanout: str) -> str:
        words = [f"{num} {self.first}" if self.first == self.last else f"{balance} {self.first}:{self.last}"]
        words += [bypass] if self.bypass else []
        words += [fanout] if self.fanout else []
        return " ".join(words)

    def format(self) -> str:
        return self._words(*self.options)

    def listing(self, names: Names) -> str:
        return f"NFQUEUE {self._words('num', 'balance', 'bypass', 'cpu-fanout')}"

    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        if self.bypass:
            return Verdict.BYPASS
        context.netns.drop(skb, DropReason.NETFILTER_DROP, rule=f"-j NFQUEUE {self.format()}: no program listens")
        return Verdict.STOLEN


def _parse_range(text: str) -> tuple[int, int]:
    first, colon, last = text.partition(":")
    what = "NFQUEUE: --queue-balance"
    low = parse_integer(first, what, 0, _LAST, near=True) if first else 0
    high = (parse_integer(last, what, 0, _LAST, near=True) if last else _LAST) if colon else low
    if not colon:
        raise RuleError(f'Bad range "{text}"')
    if low >= high:
        raise RuleError(f"{low} should be less than {high}")
    return low, high
