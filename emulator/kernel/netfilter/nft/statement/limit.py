"""`limit rate 5/second burst 10 packets`: a bucket of time that packets or their bytes take from (nft_limit.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.netfilter.nft.statement.statement import Statement, Step
from emulator.kernel.netfilter.nft.statement.verdict import NO_MATCH, Outcome

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.nft.table import NftTable
    from emulator.kernel.skb import Skb

UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
SIZES = {"bytes": 1, "kbytes": 1 << 10, "mbytes": 1 << 20}
_DEFAULT_BURST = 5
_NANOSECONDS = 1_000_000_000


class Bucket:
    """Time that is left, in nanoseconds, and when it was last filled."""

    __slots__ = ("last", "tokens")

    def __init__(self, tokens: int, last: float) -> None:
        self.tokens = tokens
        self.last = last


class Limit(Statement, frozen=True):
    """`rate` a unit of time, in packets, or in bytes if `of_bytes`. `over`: it matches what goes beyond."""

    rate: int
    unit: str
    burst: int = _DEFAULT_BURST
    over: bool = False
    of_bytes: bool = False

    def format(self, state: object = None, *, stateless: bool = False) -> str:
        over = "over " if self.over else ""
        if not self.of_bytes:
            burst = "" if self.burst in (0, _DEFAULT_BURST) else f" burst {self.burst} packets"
            return f"limit rate {over}{self.rate}/{self.unit}{burst}"
        burst = f" burst {_sized(self.burst)}" if self.burst else ""
        return f"limit rate {over}{_sized(self.rate)}/{self.unit}{burst}"

    def json(self, state: object = None, *, stateless: bool = False) -> object:
        return self.json_values()

    def json_values(self) -> dict[str, object]:
        """Return it as JSON has it, as a member of what it belongs to."""
        values: dict[str, object] = {"rate": self.rate, "burst": self.burst, "per": self.unit}
        if self.of_bytes:
            values["rate"], values["rate_unit"] = _split(self.rate)
            values["burst"], values["burst_unit"] = _split(self.burst)
        if self.over:
            values["inv"] = True
        return {"limit": values}

    @property
    def _period(self) -> int:
        return UNITS[self.unit] * _NANOSECONDS

    @property
    def _most(self) -> int:
        if self.of_bytes:
            return self._period * (self.rate + self.burst) // self.rate
        return self._period // self.rate * (self.burst or _DEFAULT_BURST)

    def start(self, netfilter: Netfilter) -> object:
        return Bucket(self._most, netfilter.netns.kernel.now)

    def bind(self, netfilter: Netfilter, table: NftTable, state: object) -> Step | None:
        assert isinstance(state, Bucket)
        kernel, period, rate, most = netfilter.netns.kernel, self._period, self.rate, self._most
        of_bytes, over = self.of_bytes, self.over

        def limit(skb: Skb, context: Context) -> Outcome | None:
            cost = period * (len(skb.data) - skb.network) // rate if of_bytes else period // rate
            now = kernel.now
            tokens = min(most, state.tokens + round((now - state.last) * _NANOSECONDS))
            state.last = now
            within = tokens >= cost
            state.tokens = tokens - cost if within else tokens
            return NO_MATCH if within is over else None

        return limit


def _split(size: int) -> tuple[int, str]:
    for name, unit in reversed(SIZES.items()):
        if size and size % unit == 0:
            return size // unit, name
    return size, "bytes"


def _sized(size: int) -> str:
    number, unit = _split(size)
    return f"{number} {unit}"
