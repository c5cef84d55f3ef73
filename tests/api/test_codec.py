import contextlib
import random

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.api import codec
from emulator.api.codec import CodecError, Datagram, DatagramEncoder, Fault, FrameReader

FRAME = bytes(range(64))

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=20) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)
messages = st.dictionaries(st.text(max_size=8), values, max_size=5)


@given(st.lists(messages, max_size=5), st.data())
def test_frames_survive_any_cut_of_the_stream(sent, data):
    stream = b"".join(codec.encode_frame(message) for message in sent)
    reader = FrameReader()
    received = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        received += reader.feed(stream[:size])
        stream = stream[size:]
    assert received == sent
    assert reader.pending == 0


@given(messages, st.integers(0, 2**40))
def test_an_event_encoded_before_gives_the_same_frame(event, identity):
    frame = codec.encode_event_frame(identity, codec.encode_value(event))
    assert frame == codec.encode_frame({"id": identity, "event": event})


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_codec_error(body):
    with contextlib.suppress(CodecError):
        assert isinstance(codec.decode_message(body), dict)


def nested(levels, *, array=False):
    return b"\x81\xa1a" + (b"\x91" if array else b"\x81\xa1a") * levels + b"\xc0"


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", Fault.EMPTY),
        (b"\x81\xa1a", Fault.TRUNCATED),
        (b"\x80\x80", Fault.TRAILING),
        (b"\xc1", Fault.FORMAT),
        (b"\x90", Fault.TYPE),
        (b"\xc0", Fault.TYPE),
        (b"\x81\xa1a\xa2\xff\xfe", Fault.ENCODING),
        (b"\x81\xa2\xff\xfe\xc0", Fault.ENCODING),
        (nested(1_100), Fault.NESTING),
        (nested(1_100, array=True), Fault.NESTING),
        (nested(codec.MAX_NESTING), Fault.NESTING),
        (b"\x81\x01\xc0", Fault.LIMIT),  # a number as key
        (b"\x81\x90\xc0", Fault.LIMIT),  # an array as key
        (b"\x81\xa1a\xd4\x05\x00", Fault.LIMIT),  # extension type
        (b"\x81\xa1a\xd6\xff\x00\x00\x00\x00", Fault.LIMIT),  # its timestamp
        (b"\x81\xa1a\xc7\x00\x05", Fault.LIMIT),  # an empty one
        (b"\x81\xa1a\xdd\xff\xff\xff\xff", Fault.LIMIT),  # four thousand million entries, says the header
        (b"\x81\xa1a\xdf\xff\xff\xff\xff", Fault.LIMIT),
        (b"\x81\xa1a\xdb\xff\xff\xff\xff", Fault.TRUNCATED),
        (b"\x81\xa1a\xc6\xff\xff\xff\xff", Fault.TRUNCATED),
    ],
)
def test_bad_message(body, fault):
    with pytest.raises(CodecError) as caught:
        codec.decode_message(body)
    assert caught.value.fault is fault


def test_nesting_up_to_the_limit_is_a_message():
    assert codec.decode_message(nested(codec.MAX_NESTING - 1))


def test_a_bomb_of_empty_maps_is_refused_before_decoding():
    arrays = [[{}] * 200_000 for _ in range(6)]
    with pytest.raises(CodecError) as caught:
        codec.decode_message(msgpack.packb({"a": arrays}))
    assert caught.value.fault is Fault.LIMIT


def test_an_announced_length_over_the_limit_is_refused_at_once():
    with pytest.raises(CodecError) as caught:
        FrameReader().feed((codec.MAX_FRAME + 1).to_bytes(4, "big"))
    assert caught.value.fault is Fault.OVERSIZE
    with pytest.raises(CodecError):
        codec.decode_message(bytes(codec.MAX_FRAME + 1))


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        ({"a": bytes(codec.MAX_FRAME)}, Fault.OVERSIZE),
        ({"a": object()}, Fault.TYPE),
        ({"a": 2**64}, Fault.TYPE),
        ({"a": "\ud800"}, Fault.TYPE),
    ],
)
def test_what_cannot_be_encoded(message, fault):
    with pytest.raises(CodecError) as caught:
        codec.encode_frame(message)
    assert caught.value.fault is fault


@given(
    st.lists(st.binary(min_size=14, max_size=100), max_size=40),
    st.integers(0, 2**63),
    st.integers(0, 2**63),
    st.data(),
)
def test_datagram_round_trip(frames, epoch, sequence, data):
    traced = data.draw(st.sets(st.integers(0, len(frames) - 1))) if frames else set()
    traces = {index: [index * 7, index] for index in traced}
    whole = data.draw(st.sets(st.integers(0, len(frames) - 1))) if frames else set()
    segments = {index: 1 + index * 1000 for index in whole}
    encoded = DatagramEncoder("node-a", epoch).encode(sequence, frames, traces, segments)
    assert codec.decode_datagram(encoded) == Datagram("node-a", epoch, sequence, frames, traces, segments)


