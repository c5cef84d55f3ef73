"""ICMP for IPv4 (RFC 792, RFC 1191, RFC 1812): queries, and the errors that quote the packet they are about."""

import struct
from typing import Self

from msgspec import Struct

from emulator.errors import WireError
from emulator.packet.address import Buffer, format_ipv4
from emulator.packet.checksum import checksum, is_valid
from emulator.packet.ipv4 import PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, Ipv4Header

HEADER_LENGTH = 8

TYPE = 0  # offsets
CODE = 1
CHECKSUM = 2
SEQUENCE = 6
GATEWAY = 4
QUOTED = 8

ECHO_REPLY = 0
DESTINATION_UNREACHABLE = 3
SOURCE_QUENCH = 4
REDIRECT = 5
ECHO_REQUEST = 8
TIME_EXCEEDED = 11
PARAMETER_PROBLEM = 12
TIMESTAMP_REQUEST = 13
TIMESTAMP_REPLY = 14
INFORMATION_REQUEST = 15
INFORMATION_REPLY = 16
ADDRESS_MASK_REQUEST = 17
ADDRESS_MASK_REPLY = 18

# Codes of destination unreachable
NET_UNREACHABLE = 0
HOST_UNREACHABLE = 1
PROTOCOL_UNREACHABLE = 2
PORT_UNREACHABLE = 3
FRAGMENTATION_NEEDED = 4
SOURCE_ROUTE_FAILED = 5
NET_UNKNOWN = 6
HOST_UNKNOWN = 7
HOST_ISOLATED = 8
NET_PROHIBITED = 9
HOST_PROHIBITED = 10
NET_UNREACHABLE_FOR_TOS = 11
HOST_UNREACHABLE_FOR_TOS = 12
COMMUNICATION_PROHIBITED = 13
HOST_PRECEDENCE_VIOLATION = 14
PRECEDENCE_CUTOFF = 15

# Codes of time exceeded
TTL_EXCEEDED = 0
REASSEMBLY_TIME_EXCEEDED = 1

# Codes of redirect
REDIRECT_NET = 0
REDIRECT_HOST = 1
REDIRECT_NET_FOR_TOS = 2
REDIRECT_HOST_FOR_TOS = 3

ERRORS = frozenset({DESTINATION_UNREACHABLE, SOURCE_QUENCH, REDIRECT, TIME_EXCEEDED, PARAMETER_PROBLEM})
QUERIES = frozenset({ECHO_REPLY, ECHO_REQUEST, *range(TIMESTAMP_REQUEST, ADDRESS_MASK_REPLY + 1)})

ICMP = struct.Struct("!BBHI")  # type, code, checksum, rest of header


class IcmpHeader(Struct, frozen=True):
    """The first 8 bytes of a message; `rest` is the last 4 of them, whose meaning depends on the type.

    `checksum` is what `parse` found and `build` computes anew.
    """

    type: int
    code: int = 0
    rest: int = 0
    checksum: int = 0

    @property
    def identifier(self) -> int:
        """Identifier of a query."""
        return self.rest >> 16

    @property
    def sequence(self) -> int:
        """Sequence number of a query."""
        return self.rest & 0xFFFF

    @property
    def next_hop_mtu(self) -> int:
        """MTU that "fragmentation needed" tells, bytes; 0 from routers older than RFC 1191."""
        return self.rest & 0xFFFF

    @property
    def gateway(self) -> int:
        """Address of the better gateway in a redirect."""
        return self.rest

    @property
    def pointer(self) -> int:
        """Offset of the byte that a parameter problem is about."""
        return self.rest >> 24

    @property
    def is_error(self) -> bool:
        """Whether the message is about another packet, which it quotes."""
        return self.type in ERRORS

    @classmethod
    def echo(cls, identifier: int, sequence: int, *, reply: bool = False) -> Self:
        """Make the header of an echo request or reply."""
        return cls(ECHO_REPLY if reply else ECHO_REQUEST, 0, identifier << 16 | sequence)

    @classmethod
    def destination_unreachable(cls, code: int, next_hop_mtu: int = 0) -> Self:
        """Make the header of an unreachable error; the MTU goes with FRAGMENTATION_NEEDED only."""
        return cls(DESTINATION_UNREACHABLE, code, next_hop_mtu)

    @classmethod
    def time_exceeded(cls, code: int = TTL_EXCEEDED) -> Self:
        """Make the header of a time-exceeded error."""
        return cls(TIME_EXCEEDED, code)

    @classmethod
    def redirect(cls, gateway: int, code: int = REDIRECT_HOST) -> Self:
        """Make the header of a redirect to another gateway."""
        return cls(REDIRECT, code, gateway)

    @classmethod
    def parameter_problem(cls, pointer: int, code: int = 0) -> Self:
        """Make the header of a parameter problem at byte `pointer` of the IP header."""
        return cls(PARAMETER_PROBLEM, code, pointer << 24)

    @classmethod
    def parse(cls, buffer: Buffer, offset: int = 0, end: int | None = None) -> Self:
        """Read the header of the message in `buffer[offset:end]`. WireError if it is short or sums up wrong."""
        header = cls.parse_quoted(buffer, offset)
        if not is_valid(buffer[offset:end]):
            raise WireError("ICMP: the checksum is wrong")
        return header

    @classmethod
    def parse_quoted(cls, buffer: Buffer, offset: int = 0) -> Self:
        """Read a header whose message may be cut short, so that its checksum says nothing. WireError if it is short."""
        if len(buffer) - offset < HEADER_LENGTH:
            raise WireError(f"ICMP: {len(buffer) - offset} bytes are fewer than the header's {HEADER_LENGTH}")
        kind, code, found, rest = ICMP.unpack_from(buffer, offset)
        return cls(kind, code, rest, found)

    def build(self, payload: Buffer = b"") -> bytes:
        """Write the message with its checksum; an error's payload is what it quotes."""
        message = bytearray(ICMP.pack(self.type, self.code, 0, self.rest))
        message += payload
        message[CHECKSUM : CHECKSUM + 2] = checksum(message).to_bytes(2, "big")
        return bytes(message)


