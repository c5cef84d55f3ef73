"""The Internet checksum (RFC 1071) and its incremental update (RFC 1624), for IPv4, ICMP, UDP and TCP.

The ones' complement sum of 16-bit words is the whole buffer as one integer modulo 65535, since 2**16 is 1 modulo 65535;
one conversion and one division are faster in Python than any sum over words.
"""

from emulator.packet.address import Buffer

_from_bytes = int.from_bytes

# Division costs more a byte than shifts do, so long sums are folded in halves first. The widths are multiples of 16
# bits, so folding leaves the value modulo 65535 as it was.
_SHORT = 256
_CHUNK = 1408
_MASK_1, _MASK_2, _MASK_3, _MASK_4 = (1 << 5632) - 1, (1 << 2816) - 1, (1 << 1408) - 1, (1 << 704) - 1


def word_sum(buffer: Buffer, initial: int = 0) -> int:
    """Return a number that is equal, modulo 65535, to the sum of the buffer's 16-bit words and `initial`.

    It is 0 only if all words and `initial` are 0. A last odd byte is padded with zero.
    """
    # Little endian, because a last odd byte then needs no padding. Swapping the bytes of a sum is multiplying by 256.
    if len(buffer) <= _SHORT:
        return (_from_bytes(buffer, "little") << 8) + initial
    if len(buffer) <= _CHUNK + 64:
        total = _from_bytes(buffer, "little")
    else:
        total = 0
        with memoryview(buffer) as view:
            for start in range(0, len(view), _CHUNK):
                total += _from_bytes(view[start : start + _CHUNK], "little")
    total = (total >> 5632) + (total & _MASK_1)
    total = (total >> 2816) + (total & _MASK_2)
    total = (total >> 1408) + (total & _MASK_3)
    total = (total >> 704) + (total & _MASK_4)
    return (total << 8) + initial


def checksum(buffer: Buffer, initial: int = 0) -> int:
    """Return the checksum to store, for a buffer whose checksum field is zero.

    `initial` is a pseudo header's sum. The result is 0xFFFF only if everything is zero.
    """
    total = word_sum(buffer, initial)
    return -total % 0xFFFF if total else 0xFFFF


def is_valid(buffer: Buffer, initial: int = 0) -> bool:
    """Whether a buffer that has its checksum in it sums up right. All zeros does not, as in Linux's csum_fold."""
    total = word_sum(buffer, initial)
    return total % 0xFFFF == 0 and total != 0


def pseudo_header_sum(source: int, destination: int, protocol: int, length: int) -> int:
    """Return the sum of the IPv4 pseudo header (RFC 9293 section 3.1); `length` is the transport's, in bytes.

    Addresses enter whole: a 32-bit value is equal to the sum of its halves modulo 65535.
    """
    return source + destination + protocol + length


def transport_checksum(segment: Buffer, source: int, destination: int, protocol: int) -> int:
    """Return a TCP or UDP checksum for a segment whose checksum field is zero. UDP stores 0xFFFF for 0 (RFC 768)."""
    total = word_sum(segment, source + destination + protocol + len(segment))
    return -total % 0xFFFF if total else 0xFFFF


def update_checksum(old: int, old_value: int, new_value: int) -> int:
    """Return the checksum after a field changed (RFC 1624 equation 3), for 16-bit and 32-bit fields alike.

    The field is aligned to 16 bits. Changes add up: pass the sums of several old and new values at once. The result is
    never 0xFFFF, as with Linux's csum_replace2 and csum_replace4; for UDP use `update_udp_checksum`.
    """
    return (old + old_value - new_value) % 0xFFFF


def update_udp_checksum(old: int, old_value: int, new_value: int) -> int:
    """Return the UDP checksum after a field changed: zero ("none") stays zero, a result of zero becomes 0xFFFF."""
    if old == 0:
        return 0
    return (old + old_value - new_value) % 0xFFFF or 0xFFFF
