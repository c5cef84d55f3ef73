"""The types of nftables' values: how constants are read, printed, put in JSON, ordered and laid out in a listing.

Values are ints; names of interfaces are strings. Names of numbers are those of nft 1.0.6 (datatype.c, proto.c, ct.c).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

from emulator.errors import WireError
from emulator.kernel.netfilter.nft.error import ValueProblem
from emulator.kernel.netfilter.nft.symbols import (
    BOOLEANS,
    CT_DIRECTIONS,
    CT_STATES,
    CT_STATUSES,
    DSCP,
    ETHER_TYPES,
    FIB_TYPES,
    ICMP_CODES,
    ICMP_TYPES,
    ICMPV6_TYPES,
    INET_PROTOCOLS,
    INET_SERVICES,
    L3_PROTOCOLS,
    PACKET_TYPES,
    TCP_FLAGS,
)
from emulator.kernel.netfilter.nft.time import format_time, parse_time
from emulator.packet.address import format_ipv4, format_ipv6, format_mac, ipv4_to_int, ipv6_to_int, mac_to_int

Scalar = int | str


class LinkIndex(int):
    """An ifindex together with the name that the link had when the rule was read."""

    name: str

    def __new__(cls, index: int, name: str) -> Self:
        made = super().__new__(cls, index)
        made.name = name
        return made


class Order(enum.Enum):
    """How the kernel keeps a value: in the byte order of the wire or of the machine (taken to be little-endian)."""

    NETWORK = "big"
    HOST = "little"


@dataclass(frozen=True, slots=True, eq=False)
class Datatype:
    """A type. `bits` is its size; `per_line` how many elements a listing has in one line (0: one)."""

    name: str
    description: str
    bits: int
    order: Order = Order.NETWORK
    symbols: Mapping[str, int] = field(default_factory=dict)
    bitmask: bool = False
    prefixes: bool = False  # whether ranges that are prefixes are printed so
    per_line: int = 0
    problem: str = ""  # what nft says of a name that it does not know
    write: Callable[[int], str] = str
    read: Callable[[str], int] | None = None
    text: bool = False  # a value is a string
    as_number: bool = False  # JSON has the number and not what is printed
    names: Mapping[int, str] = field(default_factory=dict)

    @property
    def limit(self) -> int:
        """The greatest value."""
        return (1 << self.bits) - 1

    def parse(self, word: str) -> Scalar:
        """Read one constant. ValueProblem with nft's words."""
        if self.text:
            if len(word) > 16 or (len(word) == 16 and not word.endswith("*")):
                raise ValueProblem("String exceeds maximum length of 16")
            return word
        value = self.symbols.get(word) if self.symbols else None
        if value is None:
            value = self._number(word)
        if value >> self.bits:
            raise ValueProblem(self._out_of_range(value))
        return value

    def _number(self, word: str) -> int:
        if self.read is not None:
            return self.read(word)
        try:
            return int(word, 16) if word[:2] in ("0x", "0X") else int(word)
        except ValueError:
            raise ValueProblem(self.problem or f"Could not parse {self.description}") from None

    def _out_of_range(self, value: int) -> str:
        if self.name == "inet_service":
            return "Service out of range"
        return f"Value {value} exceeds valid range 0-{self.limit}"

    def format(self, value: Scalar) -> str:
        """Print one value, a mask of flags joined with commas."""
        if isinstance(value, str):
            return f'"{value}"'
        if self.bitmask:
            return ",".join(self.flags(value)) or f"{value:#x}"
        if isinstance(value, LinkIndex):
            return f'"{value.name}"'
        return self.names.get(value) or self.write(value)

    def flags(self, value: int) -> list[str]:
        """Return the names of the bits of a mask, lowest first; empty if one has no name."""
        names = [name for bit, name in sorted(self.names.items()) if value & bit]
        return names if value == sum(self.symbols[name] for name in names) else []

    def json(self, value: Scalar) -> object:
        """Return one value as libnftables' JSON has it."""
        if isinstance(value, str):
            return value
        if isinstance(value, LinkIndex):
            return value.name
        if self.bitmask:
            names = self.flags(value)
            return value if not names else names[0] if len(names) == 1 else names
        if self is TIME:
            return value // 1000
        if self is IFINDEX:
            return str(int(value))
        if self.as_number or (not self.names and self.read is None):
            return value
        if value in self.names:
            return BOOLEANS.get(self.names[value], self.names[value]) if self is BOOLEAN else self.names[value]
        return value if self.read is None else self.format(value)

    def encode(self, value: Scalar) -> bytes:
        """Return the bytes that the kernel keeps; listings are ordered by these."""
        if isinstance(value, str):
            return value.encode().ljust(16, b"\0")
        return value.to_bytes((self.bits + 7) // 8, self.order.value)

    def sort_key(self, value: Scalar) -> int:
        """Return what nft sorts elements by: the number, of a string that of its bytes."""
        return int.from_bytes(value.encode(), "little") if isinstance(value, str) else value


def _by_number(symbols: Mapping[str, int]) -> dict[int, str]:
    names: dict[int, str] = {}
    for name, value in symbols.items():
        names.setdefault(value, name)
    return names


def _named(name: str, description: str, bits: int, symbols: Mapping[str, int], **options: object) -> Datatype:
    return Datatype(name, description, bits, symbols=symbols, names=_by_number(symbols), **options)  # type: ignore[arg-type]


def _address(read: Callable[[str], int], family: str) -> Callable[[str], int]:
    def parse(word: str) -> int:
        try:
            return int(word) if word.isdigit() else read(word)
        except WireError:
            other = ":" in word if family == "ip" else "." in word
            why = "Address family for hostname not supported" if other else "Name or service not known"
            raise ValueProblem(f"Could not resolve hostname: {why}") from None

    return parse


def _mac(word: str) -> int:
    try:
        return mac_to_int(word)
    except WireError:
        raise ValueProblem("Could not parse Ethernet address") from None


def _mark(value: int) -> str:
    return f"0x{value:08x}"


INTEGER = Datatype("integer", "integer", 32, per_line=5, as_number=True)
IPV4 = Datatype("ipv4_addr", "IPv4 address", 32, prefixes=True, per_line=2, write=format_ipv4,
                read=_address(ipv4_to_int, "ip"))  # fmt: skip
IPV6 = Datatype("ipv6_addr", "IPv6 address", 128, prefixes=True, write=format_ipv6,
                read=_address(ipv6_to_int, "ip6"))  # fmt: skip
ETHER = Datatype("ether_addr", "Ethernet address", 48, write=format_mac, read=_mac)
PROTOCOL = _named("inet_proto", "Internet protocol", 8, INET_PROTOCOLS, per_line=5,
                  problem="Could not resolve protocol name")  # fmt: skip
SERVICE = Datatype("inet_service", "internet network service", 16, symbols=INET_SERVICES, per_line=5, as_number=True,
                   problem="Could not resolve service: Servname not supported for ai_socktype")  # fmt: skip
MARK = Datatype("mark", "packet mark", 32, Order.HOST, prefixes=True, per_line=5, write=_mark, as_number=True)
IFNAME = Datatype("ifname", "network interface name", 128, Order.HOST, text=True)
IFINDEX = Datatype("iface_index", "network interface index", 32, Order.HOST, per_line=5,
                   problem="Interface does not exist")  # fmt: skip
CT_STATE = _named("ct_state", "conntrack state", 32, CT_STATES, order=Order.HOST, bitmask=True, per_line=2)
CT_STATUS = _named("ct_status", "conntrack status", 32, CT_STATUSES, order=Order.HOST, bitmask=True, per_line=2)
CT_DIRECTION = _named("ct_dir", "conntrack direction", 8, CT_DIRECTIONS, order=Order.HOST, per_line=5)
TCP_FLAG = _named("tcp_flag", "TCP flag", 8, TCP_FLAGS, bitmask=True, per_line=5)
ICMP_TYPE = _named("icmp_type", "ICMP type", 8, ICMP_TYPES, problem="Could not parse ICMP type")
ICMPV6_TYPE = _named("icmpv6_type", "ICMPv6 type", 8, ICMPV6_TYPES, problem="Could not parse ICMPv6 type")
ICMP_CODE = _named("icmp_code", "icmp code", 8, ICMP_CODES)
FIB_TYPE = _named("fib_addrtype", "network address type", 32, FIB_TYPES, order=Order.HOST)
PACKET_TYPE = _named("pkt_type", "packet type", 8, PACKET_TYPES, order=Order.HOST, per_line=2)
NF_PROTO = _named("nf_proto", "netfilter protocol", 8, L3_PROTOCOLS, order=Order.HOST, per_line=5)
ETHER_TYPE = _named("ether_type", "Ethernet protocol", 16, ETHER_TYPES)
DIFFSERV = _named("dscp", "Differentiated Services Code Point", 6, DSCP, write=lambda value: f"0x{value:02x}")
TIME = Datatype("time", "relative time", 32, Order.HOST, write=format_time, read=parse_time)  # milliseconds
BOOLEAN = _named("boolean", "boolean type", 1, BOOLEANS, order=Order.HOST)
UID = Datatype("uid", "user ID", 32, Order.HOST, symbols={"root": 0}, per_line=5, as_number=True)
GID = Datatype("gid", "group ID", 32, Order.HOST, symbols={"root": 0}, per_line=5, as_number=True)
CT_ID = Datatype("ct_id", "conntrack ID", 32, Order.HOST, as_number=True)


def integer(bits: int, order: Order = Order.NETWORK) -> Datatype:
    """Return a type of plain numbers of a size."""
    return Datatype("integer", "integer", bits, order, per_line=5, as_number=True)


# What a set may be declared with.
BY_NAME: Mapping[str, Datatype] = {
    each.name: each
    for each in (
        IPV4, IPV6, ETHER, PROTOCOL, SERVICE, MARK, IFNAME, IFINDEX, CT_STATE, CT_STATUS, CT_DIRECTION, TCP_FLAG,
        ICMP_TYPE, ICMP_CODE, FIB_TYPE, PACKET_TYPE, NF_PROTO, ETHER_TYPE, DIFFSERV, TIME, UID, GID,
    )
}  # fmt: skip