class QuotedPacket(Struct, frozen=True):
    """The packet that an ICMP error quotes: its IP header, and the first bytes of its transport.

    The ports are 0 for a later fragment or another protocol than TCP and UDP; `icmp` is set for ICMP only.
    """

    header: Ipv4Header
    source_port: int
    destination_port: int
    icmp: IcmpHeader | None
    transport: bytes

    @classmethod
    def parse(cls, buffer: Buffer, offset: int = 0) -> Self:
        """Read what is quoted at `offset`. WireError if the IP header, or 8 bytes behind it, are not whole."""
        header = Ipv4Header.parse_quoted(buffer, offset)
        transport = bytes(buffer[offset + header.header_length :])
        if len(transport) < HEADER_LENGTH:
            raise WireError(f"ICMP: {len(transport)} bytes of the quoted packet's payload are fewer than 8")
        source_port = destination_port = 0
        icmp = None
        if header.fragment_offset == 0:
            if header.protocol in (PROTOCOL_TCP, PROTOCOL_UDP):
                source_port = int.from_bytes(transport[:2], "big")
                destination_port = int.from_bytes(transport[2:4], "big")
            elif header.protocol == PROTOCOL_ICMP:
                icmp = IcmpHeader.parse_quoted(transport)
        return cls(header, source_port, destination_port, icmp, transport)


def has_valid_checksum(buffer: Buffer, offset: int, end: int) -> bool:
    """Whether the message in `buffer[offset:end]` sums up right."""
    return is_valid(buffer[offset:end])


def fill_checksum(buffer: bytearray, offset: int, end: int) -> None:
    """Compute the checksum of the message in `buffer[offset:end]` anew, in place: what it quotes was rewritten."""
    buffer[offset + 2 : offset + 4] = b"\0\0"
    buffer[offset + 2 : offset + 4] = checksum(buffer[offset:end]).to_bytes(2, "big")


_UNREACHABLE = {
    NET_UNREACHABLE: "net {daddr} unreachable",
    HOST_UNREACHABLE: "host {daddr} unreachable",
    SOURCE_ROUTE_FAILED: "{daddr} unreachable - source route failed",
    NET_UNKNOWN: "net {daddr} unreachable - unknown",
    HOST_UNKNOWN: "host {daddr} unreachable - unknown",
    HOST_ISOLATED: "{daddr} unreachable - source host isolated",
    NET_PROHIBITED: "net {daddr} unreachable - admin prohibited",
    HOST_PROHIBITED: "host {daddr} unreachable - admin prohibited",
    NET_UNREACHABLE_FOR_TOS: "net {daddr} unreachable - tos prohibited",
    HOST_UNREACHABLE_FOR_TOS: "host {daddr} unreachable - tos prohibited",
    COMMUNICATION_PROHIBITED: "host {daddr} unreachable - admin prohibited filter",
    HOST_PRECEDENCE_VIOLATION: "host {daddr} unreachable - host precedence violation",
    PRECEDENCE_CUTOFF: "host {daddr} unreachable - precedence cutoff",
}
_REDIRECT = {
    REDIRECT_NET: "redirect {daddr} to net",
    REDIRECT_HOST: "redirect {daddr} to host",
    REDIRECT_NET_FOR_TOS: "redirect-tos {daddr} to net",
    REDIRECT_HOST_FOR_TOS: "redirect-tos {daddr} to host",
}
_NAMES = {
    SOURCE_QUENCH: "source quench",
    INFORMATION_REQUEST: "information request",
    INFORMATION_REPLY: "information reply",
    ADDRESS_MASK_REQUEST: "address mask request",
    ADDRESS_MASK_REPLY: "address mask reply",
}


