"""What `ss` is asked for behind its options: `state ESTABLISHED`, `dst 10.0.0.1`, `dport = :80`, joined by `and`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from emulator.apps.environment import Address
from emulator.apps.services import service_port
from emulator.errors import WireError
from emulator.kernel.socket.base import SocketInfo
from emulator.packet.address import in_network, ipv4_to_int, parse_interface

Condition = Callable[[SocketInfo], bool]

_STATES = {
    "established": "ESTAB",
    "syn-sent": "SYN-SENT",
    "syn-recv": "SYN-RECV",
    "fin-wait-1": "FIN-WAIT-1",
    "fin-wait-2": "FIN-WAIT-2",
    "time-wait": "TIME-WAIT",
    "unconnected": "UNCONN",
    "close-wait": "CLOSE-WAIT",
    "last-ack": "LAST-ACK",
    "listening": "LISTEN",
    "closing": "CLOSING",
}
_GROUPS = {
    "all": frozenset(_STATES.values()),
    "connected": frozenset(_STATES.values()) - {"LISTEN", "UNCONN"},
    "synchronized": frozenset(_STATES.values()) - {"LISTEN", "UNCONN", "SYN-SENT"},
    "bucket": frozenset({"SYN-RECV", "TIME-WAIT"}),
}


class FilterError(Exception):
    """A filter that is not understood."""


def read_filter(words: Sequence[str]) -> tuple[frozenset[str] | None, Condition]:
    """Read the words; return the states they name (None: none named) and what each socket must be. FilterError."""
    queue = [word for word in words if word not in {"and", "&&", "&", "(", ")"}]
    states: frozenset[str] | None = None
    conditions: list[Condition] = []
    while queue:
        word = queue.pop(0)
        if word == "state":
            states = (states or frozenset()) | _states(_next(queue))
        elif word in {"src", "dst"}:
            conditions.append(_host(_next(queue), local=word == "src"))
        elif word in {"sport", "dport"}:
            value = _next(queue)
            value = _next(queue) if value in {"=", "==", "eq"} else value
            conditions.append(_port(value, local=word == "sport"))
        else:
            raise FilterError(f"ss: bison bellows (while parsing filter): \"syntax error!\" Sorry. It is at '{word}'.")
    return states, lambda info: all(condition(info) for condition in conditions)


def _next(queue: list[str]) -> str:
    if not queue:
        raise FilterError('ss: bison bellows (while parsing filter): "syntax error!" Sorry.')
    return queue.pop(0)


def _states(name: str) -> frozenset[str]:
    found = _GROUPS.get(name.lower()) or frozenset(
        state for known, state in _STATES.items() if name.lower() in {known, state.lower()}
    )
    if not found:
        raise FilterError(f"ss: wrong state name: {name}")
    return found


def _host(text: str, *, local: bool) -> Condition:
    host, colon, port = text.rpartition(":") if ":" in text else (text, "", "")
    try:
        network, length = parse_interface(host) if host else (0, 0)
    except WireError:
        raise FilterError(f'Error: an inet prefix is expected rather than "{host}".') from None
    on_port = _port(f":{port}", local=local) if colon else None

    def holds(info: SocketInfo) -> bool:
        address = ipv4_to_int(_end(info, local=local)[0])
        return in_network(address, network, length) and (on_port is None or on_port(info))

    return holds


def _port(text: str, *, local: bool) -> Condition:
    name = text.removeprefix(":")

    def holds(info: SocketInfo) -> bool:
        return _end(info, local=local)[1] == service_port(name, info.protocol)

    if service_port(name, "tcp") is None and service_port(name, "udp") is None:
        raise FilterError(f'Error: "{name}" does not look like a port.')
    return holds


def _end(info: SocketInfo, *, local: bool) -> Address:
    return info.local if local else info.remote
