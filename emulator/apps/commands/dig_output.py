"""How dig and host print messages: header, sections, statistics.

Source: bind9 9.18, bin/dig/dig.c (printmessage), lib/dns/message.c (dns_message_pseudosectiontotext), masterdump.c.
"""

from __future__ import annotations

from collections.abc import Iterator

from emulator.apps.commands.dig_options import Display
from emulator.apps.dns.text import data_text
from emulator.packet import dns
from emulator.packet.address import format_ipv4
from emulator.packet.dns_edns import COOKIE, EXPIRE, KEEPALIVE, NSID, PADDING, Edns
from emulator.packet.dns_record import OPT, Question, Record, Soa, class_name, type_name

_OPCODES = ("QUERY", "IQUERY", "STATUS", "RESERVED3", "NOTIFY", "UPDATE")
_EXTENDED_RCODES = {16: "BADVERS", 23: "BADCOOKIE"}
_LOCAL = (
    ";; WARNING: .local is reserved for Multicast DNS\n"
    ";; You are currently testing what happens when an mDNS query is leaked to DNS\n"
)
_SUBNET = 8
_UNITS = ((604800, "w"), (86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
_WORDS = {"w": "week", "d": "day", "h": "hour", "m": "minute", "s": "second"}


def message_text(message: dns.Message, display: Display, sent: dns.Message | None = None) -> str:
    """Print a message: what came back to `sent`, or itself a query."""
    return "".join(_parts(message, display, sent))


def _parts(message: dns.Message, display: Display, sent: dns.Message | None) -> Iterator[str]:
    edns = Edns.of(message)
    if display.comments:
        if any(_is_local(question.name) for question in message.questions):
            yield _LOCAL
        yield header_text(message)
        if sent is not None and sent.recursion_desired and not message.recursion_available:
            yield ";; WARNING: recursion requested but not available\n"
        yield "\n"
        if edns is not None:
            yield from _pseudosection(edns, Edns.of(sent) if sent is not None else None)
    if display.question:
        yield ";; QUESTION SECTION:\n" if display.comments and message.questions else ""
        yield from (f"{question_text(question, display)}\n" for question in message.questions)
        yield "\n" if display.comments else ""
    others = tuple(record for record in message.additionals if record.type != OPT)
    for shown, title, records in (
        (display.answer, "ANSWER", message.answers),
        (display.authority, "AUTHORITY", message.authorities),
        (display.additional, "ADDITIONAL", others),
    ):
        if shown and records:
            yield f";; {title} SECTION:\n" if display.comments else ""
            yield from (f"{record_text(record, display)}\n" for record in records)
            yield "\n" if display.comments else ""


def _is_local(name: str) -> bool:
    return name.lower().rstrip(".").split(".")[-1] == "local"


def header_text(message: dns.Message) -> str:
    """Print the header: two lines."""
    flags = (
        ("qr", message.is_response),
        ("aa", message.authoritative),
        ("tc", message.truncated),
        ("rd", message.recursion_desired),
        ("ra", message.recursion_available),
        ("ad", message.authentic_data),
        ("cd", message.checking_disabled),
    )
    opcode = _OPCODES[message.opcode] if message.opcode < len(_OPCODES) else f"RESERVED{message.opcode}"
    edns = Edns.of(message)
    rcode = message.rcode | (edns.extended_rcode << 4 if edns is not None else 0)
    status = _EXTENDED_RCODES.get(rcode) or dns.rcode_name(rcode)
    counts = (
        f"QUERY: {len(message.questions)}, ANSWER: {len(message.answers)}, "
        f"AUTHORITY: {len(message.authorities)}, ADDITIONAL: {len(message.additionals)}"
    )
    return (
        f";; ->>HEADER<<- opcode: {opcode}, status: {status}, id: {message.identifier}\n"
        f";; flags:{''.join(f' {name}' for name, on in flags if on)}; {counts}\n"
    )


def _pseudosection(edns: Edns, sent: Edns | None) -> Iterator[str]:
    flags = " do" if edns.dnssec_ok else ""
    yield f";; OPT PSEUDOSECTION:\n; EDNS: version: {edns.version}, flags:{flags}; udp: {edns.udp_size}\n"
    for code, data in edns.options:
        yield _option_text(code, data, sent)


def _option_text(code: int, data: bytes, sent: Edns | None) -> str:
    if code == COOKIE:
        ours = next((value for known, value in sent.options if known == COOKIE), b"") if sent else b""
        note = "" if sent is None else " (echoed)" if data == ours else " (good)" if data[:8] == ours[:8] else " (bad)"
        return f"; COOKIE: {data.hex()}{note}\n"
    if code == NSID:
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data)
        told = f' {data.hex(" ")} ("{text}")' if data else ""
        return f"; NSID:{told}\n"
    if code == _SUBNET and len(data) >= 4:
        address = int.from_bytes(data[4:].ljust(4, b"\0"), "big")
        return f"; CLIENT-SUBNET: {format_ipv4(address)}/{data[2]}/{data[3]}\n"
    names = {EXPIRE: "EXPIRE", KEEPALIVE: "TCP-KEEPALIVE", PADDING: "PADDING"}
    told = f" {data.hex(' ')}" if data else ""
    return f"; {names.get(code, f'OPT={code}')}:{told}\n"


def question_text(question: Question, display: Display) -> str:
    """Print a question, with its class whatever the display; its semicolon counts as no column."""
    class_column, type_column = (32, 40)
    if display.multiline or not (display.ttlid or display.class_):
        class_column, type_column = (24, 24)
    elif not (display.ttlid and display.class_):
        class_column, type_column = (24, 32)
    cells = [(class_column, class_name(question.rclass)), (type_column, type_name(question.type))]
    return ";" + _columns(question.name, cells)


def record_text(record: Record, display: Display) -> str:
    """Print a record as master files have it."""
    ttl_column, class_column, type_column, data_column = (24, 32, 40, 48)
    if display.multiline or not (display.ttlid or display.class_):
        ttl_column, class_column, type_column, data_column = (24, 24, 24, 32)
    elif not (display.ttlid and display.class_):
        ttl_column, class_column, type_column, data_column = (24, 24, 32, 40)
    cells: list[tuple[int, str]] = []
    if display.ttlid:
        cells.append((ttl_column, _units(record.ttl) if display.ttlunits else str(record.ttl)))
    if display.class_:
        cells.append((class_column, class_name(record.rclass)))
    cells.append((type_column, type_name(record.type)))
    if display.multiline and isinstance(record.data, Soa):
        return _columns(record.name, cells) + _multiline_soa(record.data)
    cells.append((data_column, data_text(record)))
    return _columns(record.name, cells)


def _multiline_soa(soa: Soa) -> str:
    rows = (
        (soa.serial, "serial"),
        (soa.refresh, "refresh"),
        (soa.retry, "retry"),
        (soa.expire, "expire"),
        (soa.minimum, "minimum"),
    )
    width = max(len(str(value)) for value, _ in rows)
    lines = [
        f"\t\t\t\t{str(value).ljust(width)} ; {name}" + (f" ({_verbose(value)})" if name != "serial" else "")
        for value, name in rows
    ]
    return f" {soa.mname} {soa.rname} (\n" + "\n".join(lines) + "\n\t\t\t\t)"


def _units(seconds: int) -> str:
    text = ""
    for size, unit in _UNITS:
        count, seconds = divmod(seconds, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def _verbose(seconds: int) -> str:
    words = []
    for size, unit in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            words.append(f"{count} {_WORDS[unit]}{'s' if count > 1 else ''}")
    return " ".join(words) or "0 seconds"


def _columns(line: str, cells: list[tuple[int, str]]) -> str:
    """Set cells at their columns, or one space on, with tabs where they do (lib/dns/masterdump.c, indent)."""
    column = len(line)
    for wanted, cell in cells:
        goal = max(wanted, column + 1)
        tabs = goal // 8 - column // 8
        line += "\t" * tabs + " " * (goal % 8 if tabs else goal - column) + cell
        column = goal + len(cell)
    return line