def test_gathering_within_the_room_never_exceeds_a_datagram():
    encoder = DatagramEncoder("n" * codec.MAX_NAME, 2**64 - 1)
    generator = random.Random(1)
    for _ in range(50):
        room = codec.datagram_room("n" * codec.MAX_NAME)
        frames = []
        traces = {}
        while True:
            frame = bytes(generator.randrange(14, 2_000))
            room -= len(frame) + codec.FRAME_OVERHEAD + codec.TRACE_OVERHEAD
            if room < 0:
                break
            traces[len(frames)] = [2**63, 2**31, 1]
            frames.append(frame)
        assert len(encoder.encode(2**64 - 1, frames, traces)) <= codec.MAX_DATAGRAM


def test_a_datagram_that_is_too_large_is_not_sent():
    with pytest.raises(CodecError):
        DatagramEncoder("node-a", 1).encode(1, [bytes(60_000)], {})


@given(st.binary(max_size=300))
def test_any_bytes_are_a_datagram_or_a_fault(data):
    assert isinstance(codec.decode_datagram(data), Datagram | Fault)


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_damaged_datagram_never_raises(position, byte):
    data = bytearray(DatagramEncoder("node-a", 7).encode(3, [FRAME, FRAME], {1: [2, 3]}))
    data[position % len(data)] = byte
    assert isinstance(codec.decode_datagram(bytes(data)), Datagram | Fault)
    assert isinstance(codec.decode_datagram(bytes(data[: position % len(data)])), Datagram | Fault)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", Fault.EMPTY),
        (bytes(60_001), Fault.OVERSIZE),
        (b"\x96\x01", Fault.TRUNCATED),
        (b"\xc1", Fault.FORMAT),
        (msgpack.packb([1, "a", 1, 1, [], {}]) + b"\x00", Fault.TRAILING),
        (b"\x91" * 1_100, Fault.NESTING),
        (b"\x91" * 59_000, Fault.NESTING),
        (b"\x96\x01\xa1\xff", Fault.ENCODING),
        (b"\x80", Fault.TYPE),
        (b"\x90", Fault.TYPE),
        (msgpack.packb([True, "a", 1, 1, [], {}]), Fault.TYPE),
        (msgpack.packb([2, "a", 1, 1, [], {}]), Fault.VERSION),
        (msgpack.packb([2, "another layout"]), Fault.VERSION),
        (msgpack.packb([1, "a", 1, 1, []]), Fault.TYPE),
        (msgpack.packb([1, b"a", 1, 1, [], {}]), Fault.TYPE),
        (msgpack.packb([1, "a", -1, 1, [], {}]), Fault.TYPE),
        (msgpack.packb([1, "a", 1, 1.0, [], {}]), Fault.TYPE),
        (msgpack.packb([1, "a", 1, 1, {}, {}]), Fault.TYPE),
        (msgpack.packb([1, "a", 1, 1, ["frame as text"], {}]), Fault.TYPE),
        (msgpack.packb([1, "a", 1, 1, [FRAME, None], {}]), Fault.TYPE),
        (msgpack.packb([1, "a", 1, 1, [FRAME, b"short"], {}]), Fault.FRAME_SIZE),
        (msgpack.packb([1, "a", 1, 1, [FRAME], {1: [1, 1]}]), Fault.TYPE),
        (msgpack.packb([1, "a", 1, 1, [FRAME], {0: [1]}]), Fault.TYPE),
        (msgpack.packb([1, "a", 1, 1, [FRAME], {"0": [1, 1]}]), Fault.TYPE),
        (msgpack.packb([1, "a", 1, 1, [FRAME], {}, {1: 1448}]), Fault.TYPE),
        (msgpack.packb([1, "a", 1, 1, [FRAME], {}, {0: 0}]), Fault.TYPE),
        (msgpack.packb([1, "a", 1, 1, [FRAME], {}, [1448]]), Fault.TYPE),
        (msgpack.packb([1, "a", 1, 1, [FRAME], {}, {}, {}]), Fault.TYPE),
        (msgpack.packb([1, "n" * 64, 1, 1, [], {}]), Fault.LIMIT),
        (b"\x96\x01\xa1a\x01\x01\xdd\xff\xff\xff\xff", Fault.LIMIT),
        (b"\x96\x01\xa1a\x01\x01\x90\x81\x90\x00", Fault.TYPE),  # an array as key
        (b"\x96\x01\xa1a\x01\x01\x90\xd6\xff\x00\x00\x00\x00", Fault.LIMIT),  # msgpack's timestamp
    ],
)
def test_bad_datagram(data, fault):
    assert codec.decode_datagram(data) is fault
