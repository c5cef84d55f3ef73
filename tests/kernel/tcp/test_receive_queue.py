"""Reassembly against the plain truth: whatever pieces come in any order, what is read is the beginning of the data."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.kernel.tcp.receive_queue import ReceiveQueue

DATA = bytes(index * 13 & 0xFF for index in range(300))
START = 1000


@given(st.lists(st.tuples(st.integers(0, 299), st.integers(1, 60)), max_size=60), st.integers(1, 50))
@settings(max_examples=200, deadline=None)
def test_pieces_in_any_order(pieces: list[tuple[int, int]], read_size: int) -> None:
    queue = ReceiveQueue()
    queue.begin(START - 1, 10_000)
    have: set[int] = set()
    read = b""
    for offset, length in pieces:
        payload = DATA[offset : offset + length]
        before = queue.next
        moved = queue.add(START + offset, payload)
        have |= set(range(offset, offset + len(payload)))
        in_order = next(index for index in range(301) if index not in have)
        assert queue.next == START + in_order
        assert moved == (queue.next > before)
        held = {number for number in have if number > in_order}
        assert queue.has_gap == bool(held)
        told = queue.blocks()
        assert all({*range(left - START, right - START)} <= held for left, right in told)
        assert bool(told) == bool(held)
        read += queue.read(read_size)
    while chunk := queue.read(read_size):
        read += chunk
    assert read == DATA[: queue.next - START]
    assert queue.size == 0


def test_the_window_never_takes_back_what_it_told() -> None:
    queue = ReceiveQueue(10_000)
    queue.begin(0, 10_000)
    edge = queue.edge
    for _ in range(9):
        queue.append(bytes(1000))
        queue.select_window(1000, 0)
        assert queue.edge >= edge
        edge = queue.edge
    queue.append(bytes(500))
    assert queue.select_window(1000, 0) == 500  # less than a segment is free, but it had been told
    queue.append(bytes(500))
    assert queue.select_window(1000, 0) == 0
    queue.read(900)
    assert queue.select_window(1000, 0) == 0  # no crumbs
    queue.read(100)
    assert queue.select_window(1000, 0) == 1000
