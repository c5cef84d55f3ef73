"""Sequence numbers. Inside they are plain ints that never wrap, so that `<` means before; the wire has 32 bits."""

MASK = 0xFFFFFFFF
_HALF = 0x80000000


def unwrap(wire: int, near: int) -> int:
    """Return the number within 2**31 of `near` whose low 32 bits are `wire` (RFC 9293 section 3.4)."""
    return near - _HALF + ((wire - near + _HALF) & MASK)


def is_older(one: int, other: int) -> bool:
    """Whether one 32-bit value, such as a timestamp, is before another modulo 2**32 (RFC 7323 section 5.2)."""
    return (one - other) & MASK > _HALF