_ERRORS = {
    (DESTINATION_UNREACHABLE, NET_UNREACHABLE): "net unreachable",
    (DESTINATION_UNREACHABLE, HOST_UNREACHABLE): "host unreachable",
    (DESTINATION_UNREACHABLE, PROTOCOL_UNREACHABLE): "protocol unreachable",
    (DESTINATION_UNREACHABLE, PORT_UNREACHABLE): "port unreachable",
    (DESTINATION_UNREACHABLE, FRAGMENTATION_NEEDED): "fragmentation needed",
    (DESTINATION_UNREACHABLE, NET_PROHIBITED): "net prohibited",
    (DESTINATION_UNREACHABLE, HOST_PROHIBITED): "host prohibited",
    (DESTINATION_UNREACHABLE, COMMUNICATION_PROHIBITED): "administratively prohibited",
    (REDIRECT, REDIRECT_HOST): "redirect for the host",
    (TIME_EXCEEDED, TTL_EXCEEDED): "time exceeded in transit",
    (TIME_EXCEEDED, REASSEMBLY_TIME_EXCEEDED): "reassembly time exceeded",
    (PARAMETER_PROBLEM, 0): "parameter problem",
}


def error_name(kind: int, code: int) -> str:
    """Return what an ICMP error says, in words (RFC 792, RFC 1812): `host unreachable`."""
    return _ERRORS.get((kind, code), f"type {kind} code {code}")


def describe(header: IcmpHeader, payload: Buffer) -> str:
    """Print a message as tcpdump does behind the addresses, without its length."""
    if header.type in (ECHO_REQUEST, ECHO_REPLY):
        word = "request" if header.type == ECHO_REQUEST else "reply"
        return f"echo {word}, id {header.identifier}, seq {header.sequence}"
    if header.type == TIME_EXCEEDED:
        return {TTL_EXCEEDED: "time exceeded in-transit", REASSEMBLY_TIME_EXCEEDED: "ip reassembly time exceeded"}.get(
            header.code, f"time exceeded-#{header.code}"
        )
    if header.type in (TIMESTAMP_REQUEST, TIMESTAMP_REPLY):
        word = "query" if header.type == TIMESTAMP_REQUEST else "reply"
        return f"time stamp {word} id {header.identifier} seq {header.sequence}"
    if header.type == PARAMETER_PROBLEM:
        return f"parameter problem - {f'code {header.code}' if header.code else f'octet {header.pointer}'}"
    if header.type in (DESTINATION_UNREACHABLE, REDIRECT):
        return _describe_quoting(header, payload)
    return _NAMES.get(header.type, f"type-#{header.type}")


def _describe_quoting(header: IcmpHeader, payload: Buffer) -> str:
    try:
        quoted = QuotedPacket.parse(payload)
    except WireError:
        word = "redirect" if header.type == REDIRECT else "unreachable"
        return f"{word}, code {header.code}, quoting no whole header"
    daddr = format_ipv4(quoted.header.destination)
    if header.type == REDIRECT:
        gateway = format_ipv4(header.gateway)
        aim = _REDIRECT.get(header.code, f"redirect-#{header.code} {{daddr}} to")
        return f"{aim.format(daddr=daddr)} {gateway}"
    if header.code == PROTOCOL_UNREACHABLE:
        return f"{daddr} protocol {quoted.header.protocol} unreachable"
    if header.code == PORT_UNREACHABLE:
        name = {PROTOCOL_TCP: "tcp", PROTOCOL_UDP: "udp"}.get(
            quoted.header.protocol, f"protocol {quoted.header.protocol}"
        )
        return f"{daddr} {name} port {quoted.destination_port} unreachable"
    if header.code == FRAGMENTATION_NEEDED:
        mtu = f" (mtu {header.next_hop_mtu})" if header.next_hop_mtu else ""
        return f"{daddr} unreachable - need to frag{mtu}"
    text = _UNREACHABLE.get(header.code)
    return f"{daddr} unreachable - #{header.code}" if text is None else text.format(daddr=daddr)
