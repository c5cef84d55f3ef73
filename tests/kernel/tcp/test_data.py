"""Windows, retransmission, acknowledgement and order, with a peer that is played by hand."""

from __future__ import annotations

import errno

import pytest

from emulator.kernel.drop import DropReason
from emulator.kernel.tcp.state import State
from emulator.packet.icmp import IcmpHeader
from emulator.packet.ipv4 import Ipv4Header
from emulator.packet.tcp_options import TcpOptions

from .playbook import OWN, PEER, Playbook


def numbers(book: Playbook) -> list[tuple[int, int]]:
    """(sequence number, length) of all that was sent."""
    return [(seen.seq, len(seen.payload)) for seen in book.sent()]


def test_ten_segments_go_out_at_first_then_two_for_each_acknowledged() -> None:
    book = Playbook()
    socket = book.accepted()
    socket.send(bytes(30_000))
    assert numbers(book) == [(1 + 1000 * index, 1000) for index in range(10)]
    book.run(0.01)  # at once, it would wait for more to come (tcp_tso_should_defer)
    book.give(".", 1, 1001)
    assert numbers(book) == [(10_001, 1000), (11_001, 1000)]


def test_the_peers_window_bounds_what_is_in_flight() -> None:
    book = Playbook()
    socket = book.connected(window=2500)
    socket.send(bytes(10_000))
    assert numbers(book) == [(1, 1000), (1001, 1000)]  # 500 more would be a crumb
    book.give(".", 1, 2001, window=2500)
    assert numbers(book) == [(2001, 1000), (3001, 1000)]


def test_a_zero_window_is_probed_until_it_opens() -> None:
    book = Playbook()
    socket = book.connected()
    socket.send(b"x" * 100)
    book.sent()
    book.give(".", 1, 101, window=0)
    socket.send(b"y" * 100)
    book.expect_nothing()
    book.run(0.3)
    book.expect(".", seq=100, ack=1)
    book.give(".", 1, 101, window=0)
    book.run(0.3)
    book.expect_nothing()
    book.run(0.3)
    book.expect(".", seq=100, ack=1)
    book.give(".", 1, 101, window=1000)
    book.expect("P.", seq=101, ack=1, payload=b"y" * 100)


def test_a_zero_window_without_answers_ends_the_connection() -> None:
    book = Playbook()
    socket = book.connected(window=0)
    socket.send(b"x")
    book.run(3600)
    assert socket.state is State.CLOSED
    with pytest.raises(TimeoutError):
        socket.receive(1)


def test_an_unacknowledged_segment_is_repeated_with_growing_pauses() -> None:
    book = Playbook()
    socket = book.connected()
    book.run(1)
    start = book.kernel.now
    socket.send(b"x")
    times = []
    while book.kernel.now < start + 7:
        if book.sent():
            times.append(round(book.kernel.now - start, 1))
        book.run(0.1)
    assert times == pytest.approx([0.0, 0.2, 0.6, 1.4, 3.0, 6.2], abs=0.15)


def test_giving_up_takes_a_quarter_of_an_hour() -> None:
    book = Playbook()
    socket = book.connected()
    socket.send(b"x")
    book.run(900)
    assert socket.state is State.ESTABLISHED
    book.run(200)
    assert socket.state is State.CLOSED
    with pytest.raises(TimeoutError) as caught:
        socket.send(b"y")
    assert caught.value.errno == errno.ETIMEDOUT


@pytest.mark.parametrize(("algorithm", "threshold"), [("reno", 4), ("cubic", 6)])
def test_three_duplicates_repeat_the_lost_segment_at_once(algorithm: str, threshold: int) -> None:
    book = Playbook()
    book.netns.sysctl.set("net.ipv4.tcp_congestion_control", algorithm)
    socket = book.accepted()
    socket.send(bytes(10_000))
    book.sent()
    for _ in range(2):
        book.give(".", 1, 1001)
    assert (1001, 1000) not in numbers(book)
    book.give(".", 1, 1001)
    book.give(".", 1, 1001)
    assert (1001, 1000) in numbers(book)
    assert socket.cc.threshold == threshold  # half, or seven tenths, of nine outstanding


