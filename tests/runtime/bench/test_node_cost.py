"""A packet's cost inside one process."""

from __future__ import annotations

import pytest

from emulator.runtime.bench.node_cost import BATCH, measure_node_cost


@pytest.mark.parametrize("services", [1, 20])
def test_costs_are_told_for_both_nodes_and_both_sorts_of_packets(services: int) -> None:
    cost = measure_node_cost(services, 2 * BATCH)
    assert cost.services == services
    assert cost.rules > 6 * services  # a Service with two endpoints has two rules of its own and four of theirs
    assert cost.loading > 0
    for spread in (cost.sender_first, cost.sender_later, cost.receiver_first, cost.receiver_later):
        assert 0 < spread.minimum <= spread.median <= spread.maximum
