"""What does not depend on the carrier: gathering, addressing, checks, counts."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.api.codec import MAX_DATAGRAM
from emulator.kernel.trace import Trace
from emulator.runtime.underlay.underlay import (
    FRAME_TOO_LARGE,
    MISSING_KEPT,
    UNKNOWN_SENDER,
    WRONG_SOURCE,
    Peer,
    TraceMarks,
    UdpAddress,
    Underlay,
    parse_udp_address,
)

A, B, C = ("127.0.0.1", 1), ("127.0.0.1", 2), ("127.0.0.1", 3)
PEERS = [Peer("a", A, 0x02000000000A), Peer("b", B, 0x02000000000B), Peer("c", C, 0x02000000000C)]


class Recorder(Underlay):
    """Keeps what it is told to transmit."""

    def __init__(self, name: str, epoch: int = 1) -> None:
        super().__init__(name, epoch)
        self.transmitted: list[tuple[bytes, UdpAddress]] = []
        self.delivered: list[tuple[str, list[bytes], TraceMarks]] = []
        self.set_peers(PEERS)

    def transmit(self, data: bytes, address: UdpAddress) -> None:
        self.transmitted.append((data, address))

    def take(self, data: bytes | memoryview, source: UdpAddress) -> None:
        self.accept(data, source, lambda sender, frames, marks, _: self.delivered.append((sender, list(frames), marks)))


def frame(destination: int, length: int = 60) -> bytes:
    return destination.to_bytes(6, "big") + bytes(length - 6)


def test_frames_of_a_turn_share_one_datagram_per_peer() -> None:
    a, b = Recorder("a"), Recorder("b")
    frames = [frame(PEERS[1].mac, length) for length in (60, 1514, 100)]
    for each in frames:
        a.send(each)
    assert a.transmitted == []
    a.flush()
    ((data, address),) = a.transmitted
    assert address == B
    b.take(data, A)
    assert b.delivered == [("a", frames, {})]
    assert (a.sent_datagrams, a.sent_frames, b.received_frames) == (1, 3, 3)


def test_broadcast_multicast_and_unknown_destinations_go_to_every_peer_but_oneself() -> None:
    for destination in (0xFFFFFFFFFFFF, 0x01005E000001, 0x0200000000EE):
        a = Recorder("a")
        a.send(frame(destination))
        a.flush()
        assert [address for _, address in a.transmitted] == [B, C]


@given(st.lists(st.integers(14, 9_000), min_size=1, max_size=60), st.booleans())
def test_datagrams_never_exceed_their_limit_and_keep_order(lengths: list[int], traced: bool) -> None:
    a, b = Recorder("a"), Recorder("b")
    frames = [frame(PEERS[1].mac, length) for length in lengths]
    for each in frames:
        a.send(each, Trace(2**63 - 1, 2**31, lambda step: None) if traced else None)
    a.flush()
    for data, _ in a.transmitted:
        assert len(data) <= MAX_DATAGRAM
        b.take(data, A)
    assert [each for _, received, _ in b.delivered for each in received] == frames
    assert b.lost == 0


def test_trace_marks_travel_with_their_frames() -> None:
    a, b = Recorder("a"), Recorder("b")
    a.send(frame(PEERS[1].mac))
    a.send(frame(PEERS[1].mac), Trace(77, 5, lambda step: None))
    a.flush()
    b.take(a.transmitted[0][0], A)
    assert b.delivered[0][2] == {1: [77, 5]}
    a.send(frame(PEERS[1].mac), Trace(78, 6, lambda step: None, considered=True))
    a.flush()
    b.take(a.transmitted[1][0], A)
    assert b.delivered[1][2] == {0: [78, 6, 1]}


def test_gaps_count_as_lost_and_latecomers_do_not() -> None:
    a, b = Recorder("a"), Recorder("b")
    for _ in range(5):
        a.send(frame(PEERS[1].mac))
        a.flush()
    data = [each for each, _ in a.transmitted]
    for index in (0, 3):
        b.take(data[index], A)
    assert b.lost == 2
    b.take(data[1], A)
    assert b.lost == 1
    b.take(data[1], A)  # and once more
    assert b.lost == 1
    assert b.received_datagrams == 4


def test_numbers_far_ahead_take_no_memory() -> None:
    b = Recorder("b")
    for sequence in (0, 2**60, 2**60 + 10, 2**61):
        b.take(msgpack.packb([1, "a", 1, sequence, [bytes(60)], {}]), A)
    assert b.lost == 2**61 - 3
    assert len(b._arrivals["a"].missing) == MISSING_KEPT


@pytest.mark.parametrize(
    "text",
    ["127.0.0.1:99999", "127.0.0.1:0", "127.0.0.1:", "127.0.0.1", "localhost:5", "10.0.0.1:5", ":5", "127.0.0.1:²"],
)
def test_addresses_that_are_not_of_a_loopback_port_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"loopback|port|Address cannot be empty|Expected 4 octets"):
        parse_udp_address(text)


def test_addresses_of_loopback_ports_are_read() -> None:
    assert parse_udp_address("127.0.0.9:65535") == ("127.0.0.9", 65_535)


def test_replaced_sender_begins_anew_without_loss() -> None:
    b = Recorder("b")
    for epoch in (1, 2):
        a = Recorder("a", epoch)
        for _ in range(3):
            a.send(frame(PEERS[1].mac))
            a.flush()
        for data, _ in a.transmitted:
            b.take(data, A)
    assert (b.lost, b.received_datagrams) == (0, 6)


def test_what_is_none_of_ours_is_counted_by_reason_and_delivered_to_nobody() -> None:
    b = Recorder("b")
    stranger, a = Recorder("x"), Recorder("a")
    for sender in (stranger, a):
        sender.send(frame(PEERS[1].mac))
        sender.flush()
    good = a.transmitted[0][0]
    b.take(stranger.transmitted[0][0], A)
    b.take(good, C)
    b.take(good[:-1], A)
    b.take(b"", A)
    b.take(msgpack.packb([9, "a", 1, 0, [], {}]), A)
    b.take(msgpack.packb([1, "a", 1, 0, [b"short"], {}]), A)
    assert b.delivered == []
    assert b.refused[UNKNOWN_SENDER] == 1
    assert b.refused[WRONG_SOURCE] == 1
    assert b.refused.total() == 6


@given(st.binary(max_size=200))
def test_any_bytes_are_a_datagram_or_counted(data: bytes) -> None:
    b = Recorder("b")
    b.take(data, A)
    assert b.received_datagrams + b.refused.total() == 1


def test_frame_that_fits_no_datagram_is_counted() -> None:
    a = Recorder("a")
    a.send(frame(PEERS[1].mac, MAX_DATAGRAM))
    a.flush()
    assert a.transmitted == []
    assert a.refused[FRAME_TOO_LARGE] == 1


def test_peer_that_moves_is_reached_at_its_new_address() -> None:
    a = Recorder("a")
    a.set_peers([Peer("b", ("127.0.0.1", 9), PEERS[1].mac)])
    a.send(frame(0xFFFFFFFFFFFF))
    a.flush()
    assert [address for _, address in a.transmitted] == [("127.0.0.1", 9)]