def test_newreno_repeats_the_next_hole_on_a_partial_acknowledgement() -> None:
    book = Playbook()
    socket = book.accepted()
    socket.send(bytes(10_000))
    book.sent()
    for _ in range(4):
        book.give(".", 1, 1)
    assert (1, 1000) in numbers(book)
    book.give(".", 1, 5001)
    assert (5001, 1000) in numbers(book)
    book.give(".", 1, 10_001)
    assert socket.unacknowledged == 0


def test_sack_repeats_the_holes_alone() -> None:
    book = Playbook(sack=True)
    listener = book.netns.sockets.listen(("0.0.0.0", 80))
    book.give("S", 0, options=TcpOptions(mss=1000, sack_permitted=True))
    book.sent()
    book.give(".", 1, 1)
    socket = listener.accept()
    assert socket is not None
    socket.send(bytes(10_000))
    book.sent()
    isn = book.own_isn or 0

    def block(left: int, right: int) -> tuple[int, int]:
        return isn + left & 0xFFFFFFFF, isn + right & 0xFFFFFFFF

    book.give(".", 1, 1001, options=TcpOptions(sack=(block(2001, 3001),)))
    book.give(".", 1, 1001, options=TcpOptions(sack=(block(2001, 3001), block(4001, 5001))))
    book.expect_nothing()
    book.give(".", 1, 1001, options=TcpOptions(sack=(block(4001, 9001), block(2001, 3001))))
    assert {(1001, 1000), (3001, 1000)} == {sent for sent in numbers(book) if sent[0] < 10_000}
    book.give(".", 1, 10_001)
    assert socket.unacknowledged == 0


def test_out_of_order_data_is_put_in_order_and_told() -> None:
    book = Playbook()
    socket = book.accepted()
    book.give("P.", 4, 1, b"def")
    book.expect(".", seq=1, ack=1)
    assert socket.receive(10) is None
    book.give("P.", 7, 1, b"ghi")
    book.expect(".", seq=1, ack=1)
    book.give("P.", 1, 1, b"abc")
    book.expect(".", seq=1, ack=10)
    assert socket.receive(100) == b"abcdefghi"


def test_sack_blocks_name_what_is_held_the_latest_first() -> None:
    book = Playbook(sack=True)
    book.netns.sockets.listen(("0.0.0.0", 80))
    book.give("S", 0, options=TcpOptions(mss=1000, sack_permitted=True))
    book.sent()
    book.give(".", 1, 1)
    book.give("P.", 11, 1, b"0123456789")
    book.give("P.", 31, 1, b"0123456789")
    last = book.sent()[-1]
    isn = 0xFFFFFF00
    assert [(left - isn & 0xFFFFFFFF, right - isn & 0xFFFFFFFF) for left, right in last.options.sack] == [
        (31, 41),
        (11, 21),
    ]


def test_old_data_is_acknowledged_and_not_read_twice() -> None:
    book = Playbook()
    socket = book.accepted()
    book.give("P.", 1, 1, b"abc")
    book.give("P.", 1, 1, b"abcdef")
    assert socket.receive(100) == b"abcdef"
    book.sent()
    book.give("P.", 1, 1, b"abc")
    book.expect(".", seq=1, ack=7)
    assert socket.receive(100) is None


def test_data_beyond_the_window_is_refused() -> None:
    book = Playbook()
    socket = book.accepted()
    book.give("P.", 600_000, 1, b"far away")
    book.expect(".", seq=1, ack=1)
    assert socket.receive(10) is None
    assert book.netns.drops[DropReason.TCP_OVERWINDOW] == 1


def test_the_window_closes_when_nobody_reads_and_opens_again() -> None:
    book = Playbook()
    socket = book.accepted()
    total = 0
    last = None
    while last is None or last.window:
        book.give(".", 1 + total, 1, bytes(1000))
        total += 1000
        assert total < 70_000
        book.run(0.05)
        last = book.sent()[-1]
    assert socket.rx.size == 65_535
    while socket.receive(30_000):
        pass
    opened = book.sent()
    assert opened[-1].window >= 60_000
    assert len(opened) <= 3


