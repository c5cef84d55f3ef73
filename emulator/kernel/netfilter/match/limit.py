"""`-m limit`: a token bucket for each rule (nft_limit.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.netfilter.match.rate import format_rate, parse_rate
from emulator.kernel.netfilter.options import parse_integer

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_SCALE = 10_000  # a rate is kept as the time between packets, in 1/10,000 s, and printed from that
_DEFAULT_BURST = 5


class _Bucket:
    """Credit of one rule, in seconds' worth of packets."""

    __slots__ = ("credit", "last")

    def __init__(self, credit: float, last: float) -> None:
        self.credit = credit
        self.last = last


class Limit(Match, frozen=True):
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
        return cls(
            _parse_rate(rate.value if rate else "3/hour"),
            (parse_integer(burst.value, "limit: --limit-burst", 0, 10_000) if burst else 0) or _DEFAULT_BURST,
        )

    def format(self) -> str:
        text = f"--limit {self._rate()}"
        return text if self.burst == _DEFAULT_BURST else f"{text} --limit-burst {self.burst}"

    def _rate(self) -> str:
        return format_rate(self.period, _SCALE)[0]

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
            bucket.credit = min(most, bucket.credit + (kernel.now - bucket.last))  # a sum first would round
            bucket.last = kernel.now
            if bucket.credit < cost:
                return False
            bucket.credit -= cost
            return True

        return under_limit


def _parse_rate(text: str) -> int:
    rate = parse_rate(text, _SCALE)
    if rate is None:
        raise RuleError(f'limit: Bad value for "--limit" option: "{text}"')
    return rate[0]
