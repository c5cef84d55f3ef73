"""Connection tracking against the real kernel: what each packet's ctstate is, and what is in the table after it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.kernel.netfilter import wire
from tests.kernel.netfilter.wire import ACK, FIN, PSH, RST, SYN
from tests.kernel_oracle.netfilter_bed import RouterBed

pytestmark = pytest.mark.kernel

CLIENT, SERVER = "10.0.1.2", "10.0.2.2"
STATES = """*filter
-A FORWARD -m conntrack --ctstate INVALID -j DROP
-A FORWARD -m conntrack --ctstate NEW -j ACCEPT
-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A FORWARD -m conntrack --ctstate RELATED -j ACCEPT
-A FORWARD -m conntrack --ctstate UNTRACKED -j ACCEPT
COMMIT
"""


@pytest.fixture(scope="module")
def router() -> Iterator[RouterBed]:
    with RouterBed() as testbed:
        yield testbed.build(STATES)


@pytest.fixture
def bed(router: RouterBed) -> Iterator[RouterBed]:
    yield router
    router.reset()


def to_server(flags: int, seq: int, ack: int = 0, data: bytes = b"", **fields: object) -> tuple[str, bytes]:
    return "a", wire.tcp(CLIENT, 4000, SERVER, 80, flags, seq, ack, data, **fields)  # type: ignore[arg-type]


def to_client(flags: int, seq: int, ack: int = 0, data: bytes = b"", **fields: object) -> tuple[str, bytes]:
    return "b", wire.tcp(SERVER, 80, CLIENT, 4000, flags, seq, ack, data, **fields)  # type: ignore[arg-type]


def play(bed: RouterBed, *packets: tuple[str, bytes]) -> None:
    """Send packets one by one; after each, outputs, entries, rule counters and timeouts must agree."""
    for packet in packets:
        bed.send(packet)
        bed.compare_counters("filter")
        bed.compare_timeouts()


HANDSHAKE = (to_server(SYN, 1000), to_client(SYN | ACK, 5000, 1001), to_server(ACK, 1001, 5001))


def test_point_1_only_data_above_the_window_and_acks_of_unseen_data_are_invalid(bed: RouterBed) -> None:
    play(bed, *HANDSHAKE, to_server(ACK | PSH, 1001, 5001, b"x" * 100), to_client(ACK, 5001, 1101))
    play(bed, to_server(ACK | PSH, 1001, 5001, b"x" * 100))  # below: seen before
    play(bed, to_server(ACK, 1101, 4000))  # a very old ACK
    play(bed, to_server(ACK | PSH, 2090, 5001, b"x" * 50))  # a small overshoot
    play(bed, to_server(ACK | PSH, 200_000, 5001, b"x"))  # far above
    play(bed, to_client(ACK, 5001, 90_000))  # an ACK of what was never sent


def test_point_2_resets(bed: RouterBed) -> None:
    play(bed, *HANDSHAKE, to_client(ACK | PSH, 5001, 1001, b"y" * 10), to_server(ACK, 1001, 5011))
    play(bed, to_client(RST, 5001))  # below the highest ACK
    play(bed, to_client(RST, 5015))  # inexact
    play(bed, to_client(RST, 5011))  # exact
    play(bed, to_client(RST, 5011))


def test_point_2_a_reset_to_an_unanswered_syn_deletes_the_entry(bed: RouterBed) -> None:
    play(bed, to_server(SYN, 1000), to_client(RST | ACK, 0, 1001))
    assert bed.emulated_entries() == []


def test_point_3_a_syn_on_a_closed_connection_is_new(bed: RouterBed) -> None:
    play(
        bed, *HANDSHAKE, to_server(FIN | ACK, 1001, 5001), to_client(FIN | ACK, 5001, 1002), to_server(ACK, 1002, 5002)
    )
    play(bed, to_server(SYN, 9000), to_client(SYN | ACK, 7000, 9001), to_server(ACK, 9001, 7001))
    play(bed, to_client(RST, 7001), to_server(SYN, 20000))


def test_point_3_a_syn_on_a_live_connection_passes(bed: RouterBed) -> None:
    play(bed, *HANDSHAKE, to_server(SYN, 90_000), to_client(ACK, 5001, 1001), to_server(RST, 1001))


def test_a_syn_ack_to_an_ignored_syn_resynchronises(bed: RouterBed) -> None:
    play(
        bed, *HANDSHAKE, to_server(SYN, 90_000), to_client(SYN | ACK, 700_000, 90_001), to_server(ACK, 90_001, 700_001)
    )


@pytest.mark.parametrize("loose", [1, 0])
def test_point_4_a_connection_picked_up_in_the_middle(bed: RouterBed, loose: int) -> None:
    bed.change_sysctl("net.netfilter.nf_conntrack_tcp_loose", loose)
    play(bed, to_server(ACK, 1000, 5000), to_client(ACK | PSH, 5000, 1000, b"data"), to_server(ACK, 1000, 5004))


@pytest.mark.parametrize(
    "flags", [FIN, FIN | ACK, RST, RST | ACK, SYN | ACK, 0, SYN | FIN, 63, PSH, ACK | 32, SYN | 32]
)
def test_point_4_odd_first_segments(bed: RouterBed, flags: int) -> None:
    play(bed, to_server(flags, 1000, 5000))


def test_a_reset_answers_a_syn_of_the_other_side_only(bed: RouterBed) -> None:
    half_open = (to_server(SYN, 1000), to_client(SYN | ACK, 5000, 1001), to_server(SYN, 1000))
    crossed = (to_server(SYN, 1000), to_client(SYN, 4001))
    ignored = (*HANDSHAKE, to_server(SYN, 50_000))
    answers = {half_open: 1001, crossed: 0, ignored: 50_001}  # what the last SYN is taken to want acknowledged
    for opening, ack in answers.items():
        for reset in (to_server(RST, 900_000, ack), to_client(RST, 900_000, ack)):
            play(bed, *opening, reset)
            bed.reset()


def test_point_5_a_repeated_syn_does_not_refresh_and_repeated_udp_does(bed: RouterBed) -> None:
    out = ("a", wire.udp(CLIENT, 4000, SERVER, 53))
    play(bed, to_server(SYN, 1000), out)
    bed.advance(2.1)
    play(bed, to_server(SYN, 1000), out)
    assert bed.emulated_timeouts() == [30, 117]


def test_point_6_udp_is_new_until_a_reply_and_a_stream_after_two_seconds(bed: RouterBed) -> None:
    out, back = ("a", wire.udp(CLIENT, 4000, SERVER, 53)), ("b", wire.udp(SERVER, 53, CLIENT, 4000))
    play(bed, out, out, back, out)
    assert bed.emulated_timeouts() == [30]
    bed.advance(3.1)
    play(bed, out)
    assert "[ASSURED]" in bed.emulated_entries()[0]
    play(bed, back)
    assert bed.emulated_timeouts() == [120]


def test_point_9_icmp(bed: RouterBed) -> None:
    play(bed, ("b", wire.echo(SERVER, CLIENT, 9, reply=True)))
    play(bed, ("a", wire.echo(CLIENT, SERVER, 9)), ("b", wire.echo(SERVER, CLIENT, 9, reply=True)))
    play(bed, ("a", wire.udp(CLIENT, 4000, SERVER, 53)))
    play(bed, ("b", wire.icmp_error(SERVER, CLIENT, wire.udp(CLIENT, 4000, SERVER, 53))))
    play(bed, ("b", wire.icmp_error(SERVER, CLIENT, wire.udp(CLIENT, 4001, SERVER, 53))))
    play(bed, ("b", wire.icmp_error(SERVER, "10.0.1.7", wire.udp(CLIENT, 4000, SERVER, 53))))
    for kind in (1, 4, 5, 9, 10, 12, 13, 14, 15, 17, 18, 19, 40):
        play(bed, ("a", wire.icmp_error(CLIENT, SERVER, wire.udp(SERVER, 53, CLIENT, 4000), kind, 0)))


def test_bad_checksums_and_lengths_are_invalid(bed: RouterBed) -> None:
    good = [wire.udp(CLIENT, 1, SERVER, 2), wire.tcp(CLIENT, 1, SERVER, 2, SYN), wire.echo(CLIENT, SERVER, 3)]
    for packet in good:
        play(bed, ("a", packet[:-1] + bytes((packet[-1] ^ 1,))))
    for size in (1, 4, 7, 8, 12, 19):
        play(bed, ("a", wire.ip(CLIENT, SERVER, 6, good[1][20 : 20 + size])))
        play(bed, ("a", wire.ip(CLIENT, SERVER, 17, good[0][20 : 20 + size])))
        play(bed, ("a", wire.ip(CLIENT, SERVER, 1, good[2][20 : 20 + size])))
    bed.change_sysctl("net.netfilter.nf_conntrack_checksum", 0)
    for packet in good:
        play(bed, ("a", packet[:-1] + bytes((packet[-1] ^ 1,))))


def test_half_close_and_simultaneous_open(bed: RouterBed) -> None:
    play(bed, to_server(SYN, 1000), to_client(SYN, 5000), to_server(SYN | ACK, 1000, 5001), to_client(ACK, 5001, 1001))
    play(bed, to_client(FIN | ACK, 5001, 1001), to_server(ACK, 1001, 5002), to_server(ACK | PSH, 1001, 5002, b"more"))
    play(bed, to_client(ACK, 5002, 1005), to_server(FIN | ACK, 1005, 5002), to_client(ACK, 5002, 1006))


def test_window_scaling_and_selective_acks(bed: RouterBed) -> None:
    options = bytes.fromhex("020405b4010303070402" + "0101")
    play(bed, to_server(SYN, 1000, options=options, window=65535))
    play(bed, to_client(SYN | ACK, 5000, 1001, options=options, window=65535))
    play(bed, to_server(ACK, 1001, 5001, window=1000))
    for start in (5001, 25_001, 60_001):
        play(bed, to_client(ACK | PSH, start, 1001, b"z" * 1000, window=500))
    sack = bytes.fromhex("0101050a") + (25_001).to_bytes(4, "big") + (26_001).to_bytes(4, "big")
    play(bed, to_server(ACK, 1001, 6001, options=sack, window=1000), to_server(ACK, 1001, 6001, window=0))
    play(bed, to_client(ACK | PSH, 400_000, 1001, b"z" * 1000))


def test_retransmissions_shorten_the_timeout(bed: RouterBed) -> None:
    play(bed, *HANDSHAKE)
    play(bed, *[to_server(ACK | PSH, 1001, 5001, b"again")] * 5)


def test_liberal_tracking(bed: RouterBed) -> None:
    bed.change_sysctl("net.netfilter.nf_conntrack_tcp_be_liberal", 1)
    play(bed, *HANDSHAKE, to_server(ACK | PSH, 200_000, 5001, b"x"), to_client(RST, 4000), to_client(RST, 5001))


SEGMENTS = st.tuples(
    st.booleans(),
    st.sampled_from([SYN, SYN | ACK, ACK, ACK, ACK, ACK | PSH, FIN | ACK, RST, RST | ACK, ACK | FIN | PSH]),
    st.sampled_from([-70_000, -1000, -1, 0, 0, 0, 0, 1, 10, 500, 1500, 70_000]),
    st.sampled_from([-70_000, -100, -1, 0, 0, 0, 0, 1, 100, 70_000]),
    st.sampled_from([0, 0, 0, 1, 100, 900]),
    st.sampled_from([0, 100, 1000, 1000, 65_535]),
)


CASES = int(os.environ.get("PODWIRE_ORACLE_CASES", "4"))


@settings(max_examples=CASES, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(st.lists(SEGMENTS, min_size=4, max_size=14), st.booleans())
def test_drawn_conversations(
    router: RouterBed, segments: list[tuple[bool, int, int, int, int, int]], handshake: bool
) -> None:
    """Segments near what the sender should send next, in any order and with any flags."""
    following = [1001, 5001]
    packets = list(HANDSHAKE) if handshake else [to_server(SYN, 1000)]
    for from_client, flags, seq_offset, ack_offset, length, window in segments:
        me = 0 if from_client else 1
        sequence, ack = following[me] + seq_offset & 0xFFFFFFFF, following[1 - me] + ack_offset & 0xFFFFFFFF
        data = b"d" * length if flags & PSH or flags == ACK else b""
        make = to_server if from_client else to_client
        packets.append(make(flags, sequence, ack if flags & ACK else 0, data, window=window))
        if seq_offset == 0:
            following[me] += len(data) + bool(flags & SYN) + bool(flags & FIN)
    router.reset()
    play(router, *packets)
