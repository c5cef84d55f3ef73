"""Address and port translation of a packet in place: what NAT does to the bytes (nf_nat_proto.c).

Checksums are updated incrementally (RFC 1624), so a wrong one stays wrong. Addresses and ports are ints; for ICMP
echo the "port" is the identifier. A transport header that an ICMP error quotes may be cut behind its first 8 bytes:
TCP's checksum is then not there, and is left out. SCTP's CRC covers no addresses and is computed anew, over as much as
is there, which is what Linux does. The buffer must end where the packet ends (no padding behind it).
"""

import struct

from emulator.packet import sctp
from emulator.packet.icmp import QUERIES

_PROTOCOL_ICMP = 1
_PROTOCOL_TCP = 6
_PROTOCOL_UDP = 17
_PROTOCOL_SCTP = 132
_PROTOCOL_UDPLITE = 136

_CHECKSUM_SOURCE = struct.Struct("!HI")  # the IPv4 header from its checksum on
_CHECKSUM_SOURCE_DESTINATION = struct.Struct("!HII")
_ADDRESS = struct.Struct("!I")
_PORT = struct.Struct("!H")


def rewrite_source(
    buffer: bytearray, network_offset: int, transport_offset: int, protocol: int, new_address: int, new_port: int
) -> None:
    """Patch the source address, and the source port or ICMP identifier, with their checksums."""
    position = network_offset + 10
    found, old_address = _CHECKSUM_SOURCE.unpack_from(buffer, position)
    change = old_address - new_address
    _CHECKSUM_SOURCE.pack_into(buffer, position, (found + change) % 0xFFFF, new_address)
    _rewrite_transport(buffer, transport_offset, transport_offset, protocol, change, new_port)


def rewrite_destination(
    buffer: bytearray, network_offset: int, transport_offset: int, protocol: int, new_address: int, new_port: int
) -> None:
    """Patch the destination address, and the destination port or ICMP identifier, with their checksums."""
    position = network_offset + 10
    found, source, old_address = _CHECKSUM_SOURCE_DESTINATION.unpack_from(buffer, position)
    change = old_address - new_address
    _CHECKSUM_SOURCE_DESTINATION.pack_into(buffer, position, (found + change) % 0xFFFF, source, new_address)
    _rewrite_transport(buffer, transport_offset, transport_offset + 2, protocol, change, new_port)


def _rewrite_transport(buffer: bytearray, transport: int, port: int, protocol: int, change: int, new_port: int) -> None:
    """Patch the port at `port` of a transport header; `change` is the old address minus the new, for its checksum."""
    if protocol == _PROTOCOL_TCP:
        change += (buffer[port] << 8 | buffer[port + 1]) - new_port
        _PORT.pack_into(buffer, port, new_port)
        if len(buffer) >= transport + 20:
            position = transport + 16
            found = buffer[position] << 8 | buffer[position + 1]
            _PORT.pack_into(buffer, position, (found + change) % 0xFFFF)
    elif protocol in (_PROTOCOL_UDP, _PROTOCOL_UDPLITE):
        change += (buffer[port] << 8 | buffer[port + 1]) - new_port
        _PORT.pack_into(buffer, port, new_port)
        position = transport + 6
        found = buffer[position] << 8 | buffer[position + 1]
        if found or protocol == _PROTOCOL_UDPLITE:
            _PORT.pack_into(buffer, position, (found + change) % 0xFFFF or 0xFFFF)
    elif protocol == _PROTOCOL_SCTP:
        _PORT.pack_into(buffer, port, new_port)
        if len(buffer) >= transport + sctp.HEADER_LENGTH:
            sctp.fill_checksum(buffer, transport)
    elif protocol == _PROTOCOL_ICMP:
        rewrite_icmp_identifier(buffer, transport, new_port)


def rewrite_icmp_identifier(buffer: bytearray, transport_offset: int, identifier: int) -> None:
    """Patch the identifier of an ICMP query and its checksum, which covers no addresses; leave errors alone."""
    if buffer[transport_offset] not in QUERIES:
        return
    position = transport_offset + 4
    old = buffer[position] << 8 | buffer[position + 1]
    _PORT.pack_into(buffer, position, identifier)
    position = transport_offset + 2
    found = buffer[position] << 8 | buffer[position + 1]
    _PORT.pack_into(buffer, position, (found + old - identifier) % 0xFFFF)
