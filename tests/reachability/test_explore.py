"""A depth-first walk over every answer to draws: each way once, and no other."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from emulator.kernel.choice import CHANCE_BITS
from emulator.reachability.explore import EveryWay

HALF = 1 << CHANCE_BITS - 1


def walk(run: Callable[[EveryWay], object]) -> list[object]:
    ways = EveryWay()
    found = []
    while True:
        ways.begin()
        found.append(run(ways))
        if not ways.next_way():
            return found


def test_rules_with_chances_one_behind_the_other() -> None:
    def first_that_matches(ways: EveryWay) -> int:
        return next((number for number, chance in enumerate((1, HALF, HALF)) if ways.happens(chance)), 3)

    assert walk(first_that_matches) == [0, 1, 2, 3]


def test_what_is_certain_or_has_no_chance_is_no_way_of_its_own() -> None:
    assert walk(lambda ways: (ways.happens(1 << CHANCE_BITS), ways.happens(0), ways.one_of(1))) == [(True, False, 0)]


def test_a_draw_may_depend_on_the_one_before() -> None:
    def run(ways: EveryWay) -> tuple[int, int]:
        first = ways.one_of(3)
        return first, ways.one_of(first + 1)

    assert walk(run) == [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]


def test_after_the_last_way_comes_the_first() -> None:
    ways = EveryWay()
    for _ in range(2):
        for expected in (0, 1):
            ways.begin()
            assert ways.one_of(2) == expected
            assert ways.next_way() is (expected == 0)


@given(st.recursive(st.just([]), lambda inner: st.lists(inner, min_size=1, max_size=3), max_leaves=30))
def test_each_leaf_of_a_tree_is_met_once(tree: list[object]) -> None:
    def leaves(node: list[object], path: tuple[int, ...] = ()) -> list[tuple[int, ...]]:
        return [leaf for n, child in enumerate(node) for leaf in leaves(child, (*path, n))] if node else [path]  # type: ignore[arg-type]

    def descend(ways: EveryWay) -> tuple[int, ...]:
        node, path = tree, ()
        while node:
            answer = ways.one_of(len(node))
            node, path = node[answer], (*path, answer)  # type: ignore[assignment]
        return path

    assert walk(descend) == leaves(tree)
