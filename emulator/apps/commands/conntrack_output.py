"""How conntrack 1.4.7 prints an entry: as a line, as XML, or as the options that would make it again (`-o save`)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType

from emulator.apps.commands.conntrack_filter import is_destination_translated, is_source_translated
from emulator.apps.commands.conntrack_options import NO_LABELS, OperationError, Request, Warn, parameters
from emulator.kernel.netfilter.conntrack.connection import (
    ACCOUNTED,
    ASSURED,
    FIXED_TIMEOUT,
    SEEN_REPLY,
    TIMESTAMPED,
    Connection,
)
from emulator.kernel.netfilter.conntrack.event import Event, EventKind
from emulator.kernel.netfilter.conntrack.tcp_state import TcpState
from emulator.kernel.netfilter.conntrack.tuple import GRE, ICMP, PORT_PROTOCOLS, PROTOCOL_NAMES, Tuple
from emulator.packet.address import format_ipv4

XML, EXTENDED, TIMESTAMP, IDENTITY, KERNEL_TIMESTAMP, LABELS, SAVE = (1 << bit for bit in range(7))
_OUTPUTS: Mapping[str, int] = MappingProxyType(
    {
        "xml": XML,
        "extended": EXTENDED,
        "timestamp": TIMESTAMP,
        "id": IDENTITY,
        "ktimestamp": KERNEL_TIMESTAMP,
        "labels": LABELS,
        "userspace": 0,
        "save": SAVE,
    }
)
_COMMANDS = {EventKind.NEW: "-A", EventKind.UPDATE: "-U", EventKind.DESTROY: "-D"}
XML_HEAD, XML_END = '<?xml version="1.0" encoding="utf-8"?>\n<conntrack>\n', "</conntrack>\n"
_SAVED_STATUS = (("SEEN_REPLY", SEEN_REPLY), ("ASSURED", ASSURED), ("FIXED_TIMEOUT", FIXED_TIMEOUT))


def output_of(request: Request, warn: Warn) -> int:
    """Return the bits of `-o`."""
    bits = 0
    for text in request.outputs:
        bits |= parameters(text, _OUTPUTS, warn)
        if bits & LABELS:
            warn(NO_LABELS)
        if bits & SAVE and bits & ~SAVE:
            raise OperationError("cannot combine save output with any other output type, use -o save only")
    return bits


class Printer:
    """Prints entries in one form. `wall_offset`: what the kernel's clock lacks to the time of day."""

    def __init__(self, output: int, now: float, wall_offset: float) -> None:
        self.output = output
        self.now = now
        self._wall_offset = wall_offset

    def entry(self, connection: Connection, *, use: int = 1, event: Event | None = None, command: str = "-A") -> str:
        """Return one entry, without its line feed; of an event, what it tells, with what it is in front.

        `command`: what `-o save` begins with.
        """
        if self.output & SAVE:
            return self._saved(connection, command if event is None else _COMMANDS[event.kind])
        if self.output & XML:
            return self._xml(connection, use, event)
        start = ""
        if self.output & KERNEL_TIMESTAMP and connection.status & TIMESTAMPED:
            start = time.ctime(int(connection.start + self._wall_offset))
        line = connection.format(
            self.now,
            extended=bool(self.output & EXTENDED),
            identity=bool(self.output & IDENTITY),
            start=start,
            state=event is None or event.shows_state,
            mark=event is None or event.shows_mark,
            use=use if event is None else 0,
        )
        return line if event is None else f"{f'[{event.kind.value}]':>9s} {line}"

    def _left(self, connection: Connection) -> int:
        return connection.seconds_left(self.now)

    def _saved(self, connection: Connection, command: str) -> str:
        original, reply = connection.original, connection.reply
        words = [command, f"-t {self._left(connection)}"]
        words.append("-u " + (",".join(name for name, bit in _SAVED_STATUS if connection.status & bit) or "UNSET"))
        if original.zone == reply.zone:
            words += [f"-w {original.zone}"] if original.zone else []
        else:
            words += [f"--orig-zone {original.zone}"] if original.zone else []
            words += [f"--reply-zone {reply.zone}"] if reply.zone else []
        words += [f"-s {format_ipv4(original.saddr)}", f"-d {format_ipv4(original.daddr)}"]
        words.append(f"{'-g' if is_destination_translated(connection)[0] else '-r'} {format_ipv4(reply.saddr)}")
        words.append(f"{'-n' if is_source_translated(connection)[0] else '-q'} {format_ipv4(reply.daddr)}")
        return " ".join([*words, *_saved_protocol(connection)])

    def _xml(self, connection: Connection, use: int, event: Event | None) -> str:
        one_zone = connection.original.zone == connection.reply.zone
        parts = ["<flow>" if event is None else f'<flow type="{event.kind.value.lower()}">']
        sides = (("original", connection.original), ("reply", connection.reply))
        for (name, key), packets, octets in zip(sides, connection.packets, connection.bytes, strict=True):
            parts.append(f'<meta direction="{name}">{_xml_tuple(key)}')
            parts.append(f"<zone>{key.zone}</zone>" if key.zone and not one_zone else "")
            if connection.status & ACCOUNTED:
                parts.append(f"<counters><packets>{packets}</packets><bytes>{octets}</bytes></counters>")
            parts.append("</meta>")
        parts.append('<meta direction="independent">')
        if connection.state_name and (
            event is None or event.shows_state
        ):  # the library names SCTP's states as TCP's of the same number
            number = connection.sctp.state if connection.sctp is not None else None
            parts.append(f"<state>{connection.state_name if number is None else TcpState(number).name}</state>")
        parts.append(f"<timeout>{self._left(connection)}</timeout>")
        parts.append(f"<mark>{connection.mark}</mark>" if event is None or event.shows_mark else "")
        parts.append(f"<zone>{connection.zone}</zone>" if one_zone and connection.zone else "")
        parts.append(f"<use>{use}</use>" if event is None else "")
        parts.append(f"<id>{connection.identity}</id>")
        parts.append("<assured/>" if connection.status & ASSURED else "")
        parts.append("" if connection.status & SEEN_REPLY else "<unreplied/>")
        if connection.status & TIMESTAMPED:
            parts.append(f"<deltatime>{int(self.now) - int(connection.start)}</deltatime>")
        parts.append("</meta></flow>")
        return "".join(parts)


