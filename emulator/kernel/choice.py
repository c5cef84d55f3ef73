"""Draws that choose a packet's way: `-m statistic --mode random`, `numgen random`.

They are apart from what else is drawn (ports, identifications), so that somebody who wants to know of every way that a
packet may take can answer them in turn, rather than draw often and hope.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from emulator.kernel.kernel import RandomSource

CHANCE_BITS = 31
"""A chance is a number out of 2**31, as `xt_statistic` keeps it."""


class Choices(Protocol):
    """What a machine asks where rules leave a packet's way to chance."""

    def happens(self, chance: int, /) -> bool:
        """Return whether something comes to pass whose probability is `chance` / 2**31."""

    def one_of(self, count: int, /) -> int:
        """Return one of the numbers 0 to `count` - 1, each as likely as the others."""


class Drawn:
    """Answers from a machine's random source."""

    def __init__(self, random: RandomSource) -> None:
        self._random = random

    def happens(self, chance: int, /) -> bool:
        """Draw 31 bits, as statistic_mt does."""
        return self._random.getrandbits(CHANCE_BITS) < chance

    def one_of(self, count: int, /) -> int:
        """Scale 32 bits, as nft_ng_random does (reciprocal_scale)."""
        return self._random.getrandbits(32) * count >> 32
