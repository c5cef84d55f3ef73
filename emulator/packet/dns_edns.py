"""EDNS (RFC 6891): what the OPT record of a DNS message says; its class is a size, its TTL are bits."""

import struct

from msgspec import Struct

from emulator.errors import WireError
from emulator.packet.dns import Message
from emulator.packet.dns_record import OPT, Record

NSID = 3
EXPIRE = 9
COOKIE = 10
KEEPALIVE = 11
PADDING = 12

_OPTION = struct.Struct("!HH")
_DNSSEC_OK = 0x8000


class Edns(Struct, frozen=True):
    """What a sender takes and wants; `options` are pairs of code and bytes, `extended_rcode` the upper eight bits."""

    udp_size: int
    extended_rcode: int = 0
    version: int = 0
    dnssec_ok: bool = False
    options: tuple[tuple[int, bytes], ...] = ()

    @classmethod
    def of(cls, message: Message) -> "Edns | None":
        """Read the OPT record of a message; None if it has none. WireError if there are two, or one is malformed."""
        records = [record for record in message.additionals if record.type == OPT]
        if not records:
            return None
        if len(records) > 1 or not isinstance(records[0].data, bytes):
            raise WireError("DNS: more than one OPT record")
        ttl, data = records[0].ttl, records[0].data
        return cls(records[0].rclass, ttl >> 24, ttl >> 16 & 0xFF, bool(ttl & _DNSSEC_OK), tuple(_options(data)))

    def record(self) -> Record:
        """Write the OPT record."""
        data = b"".join(_OPTION.pack(code, len(value)) + value for code, value in self.options)
        ttl = self.extended_rcode << 24 | self.version << 16 | self.dnssec_ok * _DNSSEC_OK
        return Record(".", OPT, ttl, data, self.udp_size)


def _options(data: bytes) -> list[tuple[int, bytes]]:
    options = []
    offset = 0
    while offset < len(data):
        start = offset + _OPTION.size
        if start > len(data):
            raise WireError("DNS: an OPT record is cut short")
        code, length = _OPTION.unpack_from(data, offset)
        offset = start + length
        if offset > len(data):
            raise WireError("DNS: an option runs beyond its OPT record")
        options.append((code, data[start:offset]))
    return options
