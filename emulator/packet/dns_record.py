"""DNS questions and records (RFC 1035 section 3.2, RFC 2782 SRV, RFC 3596 AAAA), inside the messages of dns.py."""

import struct

from msgspec import Struct

from emulator.errors import WireError
from emulator.packet.address import Buffer, format_ipv4, format_ipv6
from emulator.packet.dns_name import NameWriter, parse_name

A = 1
NS = 2
CNAME = 5
SOA = 6
PTR = 12
MX = 15
TXT = 16
AAAA = 28
SRV = 33
OPT = 41
IXFR = 251
AXFR = 252
ANY = 255
TYPE_NAMES = {
    A: "A",
    NS: "NS",
    CNAME: "CNAME",
    SOA: "SOA",
    PTR: "PTR",
    MX: "MX",
    TXT: "TXT",
    AAAA: "AAAA",
    SRV: "SRV",
    OPT: "OPT",
    IXFR: "IXFR",
    AXFR: "AXFR",
    ANY: "ANY",
}

CLASS_IN = 1
CLASS_CH = 3
CLASS_HS = 4
CLASS_ANY = 255
CLASS_NAMES = {CLASS_IN: "IN", CLASS_CH: "CH", CLASS_HS: "HS", CLASS_ANY: "ANY"}

_QUESTION = struct.Struct("!HH")
_RECORD = struct.Struct("!HHIH")
_SRV = struct.Struct("!HHH")
_SOA = struct.Struct("!IIIII")
_MX = struct.Struct("!H")
_NAME_TYPES = frozenset({NS, CNAME, PTR})
_TYPED = frozenset({A, AAAA, NS, CNAME, PTR, SRV, SOA, TXT, MX})


class Question(Struct, frozen=True):
    """What is asked: a name, a type and a class."""

    name: str
    type: int = A
    rclass: int = CLASS_IN


class Srv(Struct, frozen=True):
    """Where a service is (RFC 2782)."""

    priority: int
    weight: int
    port: int
    target: str


class Mx(Struct, frozen=True):
    """Who takes mail for a name; the lowest preference first."""

    preference: int
    exchange: str


class Soa(Struct, frozen=True):
    """Start of authority; times are seconds, `minimum` is how long a negative answer may be kept (RFC 2308)."""

    mname: str
    rname: str
    serial: int
    refresh: int
    retry: int
    expire: int
    minimum: int


RecordData = int | str | bytes | tuple[bytes, ...] | Srv | Soa | Mx


class Record(Struct, frozen=True):
    """A resource record; `ttl` is seconds.

    `data` depends on the type: A and AAAA an int (32 and 128 bits); NS, CNAME and PTR a name; TXT a tuple of strings of
    up to 255 bytes; SRV an `Srv`; SOA a `Soa`; MX an `Mx`; every other type, OPT too, its raw bytes.
    """

    name: str
    type: int
    ttl: int
    data: RecordData
    rclass: int = CLASS_IN


def parse_question(buffer: Buffer, offset: int) -> tuple[Question, int]:
    """Read a question at `offset`; return it and the offset behind it. WireError if malformed."""
    name, offset = parse_name(buffer, offset)
    if len(buffer) - offset < _QUESTION.size:
        raise WireError("DNS: the message ends inside a question")
    return Question(name, *_QUESTION.unpack_from(buffer, offset)), offset + _QUESTION.size


def parse_record(buffer: Buffer, offset: int) -> tuple[Record, int]:
    """Read a record at `offset`; return it and the offset behind it. WireError if malformed."""
    name, offset = parse_name(buffer, offset)
    start = offset + _RECORD.size
    if len(buffer) < start:
        raise WireError("DNS: the message ends inside a record")
    kind, rclass, ttl, length = _RECORD.unpack_from(buffer, offset)
    end = start + length
    if len(buffer) < end:
        raise WireError(f"DNS: a record of {length} bytes of data runs beyond the message")
    return Record(name, kind, ttl, _parse_data(buffer, kind, start, end), rclass), end


def _parse_data(buffer: Buffer, kind: int, start: int, end: int) -> RecordData:
    if kind in {A, AAAA}:
        if end - start != (4 if kind == A else 16):
            raise WireError(f"DNS: an address record with {end - start} bytes of data")
        return int.from_bytes(buffer[start:end], "big")
    if kind == TXT:
        return _parse_strings(buffer, start, end)
    data: RecordData
    if kind in _NAME_TYPES:
        data, position = parse_name(buffer, start)
    elif kind == SRV:
        data, position = _parse_srv(buffer, start, end)
    elif kind == MX:
        data, position = _parse_mx(buffer, start, end)
    elif kind == SOA:
        data, position = _parse_soa(buffer, start, end)
    else:
        return bytes(buffer[start:end])
    if position != end:
        raise WireError(f"DNS: the data of a {TYPE_NAMES[kind]} record is not as long as it says")
    return data


def _parse_srv(buffer: Buffer, start: int, end: int) -> tuple[Srv, int]:
    if end - start < _SRV.size:
        raise WireError("DNS: an SRV record is cut short")
    priority, weight, port = _SRV.unpack_from(buffer, start)
    target, position = parse_name(buffer, start + _SRV.size)
    return Srv(priority, weight, port, target), position


