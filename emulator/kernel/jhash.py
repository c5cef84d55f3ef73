"""How Linux spreads connections over a range of NAT addresses: Bob Jenkins' lookup3 (include/linux/jhash.h).

The kernel hashes addresses as they lie in memory, so on the little-endian machines that everybody has they are swapped.
"""

_U32 = 0xFFFFFFFF
_GOLDEN = 0xDEADBEEF


def _rotate(value: int, bits: int) -> int:
    return (value << bits | value >> (32 - bits)) & _U32


def _swap(value: int) -> int:
    return int.from_bytes(value.to_bytes(4, "big"), "little")


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    a = (a - c & _U32) ^ _rotate(c, 4)
    c = c + b & _U32
    b = (b - a & _U32) ^ _rotate(a, 6)
    a = a + c & _U32
    c = (c - b & _U32) ^ _rotate(b, 8)
    b = b + a & _U32
    a = (a - c & _U32) ^ _rotate(c, 16)
    c = c + b & _U32
    b = (b - a & _U32) ^ _rotate(a, 19)
    a = a + c & _U32
    c = (c - b & _U32) ^ _rotate(b, 4)
    b = b + a & _U32
    return a, b, c


def _final(a: int, b: int, c: int) -> int:
    # Rotations are written out: sets hash each element, and this is what that costs.
    c = (c ^ b) - (b << 14 & _U32 | b >> 18) & _U32
    a = (a ^ c) - (c << 11 & _U32 | c >> 21) & _U32
    b = (b ^ a) - (a << 25 & _U32 | a >> 7) & _U32
    c = (c ^ b) - (b << 16 & _U32 | b >> 16) & _U32
    a = (a ^ c) - (c << 4 & _U32 | c >> 28) & _U32
    b = (b ^ a) - (a << 14 & _U32 | a >> 18) & _U32
    return (c ^ b) - (b << 24 & _U32 | b >> 8) & _U32


def jhash2(words: tuple[int, ...], initial: int) -> int:
    """Return the hash of 32-bit words."""
    a = b = c = _GOLDEN + (len(words) << 2) + initial & _U32
    at, left = 0, len(words)
    while left > 3:
        a, b, c = _mix(a + words[at] & _U32, b + words[at + 1] & _U32, c + words[at + 2] & _U32)
        at += 3
        left -= 3
    if not left:
        return c
    a = a + words[at] & _U32
    if left > 1:
        b = b + words[at + 1] & _U32
    if left > 2:
        c = c + words[at + 2] & _U32
    return _final(a, b, c)


def choose_in_range(saddr: int, daddr: int, low: int, high: int, zone: int, persistent: bool) -> int:
    """Return the address of a range for a pair of addresses; the same for one source if `persistent`.

    A range whose end comes before its start is what counting on from the start, over the highest address, makes of it.
    """
    initial = 0 if persistent else _swap(daddr) ^ zone
    chosen = jhash2((_swap(saddr), 0, 0, 0), initial)  # an address has room for IPv6's
    return low + (chosen * (high - low + 1 & _U32) >> 32) & _U32


def jhash(data: bytes, initial: int) -> int:
    """Return the hash of bytes."""
    a = b = c = _GOLDEN + len(data) + initial & _U32
    at = 0
    while len(data) - at > 12:
        first, second, third = (int.from_bytes(data[at + skip : at + skip + 4], "little") for skip in (0, 4, 8))
        a, b, c = _mix(a + first & _U32, b + second & _U32, c + third & _U32)
        at += 12
    if at == len(data):
        return c
    rest = data[at:].ljust(12, b"\0")
    first, second, third = (int.from_bytes(rest[skip : skip + 4], "little") for skip in (0, 4, 8))
    return _final(a + first & _U32, b + second & _U32, c + third & _U32)


def swap(word: int) -> int:
    """Return a word as the other byte order has it."""
    return _swap(word)
