"""`-m statistic`: some of the packets, by chance or every nth (xt_statistic.c)."""

from __future__ import annotations

from collections.abc import Mapping
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

_SCALE = 1 << 31  # probabilities are kept in this fixed point, which is what is printed again


class _Counter:
    """How far an nth rule has counted."""

    __slots__ = ("count",)

    def __init__(self, count: int) -> None:
        self.count = count


class Statistic(Match, frozen=True):
    """`--mode random --probability P` (in 1/2**31) or, if `every` is set, `--mode nth --every N --packet P`."""

    name = "statistic"
    options: ClassVar[Mapping[str, int]] = {"--mode": 1, "--probability": 1, "--every": 1, "--packet": 1}
    invertible = frozenset({"--probability", "--every"})
    has_memory = True  # the count, or the state of the random numbers

    probability: int = 0
    every: int = 0
    packet: int = 0
    inverted: bool = False

    @classmethod
    def parse(cls, options: Options) -> Statistic:
        mode = options.require("--mode").value
        options.only_one("--probability", "--every")
        options.only_one("--probability", "--packet")
        for name, least in (("--every", 1), ("--packet", 0)):
            if options.has(name):
                parse_integer(options.require(name).value, f"statistic: {name}", least)
        if mode == "random":
            option = options.require("--probability")
            return cls(probability=_parse_probability(option.value), inverted=option.inverted)
        if mode != "nth":
            raise RuleError(f'statistic: Bad mode "{mode}"')
        option = options.require("--every")
        every = parse_integer(option.value, "statistic: --every", 1)
        packet = options.get("--packet")
        if packet is None:
            raise RuleError('statistic: option "--every" also requires "--packet".')
        return cls(
            every=every,
            packet=parse_integer(packet.value, "statistic: --packet", 0, every - 1),
            inverted=option.inverted,
        )

    def format(self) -> str:
        mark = "! " if self.inverted else ""
        if self.every:
            return f"--mode nth {mark}--every {self.every} --packet {self.packet}"
        return f"--mode random {mark}--probability {self.probability / _SCALE:.11f}"

    def listing(self, names: Names) -> str:
        mark = "! " if self.inverted else ""
        if not self.every:
            return f"statistic mode random {mark}probability {self.probability / _SCALE:.11f}"
        packet = f" packet {self.packet}" if self.packet else ""
        return f"statistic mode nth {mark}every {self.every}{packet}"

    def matches(self, skb: Skb, context: Context) -> bool:
        """Draw. An nth rule counts in what `bind` returns."""
        return context.netns.kernel.choices.happens(self.probability) is not self.inverted

    def bind(self, netfilter: Netfilter) -> Callable[[Skb, Context], bool]:
        if not self.every:
            return self.matches
        last, inverted = self.every - 1, self.inverted
        counter = _Counter(last - self.packet)

        def nth(skb: Skb, context: Context) -> bool:
            counter.count = 0 if counter.count == last else counter.count + 1
            return (counter.count == 0) is not inverted

        return nth


def _parse_probability(text: str) -> int:
    try:
        probability = float(text)
    except ValueError:
        probability = -1.0
    if not 0.0 <= probability <= 1.0:
        raise RuleError(f"statistic: --probability must be from 0 to 1, not `{text}'")
    return int(_SCALE * probability + 0.5)
