"""The classic BPF: what its checker refuses, and what its machine computes."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.packet.bpf import BpfError, Instruction, Metadata, run, verify

RET_A, RET_K = Instruction(0x16, 0, 0, 0), Instruction(0x06, 0, 0, 7)
PACKET = bytes.fromhex("4500002800004000400600000a0000010a000002") + bytes.fromhex("1f9000500000000100000002")
PACKET += b"ABCDEFGH"
FRAME = bytes(14) + PACKET
METADATA = Metadata(0x0800, 0, 3, 1, 0x4000, True, 32, random.Random(1))


def program(*instructions: tuple[int, int, int, int]) -> tuple[Instruction, ...]:
    return tuple(Instruction(*each) for each in instructions)


def result(*instructions: tuple[int, int, int, int]) -> int:
    made = program(*instructions)
    verify(made)
    return run(made, memoryview(FRAME), 14, METADATA)


@pytest.mark.parametrize(
    ("load", "value"),
    [
        ((0x20, 0, 0, 12), 0x0A000001),  # ld [12]
        ((0x28, 0, 0, 2), 0x28),  # ldh [2]
        ((0x30, 0, 0, 9), 6),  # ldb [9]
        ((0x00, 0, 0, 9), 9),  # ld #9
        ((0x80, 0, 0, 0), len(PACKET)),  # ld len
        ((0x20, 0, 0, 0xFFFFF000 + 20), 0x4000),  # ld mark
        ((0x20, 0, 0, 0xFFFFF000 + 8), 3),  # ld ifidx
        ((0x20, 0, 0, 0xFFFFF000 + 52), 32),  # ld poff
        ((0x30, 0, 0, 0xFFF00000 + 9), 6),  # ldb [SKF_NET_OFF + 9]
        ((0x28, 0, 0, 0xFFE00000 + 12), 0),  # ldh [SKF_LL_OFF + 12]
        ((0x20, 0, 0, len(PACKET) - 3), 0),  # behind the end: the program ends with 0
        ((0x20, 0, 0, 0x7FFFFFFF), 0),
        ((0x20, 0, 0, 0x80000000), 0),
    ],
)
def test_loads(load: tuple[int, int, int, int], value: int) -> None:
    assert result(load, RET_A) == value


def test_the_index() -> None:
    assert result((0xB1, 0, 0, 0), (0x48, 0, 0, 2), RET_A) == 80  # ldxb 4*([0]&0xf); ldh [x + 2]
    assert result((0x81, 0, 0, 0), (0x87, 0, 0, 0), RET_A) == len(PACKET)  # ldx len; txa
    assert result((0x01, 0, 0, 0xFFFFFFFF), (0x50, 0, 0, 10), RET_A) == 6  # ldx #-1; ldb [x + 10]


@pytest.mark.parametrize(
    ("code", "constant", "value"),
    [
        (0x04, 0xFFFFFFFF, 99), (0x14, 101, 0xFFFFFFFF), (0x24, 0x80000000, 0), (0x34, 7, 14), (0x44, 3, 103),
        (0x54, 0x0F, 4), (0x64, 31, 0), (0x74, 2, 25), (0x84, 0, 0xFFFFFF9C), (0x94, 7, 2), (0xA4, 1, 101),
    ],
)  # fmt: skip
def test_arithmetic(code: int, constant: int, value: int) -> None:
    assert result((0x00, 0, 0, 100), (code, 0, 0, constant), RET_A) == value
    if code != 0x84:
        assert result((0x00, 0, 0, 100), (0x01, 0, 0, constant), (code | 8, 0, 0, 0), RET_A) == value


def test_division_by_an_index_of_zero_ends_with_zero() -> None:
    assert result((0x00, 0, 0, 100), (0x3C, 0, 0, 0), RET_K) == 0


@pytest.mark.parametrize(
    ("jump", "taken"),
    [(0x15, False), (0x25, True), (0x35, True), (0x45, True), (0x1D, False), (0x2D, True), (0x3D, True), (0x4D, False)],
)
def test_jumps(jump: int, taken: bool) -> None:
    found = result((0x00, 0, 0, 100), (jump, 1, 0, 36), (0x06, 0, 0, 1), (0x06, 0, 0, 2))
    assert found == (2 if taken else 1)


def test_memory() -> None:
    assert result((0x00, 0, 0, 5), (0x02, 0, 0, 15), (0x61, 0, 0, 15), (0x03, 0, 0, 0), (0x60, 0, 0, 0), RET_A) == 5


@pytest.mark.parametrize(
    ("instructions", "why"),
    [
        ((), "empty"),
        (((0x00, 0, 0, 1),), "does not end"),
        (((0x34, 0, 0, 0), RET_A), "division"),
        (((0x64, 0, 0, 32), RET_A), "shift"),
        (((0x60, 0, 0, 16), RET_A), "slot 16"),
        (((0x60, 0, 0, 3), RET_A), "not written"),
        (((0x15, 1, 0, 1), (0x02, 0, 0, 3), (0x60, 0, 0, 3), RET_A), "not written"),
        (((0x05, 0, 0, 1), RET_A), "jump"),
        (((0x15, 1, 0, 1), RET_A), "jump"),
        (((0x20, 0, 0, 0xFFFFF000 + 64), RET_A), "ancillary"),
        (((0xFF, 0, 0, 0), RET_A), "unknown code"),
    ],
)
def test_what_the_checker_refuses(instructions: tuple[tuple[int, int, int, int], ...], why: str) -> None:
    with pytest.raises(BpfError, match=why):
        verify(program(*instructions))


@given(
    st.lists(
        st.tuples(st.integers(0, 255), st.integers(0, 3), st.integers(0, 3), st.integers(0, 0xFFFFFFFF)), max_size=8
    ),
    st.binary(max_size=60),
)
def test_what_the_checker_takes_runs_to_its_end(drawn: list[tuple[int, int, int, int]], data: bytes) -> None:
    made = program(*drawn, RET_A)
    try:
        verify(made)
    except BpfError:
        return
    assert 0 <= run(made, memoryview(bytes(14) + data), 14, METADATA) <= 0xFFFFFFFF
