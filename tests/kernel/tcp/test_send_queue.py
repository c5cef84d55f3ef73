"""The queue of what was sent: several segments in one frame, of which some are acknowledged, held or lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from emulator.kernel.tcp.send_queue import SendQueue

MSS = 100


def queue(*sizes: int) -> SendQueue:
    """A queue whose frames of these sizes are on their way."""
    tx = SendQueue()
    for size in sizes:
        tx.add(bytes(size), 0, size, 1.0, MSS)
    return tx


def layout(tx: SendQueue) -> list[tuple[int, int, int]]:
    return [(sent.sequence, sent.end, sent.count) for sent in tx.segments]


def marked(tx: SendQueue, mark: str) -> list[tuple[int, int]]:
    return [(sent.sequence, sent.end) for sent in tx.segments if getattr(sent, mark)]


def check(tx: SendQueue) -> None:
    """The counters must be what the marks say, and the pieces must lie one behind the other."""
    assert tx.outstanding == sum(sent.count for sent in tx.segments)
    for name in ("sacked", "lost", "repeated"):
        assert getattr(tx, name) == sum(sent.count for sent in tx.segments if getattr(sent, name))
    at = tx.una
    for sent in tx.segments:
        assert (sent.sequence, sent.end) == (at, at + len(sent.payload))
        assert sent.count == -(-len(sent.payload) // sent.mss)
        at = sent.end
    assert at == tx.next


def test_a_frame_counts_as_its_segments() -> None:
    tx = queue(1000, 250)
    assert layout(tx) == [(0, 1000, 10), (1000, 1250, 3)]
    assert tx.in_flight == 13


def test_an_acknowledgement_within_a_frame_counts_the_segments_that_it_covers() -> None:
    tx = queue(1000)
    assert tx.acknowledge(250) == (2, 1.0)
    assert layout(tx) == [(250, 1000, 8)]
    assert tx.acknowledge(1000) == (8, 1.0)
    assert tx.in_flight == 0


def test_a_held_range_is_cut_out_between_segments() -> None:
    tx = queue(1000)
    assert tx.mark_sacked([(250, 720)]) == 4  # from 300 to 700: only whole segments count
    assert layout(tx) == [(0, 300, 3), (300, 700, 4), (700, 1000, 3)]
    assert marked(tx, "sacked") == [(300, 700)]
    assert tx.mark_lost_by_sack()
    assert marked(tx, "lost") == [(0, 300)]
    check(tx)


def test_a_lost_frame_is_cut_to_what_may_go() -> None:
    tx = queue(1000, 300)
    tx.mark_sacked([(1000, 1300)])
    tx.mark_lost_by_sack()
    first = tx.next_lost()
    assert first is not None
    tx.cut(first, 2)
    tx.note_repeat(first, 2.0)
    assert (tx.lost, tx.repeated, tx.in_flight) == (10, 2, 2)
    second = tx.next_lost()
    assert second is not None
    assert (second.sequence, second.count) == (200, 8)


def test_a_lowered_segment_size_loses_what_was_longer_only() -> None:
    tx = queue(1000, 50)
    tx.set_mss(60)
    assert layout(tx) == [(0, 1000, 17), (1000, 1050, 1)]
    assert marked(tx, "lost") == [(0, 1000)]
    check(tx)


def test_of_a_frame_only_the_last_piece_has_its_fin() -> None:
    tx = SendQueue()
    sent = tx.add(bytes(250), 1, 251, 1.0, MSS)
    tx.cut(sent, 1)
    assert [(piece.flags, piece.end - piece.sequence) for piece in tx.segments] == [(0, 100), (1, 151)]


@given(
    st.lists(st.integers(1, 1500), min_size=1, max_size=6),
    st.lists(st.tuples(st.sampled_from(["ack", "sack", "lost", "repeat", "all", "head"]), st.integers(0, 9000),
                       st.integers(1, 3000)), max_size=30),
)  # fmt: skip
def test_counters_stay_true(sizes: list[int], steps: list[tuple[str, int, int]]) -> None:
    tx = queue(*sizes)
    for what, at, length in steps:
        _step(tx, what, at, length)
        check(tx)


def _step(tx: SendQueue, what: str, at: int, length: int) -> None:
    left = min(max(at, tx.una), tx.next)
    right = min(left + length, tx.next)
    if what == "ack":
        tx.acknowledge(left)
    elif what == "sack" and left < right:
        tx.mark_sacked([(left, right)])
    elif what == "lost":
        tx.mark_lost_by_sack()
    elif what == "all":
        tx.mark_all_lost()
    elif what == "head" and tx.segments:
        tx.mark_head_lost()
    elif (sent := tx.next_lost()) is not None:
        tx.cut(sent, 1 + length % 4)
        tx.note_repeat(sent, 2.0)
