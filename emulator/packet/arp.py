"""ARP for IPv4 over Ethernet (RFC 826): how a neighbour's MAC is asked for and told."""

import struct
from typing import Self

from msgspec import Struct

from emulator.errors import WireError
from emulator.packet.address import Buffer, format_ipv4, format_mac

LENGTH = 28


REQUEST = 1
REPLY = 2

# hardware type, protocol type, their address lengths, operation,
# sender MAC (16 high bits, 32 low), sender address, target MAC (likewise), target address
ARP = struct.Struct("!HHBBHHIIHII")

_ETHERNET = 1
_IPV4 = 0x0800


class ArpPacket(Struct, frozen=True):
    """A request, a reply, or another operation of ARP; addresses are ints."""

    operation: int
    sender_mac: int
    sender_address: int
    target_mac: int
    target_address: int

    @classmethod
    def parse(cls, buffer: Buffer, offset: int = 0) -> Self:
        """Read a packet. WireError if it is short, or not IPv4 over Ethernet. Bytes behind it are padding."""
        if len(buffer) - offset < LENGTH:
            raise WireError(f"ARP: {len(buffer) - offset} bytes are fewer than {LENGTH}")
        fields = ARP.unpack_from(buffer, offset)
        hardware, protocol, hardware_length, protocol_length, operation = fields[:5]
        if hardware != _ETHERNET or hardware_length != 6:
            raise WireError(f"ARP: hardware type {hardware} with addresses of {hardware_length} bytes is not Ethernet")
        if protocol != _IPV4 or protocol_length != 4:
            raise WireError(f"ARP: protocol {protocol:#06x} with addresses of {protocol_length} bytes is not IPv4")
        sender_high, sender_low, sender_address, target_high, target_low, target_address = fields[5:]
        return cls(
            operation, sender_high << 32 | sender_low, sender_address, target_high << 32 | target_low, target_address
        )

    def build(self) -> bytes:
        """Write the 28 bytes."""
        return ARP.pack(
            _ETHERNET,
            _IPV4,
            6,
            4,
            self.operation,
            self.sender_mac >> 32,
            self.sender_mac & 0xFFFFFFFF,
            self.sender_address,
            self.target_mac >> 32,
            self.target_mac & 0xFFFFFFFF,
            self.target_address,
        )

    def __str__(self) -> str:
        """Print as tcpdump does, without the length at the end."""
        sender, target = format_ipv4(self.sender_address), format_ipv4(self.target_address)
        if self.operation == REQUEST:
            known = f" ({format_mac(self.target_mac)})" if self.target_mac else ""
            return f"Request who-has {target}{known} tell {sender}"
        if self.operation == REPLY:
            return f"Reply {sender} is-at {format_mac(self.sender_mac)}"
        return f"operation {self.operation} from {sender} to {target}"
