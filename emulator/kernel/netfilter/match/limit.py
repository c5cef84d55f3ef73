"""`-m limit`: a token bucket for each rule (nft_limit.c)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.netfilter.options import parse_integer

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_SCALE = 10_000  # a rate is kept as the time between packets, in 1/10,000 s, and printed from that
_UNITS = (("day", 86_400), ("hour", 3_600), ("min", 60), ("sec", 1))
_DEFAULT_BURST = 5


class _Bucket:
    """Credit of one rule, in seconds' worth of packets."""

    __slots__ = ("credit", "last")

    def __init__(self, credit: float, last: float) -> None:
        self.credit = credit
        self.last = last


@dataclass(frozen=True, slots=True)
class Limit(Match):
    """`-m limit --limit 5/sec --limit-burst 10`; `period` is the time between packets in 1/10,000 s."""

    name = "limit"
    options: ClassVar[Mapping[str, int]] = {"--limit": 1, "--limit-burst": 1}
    has_memory = True

    period: int
    burst: int = _DEFAULT_BURST

    @classmethod
    def parse(cls, options: Options) -> Limit:
        rate = options.get("--limit")
        burst = options.get("--limit-burst")
        if any(option.inverted for option in options.by_name.values()):
            raise RuleError('limit: the "!" is not allowed')
        return cls(
            _parse_rate(rate.value if rate else "3/hour"),
            parse_integer(burst.value, "limit: --limit-burst", 1, 10_000) if burst else _DEFAULT_BURST,
        )

    def format(self) -> str:
        text = f"--limit {self._rate()}"
        return text if self.burst == _DEFAULT_BURST else f"{text} --limit-burst {self.burst}"

    def _rate(self) -> str:
        """Print packets in the longest unit that is precise enough (libxt_limit.c, print_rate)."""
        chosen = _UNITS[0]
        for unit in _UNITS[1:]:
            whole = unit[1] * _SCALE
            if self.period > whole or whole // self.period < whole % self.period:
                break
            chosen = unit
        return f"{chosen[1] * _SCALE // self.period}/{chosen[0]}"

    def listing(self, names: Names) -> str:
        return f"limit: avg {self._rate()} burst {self.burst}"

    def matches(self, skb: Skb, context: Context) -> bool:
        """Always true: the bucket is in what `bind` returns."""
        return True

    def bind(self, netfilter: Netfilter) -> Callable[[Skb, Context], bool]:
        kernel = netfilter.netns.kernel
        cost = self.period / _SCALE
        most = cost * self.burst
        bucket = _Bucket(most, kernel.now)

        def under_limit(skb: Skb, context: Context) -> bool:
            bucket.credit = min(most, bucket.credit + kernel.now - bucket.last)
            bucket.last = kernel.now
            if bucket.credit < cost:
                return False
            bucket.credit -= cost
            return True

        return under_limit


def _parse_rate(text: str) -> int:
    number, slash, unit = text.partition("/")
    names = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
    spelled = {1: "second", 60: "minute", 3_600: "hour", 86_400: "day"}
    seconds = names.get(unit[:1].lower(), 0) if slash else 1
    if not number.isdigit() or not int(number) or not seconds or not spelled[seconds].startswith(unit.lower()):
        raise RuleError(f"limit: bad rate `{text}'")
    period = seconds * _SCALE // int(number)
    if not period:
        raise RuleError(f'limit: Rate too fast "{text}"')
    return period