def _saved_protocol(connection: Connection) -> list[str]:
    original, reply, protocol = connection.original, connection.reply, connection.protocol
    words = [f"-p {PROTOCOL_NAMES.get(protocol, protocol)}"]
    if protocol == ICMP:
        return [*words, f"--icmp-type {original.icmp_type} --icmp-code {original.icmp_code} --icmp-id {original.sport}"]
    if protocol == GRE:
        keys = f"--srckey {original.sport} --dstkey {original.dport}"
        return [*words, keys, f"--reply-key-src {reply.sport} --reply-key-dst {reply.dport}"]
    if protocol in PORT_PROTOCOLS:
        words += [f"--sport {original.sport} --dport {original.dport}"]
        words += [f"--reply-port-src {reply.sport} --reply-port-dst {reply.dport}"]
    words += [f"--state {connection.state_name}"] if connection.state_name else []
    if connection.sctp is not None:
        words.append("--orig-vtag {} --reply-vtag {}".format(*connection.sctp.tags))
    return words


def _xml_tuple(key: Tuple) -> str:
    name = PROTOCOL_NAMES.get(key.protocol, "unknown")
    ports = ""
    if key.protocol == GRE:
        ports = f"<srckey>0x{key.sport:x}</srckey><dstkey>0x{key.dport:x}</dstkey>"
    elif key.protocol in PORT_PROTOCOLS:
        ports = f"<sport>{key.sport}</sport><dport>{key.dport}</dport>"
    return (
        f'<layer3 protonum="2" protoname="ipv4"><src>{format_ipv4(key.saddr)}</src><dst>{format_ipv4(key.daddr)}</dst>'
        f'</layer3><layer4 protonum="{key.protocol}" protoname="{name}">{ports}</layer4>'
    )
