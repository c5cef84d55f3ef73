"""conntrack of conntrack-tools 1.4.7: list, count, delete and flush the connections of a namespace."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from emulator.apps.commands.conntrack_usage import USAGE, VERSION
from emulator.apps.environment import Invocation
from emulator.apps.options import Options, UsageError, parse
from emulator.errors import WireError
from emulator.kernel.drop import DropReason
from emulator.kernel.netfilter.connection import Connection, Status
from emulator.kernel.netfilter.conntrack import Conntrack
from emulator.kernel.netfilter.tuple import PORT_PROTOCOLS, PROTOCOL_NAMES
from emulator.packet.address import in_network, parse_interface

_SHORT = "LDFCShVp:s:d:r:q:o:f:m:u:w:n::g::j::t:z"
_COMMANDS = "LDFCS"
_PORT_OPTIONS = ("sport=", "dport=", "orig-port-src=", "orig-port-dst=", "reply-port-src=", "reply-port-dst=", "state=")
_LONG = (
    "dump",
    "delete",
    "flush",
    "count",
    "stats",
    "help",
    "version",
    "protonum=",
    "proto=",
    "src=",
    "orig-src=",
    "dst=",
    "orig-dst=",
    "reply-src=",
    "reply-dst=",
    "output=",
    "family=",
    "mark=",
    "status=",
    "zone=",
    "src-nat",
    "dst-nat",
    "any-nat",
    "zero",
    *_PORT_OPTIONS,
)
_ALIASES = {
    "dump": "L",
    "delete": "D",
    "flush": "F",
    "count": "C",
    "stats": "S",
    "help": "h",
    "version": "V",
    "protonum": "p",
    "proto": "p",
    "src": "s",
    "orig-src": "s",
    "dst": "d",
    "orig-dst": "d",
    "reply-src": "r",
    "reply-dst": "q",
    "output": "o",
    "family": "f",
    "mark": "m",
    "status": "u",
    "zone": "w",
    "src-nat": "n",
    "dst-nat": "g",
    "any-nat": "j",
    "zero": "z",
    "orig-port-src": "sport",
    "orig-port-dst": "dport",
}
_HINT = "Try `conntrack -h' or 'conntrack --help' for more information.\n"
_OUTPUTS = frozenset({"extended", "id", "timestamp"})
_STATUSES = {
    "SEEN_REPLY": Status.SEEN_REPLY,
    "ASSURED": Status.ASSURED,
    "CONFIRMED": Status.CONFIRMED,
    "SRC_NAT": Status.SRC_NAT,
    "DST_NAT": Status.DST_NAT,
}

Condition = Callable[[Connection], bool]


async def main(invocation: Invocation) -> int:
    """Run `conntrack`. Exit status 0, 1 where `-D` finds nothing, 2 for usage."""
    try:
        options = _parse(invocation.argv[1:])
        condition = _condition(options)
        outputs = _outputs(options)
    except UsageError as error:
        invocation.write_error(f"{VERSION}: {error}\n{_HINT}")
        return 2
    conntrack = invocation.network.netns.netfilter.conntrack
    if "V" in options:
        invocation.write(f"{VERSION}\n")
    elif "C" in options:
        invocation.write(f"{len(list(conntrack))}\n")
    elif "S" in options:
        invocation.write(_statistics(conntrack))
    elif "F" in options:
        conntrack.flush()
        invocation.write_error(f"{VERSION}: connection tracking table has been emptied.\n")
    elif "L" in options:
        _list(invocation, options, [each for each in conntrack if condition(each)], outputs)
    elif "D" in options:
        return _delete(invocation, [each for each in conntrack if condition(each)], outputs)
    else:
        invocation.write(USAGE)
    return 0


def _parse(arguments: tuple[str, ...]) -> Options:
    short = _SHORT.replace("::", "")
    try:
        options = parse(arguments, short, _LONG, aliases=_ALIASES)
    except UsageError as error:
        _refuse(str(error), arguments)
    commands = [name for name, _ in options if name in _COMMANDS]
    if len(commands) > 1:
        raise UsageError("Can't use -" + commands[1] + " with -" + commands[0])
    if "p" not in options:
        for name, _ in options:
            if f"{name}=" in _PORT_OPTIONS:
                raise UsageError(f"unknown option `--{name}'")
    return options


def _refuse(message: str, arguments: tuple[str, ...]) -> NoReturn:
    """Say in conntrack's words what getopt found."""
    word = message.rpartition("'")[0].rpartition("'")[2]
    if "requires an argument" in message:
        raise UsageError(f"option `{word if word.startswith('--') else f'-{word}'}' requires an argument")
    named = next((argument for argument in arguments if argument.partition("=")[0] == word), f"-{word}")
    raise UsageError(f"unknown option `{named}'")


def _outputs(options: Options) -> frozenset[str]:
    words = frozenset(word for value in options.all("o") for word in value.split(","))
    for word in words - _OUTPUTS:
        raise UsageError(f"output type `{word}' not supported")
    return words


