"""IPv4 and MAC addresses as integers, and their text forms.

Inside the stack an IPv4 address is an int of 32 bits and a MAC an int of 48; text exists at the edges only.
"""

import re

from emulator.errors import WireError

Buffer = bytes | bytearray | memoryview

AF_INET = 2
AF_INET6 = 10

BROADCAST_IPV4 = 0xFFFFFFFF
LOOPBACK_IPV4 = 0x7F000001

ZERO_MAC = 0
BROADCAST_MAC = 0xFFFFFFFFFFFF

_IPV4_MULTICAST_MAC = 0x01005E000000  # RFC 1112 section 6.4
_GROUP_BIT = 1 << 40
_IPV4_TEXT = re.compile(r"(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})", re.ASCII)
_OCTETS = {str(octet): octet for octet in range(256)}
_MAC_TEXT = re.compile(r"[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}", re.ASCII)
_PREFIX_TEXT = re.compile(r"0|[1-9][0-9]?", re.ASCII)

MASKS = tuple((0xFFFFFFFF << (32 - length)) & 0xFFFFFFFF for length in range(33))


def ipv4_to_int(text: str) -> int:
    """Read dotted-quad text, as inet_pton(3) does: four decimal parts, no leading zeros. WireError otherwise."""
    try:
        a, b, c, d = map(_OCTETS.__getitem__, text.split("."))
    except (KeyError, ValueError):
        raise _not_ipv4(text) from None
    return a << 24 | b << 16 | c << 8 | d


def _not_ipv4(text: str) -> WireError:
    match = _IPV4_TEXT.fullmatch(text)
    if match is None:
        return WireError(f"not an IPv4 address: {text!r}; write four numbers from 0 to 255, such as 10.0.0.1")
    return WireError(f"not an IPv4 address: {text!r}; {max(map(int, match.groups()))} is greater than 255")


def format_ipv4(address: int) -> str:
    """Write an address as dotted-quad text."""
    return f"{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"


def format_ipv6(address: int) -> str:
    """Write an IPv6 address (an int of 128 bits) in its short form (RFC 5952)."""
    from ipaddress import IPv6Address  # seldom needed, and slow to import

    return str(IPv6Address(address))


def mac_to_int(text: str) -> int:
    """Read six pairs of hex digits with colons. WireError otherwise."""
    if _MAC_TEXT.fullmatch(text) is None:
        raise WireError(f"not a MAC address: {text!r}; write six pairs of hex digits, such as 02:00:00:00:00:01")
    return int(text.replace(":", ""), 16)


def format_mac(address: int) -> str:
    """Write a MAC as Linux does: lower case, with colons."""
    return address.to_bytes(6, "big").hex(":")


def prefix_mask(length: int) -> int:
    """Return the netmask of a prefix length. WireError beyond 0 to 32."""
    if not 0 <= length <= 32:
        raise WireError(f"not an IPv4 prefix length: {length}; it is between 0 and 32")
    return MASKS[length]


def ipv6_to_int(text: str) -> int:
    """Read an IPv6 address without a zone. WireError otherwise."""
    from ipaddress import AddressValueError, IPv6Address

    try:
        address = IPv6Address(text)
    except AddressValueError as error:
        raise WireError(f"not an IPv6 address: {text!r}; {error}") from None
    if address.scope_id is not None:
        raise WireError(f"not an IPv6 address: {text!r}; a zone has no place here")
    return int(address)


def parse_interface(text: str) -> tuple[int, int]:
    """Read "10.0.0.1/8" -> (address, prefix length). Host bits may be set; no slash means /32."""
    address, slash, suffix = text.partition("/")
    value = ipv4_to_int(address)
    if not slash:
        return value, 32
    if _PREFIX_TEXT.fullmatch(suffix) is None or int(suffix) > 32:
        raise WireError(f"not an IPv4 prefix: {text!r}; the length after the slash is between 0 and 32")
    return value, int(suffix)


def parse_network(text: str) -> tuple[int, int]:
    """Read "10.0.0.0/8" -> (address, prefix length). WireError if host bits are set; no slash means /32."""
    address, length = parse_interface(text)
    network = address & MASKS[length]
    if network != address:
        raise WireError(f"{text!r} has host bits set; write {format_network(network, length)}")
    return address, length


def format_network(address: int, length: int) -> str:
    """Write (address, prefix length) with a slash."""
    return f"{format_ipv4(address)}/{length}"


def in_network(address: int, network: int, length: int) -> bool:
    """Whether an address lies in a network."""
    return not (address ^ network) & MASKS[length]


def network_broadcast(address: int, length: int) -> int:
    """Return the directed broadcast address of the network that `address` is in."""
    return address | (MASKS[length] ^ BROADCAST_IPV4)


def is_loopback(address: int) -> bool:
    """Whether an address is in 127.0.0.0/8."""
    return address >> 24 == 127


def is_multicast(address: int) -> bool:
    """Whether an address is in 224.0.0.0/4."""
    return address >> 28 == 14


def is_broadcast(address: int) -> bool:
    """Whether an address is the limited broadcast, 255.255.255.255."""
    return address == BROADCAST_IPV4


def is_link_local(address: int) -> bool:
    """Whether an address is in 169.254.0.0/16 (RFC 3927)."""
    return address >> 16 == 0xA9FE


def is_zeronet(address: int) -> bool:
    """Whether an address is 0.0.0.0. The rest of 0.0.0.0/8 are addresses as any other since Linux 5.3."""
    return address == 0


def multicast_mac(address: int) -> int:
    """Return the MAC that an IPv4 group is sent to: its low 23 bits (RFC 1112 section 6.4)."""
    return _IPV4_MULTICAST_MAC | (address & 0x7FFFFF)


def is_valid_station_mac(address: int) -> bool:
    """Whether a station may have this MAC: not zero, not a group (is_valid_ether_addr of Linux's etherdevice.h)."""
    return address != ZERO_MAC and not address & _GROUP_BIT


def mac_from_bytes(buffer: Buffer, offset: int = 0) -> int:
    """Read a MAC from its six bytes."""
    return int.from_bytes(buffer[offset : offset + 6], "big")


def mac_to_bytes(address: int) -> bytes:
    """Write a MAC as its six bytes."""
    return address.to_bytes(6, "big")
