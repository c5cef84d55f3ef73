"""SipHash-2-4, a keyed hash of 64-bit words (Aumasson and Bernstein, 2012), as Linux has it in lib/siphash.c."""

from __future__ import annotations

from collections.abc import Sequence

_MASK = 0xFFFFFFFFFFFFFFFF
State = tuple[int, int, int, int]


def siphash(words: Sequence[int], key: tuple[int, int]) -> int:
    """Hash little-endian 64-bit words, and nothing besides, under a key of two such words."""
    first, second = key
    state = (
        first ^ 0x736F6D6570736575,
        second ^ 0x646F72616E646F6D,
        first ^ 0x6C7967656E657261,
        second ^ 0x7465646279746573,
    )
    for word in (*words, len(words) * 8 << 56 & _MASK):
        v0, v1, v2, v3 = _rounds((*state[:3], state[3] ^ word), 2)
        state = (v0 ^ word, v1, v2, v3)
    v0, v1, v2, v3 = _rounds((state[0], state[1], state[2] ^ 0xFF, state[3]), 4)
    return v0 ^ v1 ^ v2 ^ v3


def hsiphash_u32(value: int, key: tuple[int, int]) -> int:
    """Hash one 32-bit number to another: SipHash-1-3, cut, as Linux's `hsiphash_1u32` on 64-bit machines."""
    first, second = key
    block = 4 << 56 | value
    state = (
        first ^ 0x736F6D6570736575,
        second ^ 0x646F72616E646F6D,
        first ^ 0x6C7967656E657261,
        second ^ 0x7465646279746573 ^ block,
    )
    v0, v1, v2, v3 = _rounds(state, 1)
    v0, v1, v2, v3 = _rounds((v0 ^ block, v1, v2 ^ 0xFF, v3), 3)
    return (v0 ^ v1 ^ v2 ^ v3) & 0xFFFFFFFF


def _rounds(state: State, count: int) -> State:
    v0, v1, v2, v3 = state
    for _ in range(count):
        v0 = v0 + v1 & _MASK
        v1 = (v1 << 13 | v1 >> 51) & _MASK ^ v0
        v0 = (v0 << 32 | v0 >> 32) & _MASK
        v2 = v2 + v3 & _MASK
        v3 = (v3 << 16 | v3 >> 48) & _MASK ^ v2
        v0 = v0 + v3 & _MASK
        v3 = (v3 << 21 | v3 >> 43) & _MASK ^ v0
        v2 = v2 + v1 & _MASK
        v1 = (v1 << 17 | v1 >> 47) & _MASK ^ v2
        v2 = (v2 << 32 | v2 >> 32) & _MASK
    return v0, v1, v2, v3
