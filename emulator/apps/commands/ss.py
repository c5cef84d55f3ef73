"""ss of iproute2 6.1.0: the sockets of a namespace in columns as wide as what is in them."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from emulator.apps.commands.ss_filter import Condition, FilterError, read_filter
from emulator.apps.commands.ss_usage import USAGE, VERSION
from emulator.apps.environment import Address, Invocation
from emulator.apps.options import Options, UsageError, parse
from emulator.apps.services import service_name
from emulator.kernel.socket.base import SocketInfo

_SHORT = "04HVaehlnoprstu"
_LONG = (
    "all",
    "extended",
    "help",
    "ipv4",
    "listening",
    "no-header",
    "numeric",
    "options",
    "processes",
    "resolve",
    "summary",
    "tcp",
    "udp",
    "version",
)
_ALIASES = {
    "all": "a",
    "help": "h",
    "listening": "l",
    "no-header": "H",
    "numeric": "n",
    "summary": "s",
    "tcp": "t",
    "udp": "u",
    "version": "V",
}
_USAGE_STATUS = 255
_HIDDEN = frozenset({"LISTEN", "UNCONN", "TIME-WAIT", "SYN-RECV"})  # what a plain `ss` leaves out
_CONNECTED = frozenset({"ESTAB", "SYN-SENT", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "LAST-ACK", "CLOSING"})
_ALL = _CONNECTED | _HIDDEN


class _Column(Struct, frozen=True):
    title: str
    gap: str
    right: bool = False


_COLUMNS = (
    _Column("Netid", ""),
    _Column("State", " "),
    _Column("Recv-Q", " "),
    _Column("Send-Q", " "),
    _Column("Local Address:", " ", right=True),
    _Column("Port", ""),
    _Column("Peer Address:", " ", right=True),
    _Column("Port", ""),
    _Column("Process", ""),
)


async def main(invocation: Invocation) -> int:
    """Run `ss`. Exit status 0, or 255 for usage."""
    try:
        options = parse(invocation.argv[1:], _SHORT, _LONG, aliases=_ALIASES, mixed=False)
        states, condition = read_filter(options.operands)
    except UsageError as error:
        invocation.write_error(f"ss: {error}\n{USAGE}")
        return _USAGE_STATUS
    except FilterError as error:
        invocation.write_error(f"{error}\n")
        return _USAGE_STATUS
    if "h" in options or "V" in options:
        invocation.write(USAGE if "h" in options else VERSION)
        return 0
    sockets = [info for info in invocation.network.netns.sockets.listing() if info.protocol in {"udp", "tcp"}]
    if "s" in options:
        invocation.write(_summary(sockets))
        return 0
    protocols = [protocol for protocol, letter in (("udp", "u"), ("tcp", "t")) if letter in options] or ["udp", "tcp"]
    wanted = states if states is not None else _states(options, protocols)
    _print(invocation, options, _select(sockets, protocols, wanted, condition), len(protocols) > 1, len(wanted) > 1)
    return 0


def _states(options: Options, protocols: Sequence[str]) -> frozenset[str]:
    """What is shown where no state is asked for: of UDP what is connected, of TCP what is past the handshake."""
    if "a" in options:
        return _ALL
    if "l" in options:
        return frozenset({"LISTEN", "UNCONN"})
    return _CONNECTED if "tcp" in protocols else frozenset({"ESTAB"})


def _select(
    sockets: Sequence[SocketInfo], protocols: Sequence[str], states: frozenset[str], condition: Condition
) -> list[SocketInfo]:
    """Pick sockets: by protocol, of each the listening first."""
    kept = [info for info in sockets if info.protocol in protocols and info.state in states and condition(info)]
    return sorted(kept, key=lambda info: (info.protocol != "udp", info.state != "LISTEN"))


def _print(
    invocation: Invocation,
    options: Options,
    sockets: Sequence[SocketInfo],
    several_protocols: bool,
    several_states: bool,
) -> None:
    shown = [several_protocols, several_states, *[True] * 7]
    columns = [column for column, on in zip(_COLUMNS, shown, strict=True) if on]
    rows = [_cells(info, numeric="n" in options) for info in sockets]
    if "H" not in options:
        rows.insert(0, [column.title for column in _COLUMNS])
    rows = [[cell for cell, on in zip(row, shown, strict=True) if on] for row in rows]
    widths = [max((len(row[index]) for row in rows), default=0) for index in range(len(columns))]
    for row in rows:
        invocation.write(_line(columns, widths, row) + "\n")


def _line(columns: Sequence[_Column], widths: Sequence[int], row: Sequence[str]) -> str:
    parts = []
    for index, (column, width, cell) in enumerate(zip(columns, widths, row, strict=True)):
        gap = column.gap if index else ""
        parts.append(gap + (cell.rjust(width) if column.right else cell.ljust(width)))
    return "".join(parts)


def _cells(info: SocketInfo, *, numeric: bool) -> list[str]:
    local, local_port = _address(info.local, info.protocol, numeric=numeric)
    remote, remote_port = _address(info.remote, info.protocol, numeric=numeric)
    queues = [f"{info.receive_queue:<6d}", f"{info.send_queue:<6d}"]
    return [info.protocol, info.state, *queues, local, local_port, remote, remote_port, ""]


def _address(address: Address, protocol: str, *, numeric: bool) -> tuple[str, str]:
    host, port = address
    name = "" if numeric else service_name(port, protocol)
    return f"{host}:", "*" if port == 0 else name or str(port)


def _summary(sockets: Sequence[SocketInfo]) -> str:
    states = [info.state for info in sockets if info.protocol == "tcp"]
    udp = len(sockets) - len(states)
    waiting, established = states.count("TIME-WAIT"), states.count("ESTAB")
    tcp = len(states) - waiting
    lines = [
        f"Total: {tcp + udp}",
        f"TCP:   {len(states)} (estab {established}, closed {waiting}, orphaned 0, timewait {waiting})",
        "",
        "Transport Total     IP        IPv6",
    ]
    for name, count in (("RAW", 0), ("UDP", udp), ("TCP", tcp), ("INET", tcp + udp), ("FRAG", 0)):
        lines.append(f"{name}\t  {count:<9d} {count:<9d} {0:<9d}")
    return "\n".join([*lines, "", ""])
