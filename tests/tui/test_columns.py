from __future__ import annotations

import itertools
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from emulator.api.messages import NodeStatusResult, UnderlayCounters
from tests.tui.records import flow
from tests.tui.test_flows import CLIENT, ENDPOINT, model
from tui.model.columns import GAP, Column, arrange, place
from tui.model.rates import Rates, sparkline
from tui.model.text import count, fit, fit_name, rate
from tui.screens import events, flows, nodes, pods, services

PAGES = (flows.COLUMNS, nodes.COLUMNS, pods.COLUMNS, services.COLUMNS, events.COLUMNS)


@given(st.sampled_from(PAGES), st.integers(1, 400))
def test_columns_never_overlap_and_fit_where_more_than_one_is_shown(columns, width: int) -> None:
    placed = place(columns, width)
    assert placed
    for left, right in itertools.pairwise(placed):
        assert left.left + left.width + GAP == right.left
        assert left.width >= left.column.width
    if len(placed) > 1:
        assert placed[-1].left + placed[-1].width <= width
    assert [p.column for p in placed] == [column for column in columns if column in [p.column for p in placed]]


def test_in_80_columns_the_first_to_go_are_those_that_details_have_too() -> None:
    assert [p.column.name for p in place(flows.COLUMNS, 79)] == [
        "verdict",
        "protocol",
        "source",
        "destination",
        "endpoint",
        "packets",
        "age",
    ]
    assert len(place(flows.COLUMNS, 200)) == len(flows.COLUMNS)
    assert {"name", "state", "flows", "lost", "restarts"} <= {p.column.name for p in place(nodes.COLUMNS, 80)}
    assert len(place(pods.COLUMNS, 80)) >= 6


def test_equal_rows_keep_their_places() -> None:
    rows = model(*[flow("node-a", str(n), (CLIENT[0], n), ENDPOINT) for n in range(9)]).rows()
    column = next(column for column in flows.COLUMNS if column.name == "protocol")
    expected = [("node-a", str(n)) for n in range(9)]
    assert [row.key for row in arrange(reversed(rows), column, 0.0, descending=False)] == expected
    assert [row.key for row in arrange(rows, column, 0.0, descending=True)] == expected


class Counted(NamedTuple):
    key: int
    packets: int | None


def test_what_is_not_known_sorts_before_what_is() -> None:
    column = Column("n", "N", 5, lambda row, _: row.packets)
    rows = [Counted(1, 3), Counted(2, None), Counted(3, 1)]
    assert [row.packets for row in arrange(rows, column, 0.0, descending=False)] == [None, 1, 3]


def test_numbers_take_five_characters() -> None:
    cases = {0: "0", 9_999: "9999", 10_000: "10k", 12_345: "12.3k", 999_499: "999k", 999_500: "1M", 4_560_000: "4.56M"}
    assert {number: count(number) for number in cases} == cases
    assert all(len(count(10**exponent - 1)) <= 5 for exponent in range(1, 15))


@given(st.floats(0, 1e14) | st.floats(0, 20))
def test_rates_take_five_characters(value: float) -> None:
    assert len(rate(value)) <= 5


@given(st.lists(st.floats(0, 1e9), max_size=40), st.integers(0, 50))
def test_sparklines_show_the_last_values_and_never_hide_one(values: list[float], width: int) -> None:
    drawn = sparkline(values, width)
    assert len(drawn) == min(len(values), width)
    for value, bar in zip(values[-width:] if width else (), drawn, strict=True):
        assert (bar == "▁") == (value == 0) or value == 0


def test_node_rates_go_by_the_nodes_clock_and_begin_anew_with_its_process() -> None:
    rates = Rates()
    told = [(1, 10.0, 100), (1, 11.5, 400), (2, 0.5, 7), (2, 1.5, 8), (2, 1.5, 9)]
    seen = []
    for pid, uptime, frames in told:
        status = {"name": "a", "controller_connected": True, "pods": 0, "flows": 0}
        counters = UnderlayCounters(sent_frames=frames, received_bytes=frames * 10)
        rates.add(NodeStatusResult(pid=pid, uptime=uptime, underlay=counters, **status))
        seen.append(None if rates.latest is None else (rates.latest.frames, rates.latest.octets))
    assert seen == [None, (200.0, 2000.0), None, (1.0, 10.0), None]


@given(st.text(), st.integers(0, 40), st.sampled_from((fit, fit_name)))
def test_cells_are_printable_and_fit(text: str, width: int, cut) -> None:
    shown = cut(text, width)
    assert len(shown) <= width
    assert shown.isprintable()


def test_names_lose_first_what_tells_least() -> None:
    assert fit("default/client", 8) == "default…"
    name = "default/hello-web-7c5ddbdf54-thtsr:58081"
    assert fit_name(name, 60) == name
    assert fit_name(name, 36) == "hello-web-7c5ddbdf54-thtsr:58081"
    assert fit_name(name, 24) == "hello-web-thtsr:58081"
    assert fit_name(name, 16) == "hello-w…sr:58081"
    assert fit_name(name, 8) == "h…:58081"
    assert fit_name("kube-system/client:43122", 16) == "kube-sy…nt:43122"
    assert fit_name("default/svc/web:80", 10) == "svc/web:80"
