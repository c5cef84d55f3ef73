"""300 drawn cases of a fixed seed, a few at a time; `scripts/oracle` draws as many as one likes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kernel_oracle.drawn.draw import FLAVOURS, draw_case
from tests.kernel_oracle.drawn.player import Player
from tests.kernel_oracle.drawn.shrink import shrink

pytestmark = pytest.mark.kernel

SEED = 20_261_128
CASES = 300
A_TEST = 25


@pytest.fixture(scope="module")
def player() -> Iterator[Player]:
    player = Player(SEED, "")
    try:
        yield player
    finally:
        player.close()


@pytest.mark.parametrize("first", range(0, CASES, A_TEST))
def test_drawn_cases_agree_with_the_kernel(player: Player, first: int) -> None:
    for number in range(first, first + A_TEST):
        tally = player.run(number)
        assert not tally.disagreements, "\n".join(tally.reports)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_same_numbers_draw_the_same_case(flavour: str) -> None:
    assert draw_case(1, 7, flavour) == draw_case(1, 7, flavour)
    assert draw_case(1, 7, flavour) != draw_case(2, 7, flavour)


def test_shrinking_keeps_what_fails_and_little_else() -> None:
    case = next(case for number in range(99) if len((case := draw_case(1, number)).steps) > 10 and case.tables)
    wanted = case.steps[5]
    smallest = shrink(case, lambda smaller: wanted in smaller.steps)
    assert smallest.steps == (wanted,)
    assert smallest.tables == smallest.sysctls == smallest.routes == ()
