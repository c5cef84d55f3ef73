import random
import struct

import pytest
from dpkt.dpkt import in_cksum
from hypothesis import given
from hypothesis import strategies as st

from emulator.packet.checksum import (
    checksum,
    is_valid,
    pseudo_header_sum,
    transport_checksum,
    update_checksum,
    update_udp_checksum,
    word_sum,
)

WORDS = st.integers(0, 0xFFFF)
LONG_WORDS = st.integers(0, 0xFFFFFFFF)


def fold(total: int) -> int:
    """Add carries back as RFC 1071 does: 0 only for 0."""
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def test_the_example_of_rfc_1071() -> None:
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2


@given(st.binary(max_size=300))
def test_checksum_is_dpkts(data: bytes) -> None:
    assert checksum(data) == in_cksum(data)
    assert checksum(bytearray(data)) == checksum(memoryview(data)) == in_cksum(data)


@pytest.mark.parametrize("length", [255, 256, 257, 258, 1400, 1407, 1408, 1409, 1472, 1473, 2815, 9001, 65535])
def test_checksum_of_long_buffers(length: int) -> None:
    source = random.Random(length)
    for data in (source.randbytes(length), b"\xff" * length, bytes(length - 1) + b"\x01", b"\x80" + bytes(length - 1)):
        assert checksum(data) == in_cksum(data)


def test_all_zeros_sum_to_ffff_and_all_ones_to_zero() -> None:
    assert checksum(bytes(20)) == checksum(b"") == checksum(bytes(2000)) == 0xFFFF
    assert checksum(b"\xff\xff") == checksum(b"\xff" * 2000) == 0
    assert not is_valid(bytes(8))  # as Linux's csum_fold: 0 is not 0xFFFF


@given(st.binary(min_size=2, max_size=64), LONG_WORDS)
def test_a_stored_checksum_is_valid_and_a_flipped_bit_is_not(data: bytes, initial: int) -> None:
    padded = data + bytes(len(data) % 2)
    whole = bytearray(padded + checksum(padded, initial).to_bytes(2, "big"))
    assert is_valid(whole, initial) or not (any(padded) or initial)
    whole[0] ^= 1
    assert not is_valid(whole, initial)


@given(st.binary(max_size=600), LONG_WORDS)
def test_word_sum_is_the_sum_of_words(data: bytes, initial: int) -> None:
    padded = data + bytes(len(data) % 2)
    plain = sum(struct.unpack(f"!{len(padded) // 2}H", padded)) + initial
    assert fold(plain) == fold(word_sum(data, initial))


@given(LONG_WORDS, LONG_WORDS, st.binary(max_size=100))
def test_transport_checksum_covers_the_pseudo_header(source: int, destination: int, segment: bytes) -> None:
    pseudo = struct.pack("!IIBBH", source, destination, 0, 6, len(segment))
    assert transport_checksum(segment, source, destination, 6) == in_cksum(pseudo + segment)
    assert fold(pseudo_header_sum(source, destination, 6, len(segment))) == 0xFFFF - in_cksum(pseudo)


@given(WORDS, WORDS, st.binary(min_size=2, max_size=32).filter(any))
def test_update_of_a_short_field_equals_recomputation(old: int, new: int, rest: bytes) -> None:
    before, after = struct.pack("!H", old) + rest, struct.pack("!H", new) + rest
    assert update_checksum(checksum(before), old, new) == checksum(after)


@given(LONG_WORDS, LONG_WORDS, st.binary(min_size=2, max_size=32).filter(any))
def test_update_of_a_long_field_equals_recomputation(old: int, new: int, rest: bytes) -> None:
    before, after = struct.pack("!I", old) + rest, struct.pack("!I", new) + rest
    assert update_checksum(checksum(before), old, new) == checksum(after)


@given(st.integers(0, 0xFFFE), WORDS, WORDS)
def test_update_is_linuxs_csum_replace2(old_checksum: int, old: int, new: int) -> None:
    # ~csum16_add(csum16_sub(~check, old), new) of include/net/checksum.h
    total = fold(fold((old_checksum ^ 0xFFFF) + (old ^ 0xFFFF)) + new)
    assert update_checksum(old_checksum, old, new) == total ^ 0xFFFF


def test_the_corner_that_rfc_1624_corrects() -> None:
    assert update_checksum(0xDD2F, 0x5555, 0x3285) == 0x0000


def test_udp_without_checksum_stays_without_and_zero_is_sent_as_ones() -> None:
    assert update_udp_checksum(0, 1, 2) == 0
    assert update_udp_checksum(0xDD2F, 0x5555, 0x3285) == 0xFFFF
    assert update_udp_checksum(0xFFFF, 1, 2) == update_checksum(0xFFFF, 1, 2) == 0xFFFE