def _parse_mx(buffer: Buffer, start: int, end: int) -> tuple[Mx, int]:
    if end - start < _MX.size:
        raise WireError("DNS: an MX record is cut short")
    exchange, position = parse_name(buffer, start + _MX.size)
    (preference,) = _MX.unpack_from(buffer, start)
    return Mx(preference, exchange), position


def _parse_soa(buffer: Buffer, start: int, end: int) -> tuple[Soa, int]:
    mname, position = parse_name(buffer, start)
    rname, position = parse_name(buffer, position)
    if end - position < _SOA.size:
        raise WireError("DNS: an SOA record is cut short")
    return Soa(mname, rname, *_SOA.unpack_from(buffer, position)), position + _SOA.size


def _parse_strings(buffer: Buffer, start: int, end: int) -> tuple[bytes, ...]:
    strings = []
    while start < end:
        after = start + 1 + buffer[start]
        if after > end:
            raise WireError("DNS: a string of a TXT record runs beyond it")
        strings.append(bytes(buffer[start + 1 : after]))
        start = after
    return tuple(strings)


def write_question(message: bytearray, names: NameWriter, question: Question) -> None:
    """Append a question to a message. WireError or struct.error if a value does not fit."""
    names.write(question.name)
    message += _QUESTION.pack(question.type, question.rclass)


def write_record(message: bytearray, names: NameWriter, record: Record) -> None:
    """Append a record to a message. WireError, struct.error or OverflowError if a value does not fit."""
    names.write(record.name)
    message += _RECORD.pack(record.type, record.rclass, record.ttl, 0)
    start = len(message)
    _write_data(message, names, record)
    message[start - 2 : start] = (len(message) - start).to_bytes(2, "big")


def _write_data(message: bytearray, names: NameWriter, record: Record) -> None:
    match record.data:
        case int(address) if record.type in {A, AAAA}:
            message += address.to_bytes(4 if record.type == A else 16, "big")
        case str(name) if record.type in _NAME_TYPES:
            names.write(name)
        case Srv(priority, weight, port, target) if record.type == SRV:
            message += _SRV.pack(priority, weight, port)
            names.write(target, compress=False)  # RFC 2782: the target is not compressed
        case Soa() as soa if record.type == SOA:
            names.write(soa.mname)
            names.write(soa.rname)
            message += _SOA.pack(soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum)
        case Mx(preference, exchange) if record.type == MX:
            message += _MX.pack(preference)
            names.write(exchange)
        case tuple(strings) if record.type == TXT:
            for string in strings:
                message += len(string).to_bytes(1, "big") + string
        case bytes(raw) if record.type not in _TYPED:
            message += raw
        case _:
            raise WireError(f"DNS: data of a {type_name(record.type)} record cannot be {record.data!r}")


def type_name(kind: int) -> str:
    """Return a type's name, or "TYPE99" as RFC 3597 writes unknown ones."""
    return TYPE_NAMES.get(kind, f"TYPE{kind}")


def class_name(rclass: int) -> str:
    """Return a class's name, or "CLASS99" as RFC 3597 writes unknown ones."""
    return CLASS_NAMES.get(rclass, f"CLASS{rclass}")


def reverse_name(address: int) -> str:
    """Return the name whose PTR record tells who has an IPv4 address."""
    return f"{'.'.join(reversed(format_ipv4(address).split('.')))}.in-addr.arpa."


def reverse_name6(address: int) -> str:
    """Return the name whose PTR record tells who has an IPv6 address (RFC 3596 section 2.5)."""
    return f"{'.'.join(reversed(f'{address:032x}'))}.ip6.arpa."


def reversed_address(name: str) -> tuple[int, int] | None:
    """Return family (4 or 6) and address of a name that `reverse_name` made, or None; letters' case does not count."""
    lower = name.lower()
    if lower.endswith(".in-addr.arpa."):
        parts = lower.removesuffix(".in-addr.arpa.").split(".")
        if len(parts) == 4 and all(part.isascii() and part.isdigit() and int(part) < 256 for part in parts):
            return 4, int.from_bytes(bytes(int(part) for part in reversed(parts)))
    elif lower.endswith(".ip6.arpa."):
        digits = lower.removesuffix(".ip6.arpa.").split(".")
        if len(digits) == 32 and all(len(digit) == 1 and digit in "0123456789abcdef" for digit in digits):
            return 6, int("".join(reversed(digits)), 16)
    return None


def describe_record(record: Record) -> str:
    """Print type and data as tcpdump does."""
    kind = type_name(record.type)
    match record.data:
        case int(address) if record.type == A:
            return f"{kind} {format_ipv4(address)}"
        case int(address):
            return f"{kind} {format_ipv6(address)}"
        case str(name):
            return f"{kind} {name}"
        case tuple(strings):
            return " ".join((kind, *(f'"{repr(string)[2:-1]}"' for string in strings)))
        case Srv(priority, weight, port, target):
            return f"{kind} {target}:{port} {priority} {weight}"
        case Mx(preference, exchange):
            return f"{kind} {exchange} {preference}"
        case _:
            return kind
