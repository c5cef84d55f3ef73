"""DNS records as master files and dig write them (RFC 1035 section 5.1)."""

from __future__ import annotations

from emulator.packet.address import format_ipv4, format_ipv6
from emulator.packet.digits import is_natural
from emulator.packet.dns_record import CLASS_NAMES, TYPE_NAMES, A, Mx, Record, Soa, Srv


def record_type(name: str) -> int | None:
    """Return the number of a type's name ("A", "TYPE65"), or None if there is none."""
    upper = name.upper()
    if upper.startswith("TYPE") and is_natural(upper[4:]) and int(upper[4:]) <= 0xFFFF:
        return int(upper[4:])
    return next((number for number, known in TYPE_NAMES.items() if known == upper), None)


def record_class(name: str) -> int | None:
    """Return the number of a class's name ("IN", "CLASS7"), or None if there is none."""
    upper = name.upper()
    if upper.startswith("CLASS") and is_natural(upper[5:]) and int(upper[5:]) <= 0xFFFF:
        return int(upper[5:])
    return next((number for number, known in CLASS_NAMES.items() if known == upper and upper != "ANY"), None)


def data_text(record: Record) -> str:
    """Write a record's data."""
    match record.data:
        case int(address):
            return format_ipv4(address) if record.type == A else format_ipv6(address)
        case str(name):
            return name
        case Srv(priority, weight, port, target):
            return f"{priority} {weight} {port} {target}"
        case Mx(preference, exchange):
            return f"{preference} {exchange}"
        case Soa() as soa:
            times = f"{soa.serial} {soa.refresh} {soa.retry} {soa.expire} {soa.minimum}"
            return f"{soa.mname} {soa.rname} {times}"
        case tuple(strings):
            return " ".join('"' + _escape(string) + '"' for string in strings)
        case raw:
            return f"\\# {len(raw)} {raw.hex().upper()}".rstrip()  # RFC 3597


def _escape(string: bytes) -> str:
    return "".join(
        f"\\{chr(byte)}" if byte in b'"\\' else chr(byte) if 32 <= byte < 127 else f"\\{byte:03d}" for byte in string
    )