def _condition(options: Options) -> Condition:
    """Make what each entry must satisfy."""
    conditions: list[Condition] = []
    for name, value in options:
        if name in {"s", "d", "r", "q"}:
            conditions.append(_address(name, value))
        elif name in _MAKERS:
            conditions.append(_MAKERS[name](value))
        elif f"{name}=" in _PORT_OPTIONS:
            conditions.append(_port(name, value))
    return lambda connection: all(condition(connection) for condition in conditions)


def _address(name: str, value: str) -> Condition:
    try:
        network, length = parse_interface(value)
    except WireError:
        raise UsageError(f"Invalid IP address `{value}'") from None

    def holds(connection: Connection) -> bool:
        key = connection.original if name in {"s", "d"} else connection.reply
        return in_network(key.saddr if name in {"s", "r"} else key.daddr, network, length)

    return holds


def _protocol(value: str) -> Condition:
    number = next(
        (number for number, name in PROTOCOL_NAMES.items() if value.lower() == name or value == str(number)), None
    )
    if number is None:
        raise UsageError(f"`{value}' unsupported protocol")
    return lambda connection: connection.protocol == number


def _port(name: str, value: str) -> Condition:
    if name == "state":
        return lambda connection: connection.tcp is not None and connection.tcp.state.name == value.upper()
    if not value.isdigit() or int(value) > 0xFFFF:
        raise UsageError(f"`{value}' is not a port number")
    port = int(value)

    def holds(connection: Connection) -> bool:
        key = connection.reply if name.startswith("reply") else connection.original
        is_source = name in {"sport", "reply-port-src"}
        return connection.protocol in PORT_PROTOCOLS and (key.sport if is_source else key.dport) == port

    return holds


def _mark(value: str) -> Condition:
    mark, _, mask = value.partition("/")
    try:
        wanted, bits = int(mark, 0), int(mask, 0) if mask else 0xFFFFFFFF
    except ValueError:
        raise UsageError(f"Invalid mark value `{value}'") from None
    return lambda connection: connection.mark & bits == wanted & bits


def _status(value: str) -> Condition:
    bits = 0
    unreplied = False
    for word in value.upper().split(","):
        if word == "UNREPLIED":
            unreplied = True
        elif word in _STATUSES:
            bits |= _STATUSES[word]
        else:
            raise UsageError(f"Bad status parameter: `{value}'")
    return lambda connection: (
        connection.status & bits == bits and not (unreplied and connection.status & Status.SEEN_REPLY)
    )


def _zone(value: str) -> Condition:
    if not value.isdigit():
        raise UsageError(f"Invalid zone value `{value}'")
    return lambda connection: connection.zone == int(value)


def _family(value: str) -> Condition:
    if value not in {"ipv4", "ipv6"}:
        raise UsageError(f"Unknown layer 3 protocol: {value}")
    return lambda _: value == "ipv4"


def _translated(bits: int) -> Callable[[str], Condition]:
    return lambda _: lambda connection: bool(connection.status & bits)


_MAKERS: dict[str, Callable[[str], Condition]] = {
    "p": _protocol,
    "m": _mark,
    "u": _status,
    "w": _zone,
    "f": _family,
    "n": _translated(int(Status.SRC_NAT)),
    "g": _translated(int(Status.DST_NAT)),
    "j": _translated(int(Status.SRC_NAT | Status.DST_NAT)),
}


def _line(conntrack: Conntrack, connection: Connection, outputs: frozenset[str]) -> str:
    line = connection.format(conntrack.now, extended="extended" in outputs)
    return f"{line} id={connection.identity}\n" if "id" in outputs else f"{line}\n"


def _list(invocation: Invocation, options: Options, found: list[Connection], outputs: frozenset[str]) -> None:
    table = options.operands[0] if options.operands else "conntrack"
    if table in {"expect", "expectation"}:
        invocation.write_error(f"{VERSION}: 0 expectations have been shown.\n")
        return
    conntrack = invocation.network.netns.netfilter.conntrack
    found = found if table == "conntrack" else []
    for connection in found:
        invocation.write(_line(conntrack, connection, outputs))
        if "z" in options:
            connection.reset_counters()
    invocation.write_error(f"{VERSION}: {len(found)} flow entries have been shown.\n")


def _delete(invocation: Invocation, found: list[Connection], outputs: frozenset[str]) -> int:
    conntrack = invocation.network.netns.netfilter.conntrack
    for connection in found:
        invocation.write(_line(conntrack, connection, outputs))
        conntrack.delete(connection)
    invocation.write_error(f"{VERSION}: {len(found)} flow entries have been deleted.\n")
    return 0 if found else 1


def _statistics(conntrack: Conntrack) -> str:
    """The counters of the one processor that a namespace has."""
    drops = conntrack.netns.drops
    failed = drops[DropReason.CONNTRACK_CLASH] + drops[DropReason.NAT_EXHAUSTED]
    counts = {
        "found": 0,
        "invalid": 0,
        "insert": 0,
        "insert_failed": failed,
        "drop": failed + drops[DropReason.CONNTRACK_FULL] + drops[DropReason.CONNTRACK_REFUSED],
        "early_drop": conntrack.statistics.early_drop,
        "error": 0,
        "search_restart": 0,
        "clash_resolve": 0,
        "chaintoolong": 0,
    }
    return "cpu=0   \t" + "".join(f"{name}={count} " for name, count in counts.items()) + "\n"
