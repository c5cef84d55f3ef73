"""No segment, however odd, makes TCP raise: every playbook run asserts that the kernel counted no fault."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.kernel.tcp.connection import TcpSocket
from emulator.packet.checksum import transport_checksum
from emulator.packet.ipv4 import Ipv4Header
from emulator.packet.tcp import TCP

from .playbook import OWN, OWN_PORT, PEER, PEER_ISN, PEER_PORT, Playbook

SEGMENTS = st.tuples(
    st.integers(-3, 2000) | st.integers(0, 2**32 - 1),  # sequence number behind the peer's SYN
    st.integers(-3, 2000) | st.integers(0, 2**32 - 1),  # acknowledgement behind ours
    st.integers(0, 0x1FF),  # flags
    st.integers(0, 65_535),
    st.binary(max_size=40),
    st.binary(max_size=60),
)


def build(book: Playbook, parts: tuple[int, int, int, int, bytes, bytes]) -> bytes:
    sequence, acknowledgement, flags, window, options, payload = parts
    options += bytes(-len(options) % 4)
    header = TCP.pack(
        PEER_PORT,
        OWN_PORT,
        PEER_ISN + sequence & 0xFFFFFFFF,
        (book.own_isn or 0) + acknowledgement & 0xFFFFFFFF,
        (20 + len(options)) << 10 | flags,
        window,
        0,
        0,
    )
    segment = bytearray(header + options + payload)
    segment[16:18] = transport_checksum(segment, PEER, OWN, 6).to_bytes(2, "big")
    return Ipv4Header(PEER, OWN, 6).build(bytes(segment))


@given(st.lists(SEGMENTS, max_size=12), st.booleans(), st.sampled_from(["listen", "open", "closing", "sending"]))
@settings(max_examples=150, deadline=None)
def test_odd_segments_in_every_state(
    segments: list[tuple[int, int, int, int, bytes, bytes]], options: bool, state: str
) -> None:
    book = Playbook(timestamps=options, sack=options)
    socket: TcpSocket | None = None
    if state == "listen":
        book.netns.sockets.listen(("0.0.0.0", OWN_PORT))
    else:
        socket = book.accepted()
    if socket is not None and state != "open":
        socket.send(bytes(3000))
    if socket is not None and state == "closing":
        socket.shutdown()
    for parts in segments:
        book.sent()
        book.give_packet(build(book, parts))
        book.run(0.3)
    book.run(2000)
    for row in book.netns.sockets.listing():
        assert row.receive_queue >= 0
        assert row.send_queue >= 0


@given(st.binary(max_size=80))
@settings(max_examples=100, deadline=None)
def test_any_bytes(data: bytes) -> None:
    book = Playbook()
    book.accepted()
    book.give_packet(Ipv4Header(PEER, OWN, 6).build(data))
    book.give_packet(Ipv4Header(PEER, OWN, 17).build(data))
    assert sum(book.netns.drops.values()) >= 2 or book.sent()