def test_the_first_data_is_acknowledged_at_once_and_answers_carry_later_ones() -> None:
    book = Playbook()
    socket = book.accepted()
    book.give("P.", 1, 1, b"a")
    book.expect(".", seq=1, ack=2)
    socket.receive(10)
    socket.send(b"b")
    book.expect("P.", seq=1, ack=2, payload=b"b")
    book.give("P.", 2, 2, b"c")
    book.expect_nothing()
    book.run(0.03)
    book.expect_nothing()
    book.run(0.02)
    book.expect(".", seq=2, ack=3)


def test_nagle_waits_and_nodelay_does_not() -> None:
    book = Playbook()
    socket = book.accepted()
    socket.send(b"a")
    socket.send(b"b")
    socket.send(b"c")
    assert numbers(book) == [(1, 1)]
    book.give(".", 1, 2)
    assert numbers(book) == [(2, 2)]
    socket.nodelay = True
    socket.send(b"d")
    assert numbers(book) == [(4, 1)]


def test_a_full_send_buffer_takes_no_more_and_wakes_when_there_is_room() -> None:
    book = Playbook()
    socket = book.accepted()
    taken = 0
    while (count := socket.send(bytes(100_000))) > 0:
        taken += count
    assert taken == socket.tx.limit
    assert not socket.writable
    woken: list[int] = []
    socket.on_wake = lambda: woken.append(1)
    book.kernel.take_woken()
    acknowledged = 1
    while not book.kernel._woken:
        for seen in book.sent():
            acknowledged = max(acknowledged, seen.seq + len(seen.payload))
        book.give(".", 1, acknowledged)
    assert socket.writable


def test_timestamps_from_the_past_are_refused() -> None:
    book = Playbook(timestamps=True)
    listener = book.netns.sockets.listen(("0.0.0.0", 80))
    book.give("S", 0, options=TcpOptions(mss=1000, timestamps=(1000, 0)))
    book.sent()
    book.give(".", 1, 1, options=TcpOptions(timestamps=(1001, 1)))
    socket = listener.accept()
    assert socket is not None
    book.give("P.", 1, 1, b"old", options=TcpOptions(timestamps=(999, 1)))
    book.expect(".", seq=1, ack=1)
    assert socket.receive(10) is None
    book.give("P.", 1, 1, b"new", options=TcpOptions(timestamps=(1002, 1)))
    assert socket.receive(10) == b"new"


def test_keepalive_asks_a_silent_peer_and_gives_up() -> None:
    book = Playbook()
    socket = book.accepted()
    socket.set_keepalive(True)
    book.run(7199)
    book.expect_nothing()
    book.run(2)
    book.expect(".", seq=0, ack=1)
    book.give(".", 1, 1)
    book.run(7100)
    assert socket.state is State.ESTABLISHED
    book.run(900)
    assert socket.state is State.CLOSED
    assert isinstance(socket.error, TimeoutError)


def test_a_path_that_is_narrower_cuts_the_segments() -> None:
    book = Playbook()
    socket = book.accepted()
    socket.send(bytes(3000))
    quoted = book.nic.transmit_queue[0][0][14:]
    book.sent()
    message = IcmpHeader.destination_unreachable(4, 600).build(quoted[:48])
    book.give_packet(Ipv4Header(PEER, OWN, 1).build(message))
    assert socket.mss == 560
    sent = book.sent()
    assert sent
    assert all(len(seen.payload) <= 560 for seen in sent)
    assert b"".join(seen.payload for seen in sent) == bytes(3000)


def test_what_waited_behind_a_hole_gives_no_round_trip_time() -> None:
    book = Playbook()
    socket = book.accepted()
    socket.send(bytes(3000))
    book.sent()
    smoothed = socket.rtt.smoothed
    book.run(5)  # the first is repeated meanwhile
    assert (1, 1000) in numbers(book)
    book.give(".", 1, 3001)
    assert socket.unacknowledged == 0
    assert socket.rtt.smoothed == smoothed
