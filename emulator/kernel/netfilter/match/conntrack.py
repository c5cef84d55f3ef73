"""`-m conntrack`: the packet's connection: state, tuples, status, time left, direction (xt_conntrack.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct

from emulator.kernel.netfilter.conntrack.connection import Status
from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.netfilter.match.ctstate import (
    DNAT,
    SNAT,
    format_state,
    format_states,
    parse_states,
    state_of,
    untranslated_states,
)
from emulator.kernel.netfilter.match.port import Ports
from emulator.kernel.netfilter.options import (
    U32,
    format_network,
    parse_host_mask,
    parse_integer_range,
    parse_port_range,
    parse_protocol,
)
from emulator.kernel.skb import CtInfo

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.kernel.netfilter.conntrack.connection import Connection
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.options import Option, Options
    from emulator.kernel.skb import Skb

_ADDRESSES = {
    "--ctorigsrc": (0, "saddr"),
    "--ctorigdst": (0, "daddr"),
    "--ctreplsrc": (1, "saddr"),
    "--ctrepldst": (1, "daddr"),
}
_PORTS = {
    "--ctorigsrcport": (0, "sport"),
    "--ctorigdstport": (0, "dport"),
    "--ctreplsrcport": (1, "sport"),
    "--ctrepldstport": (1, "dport"),
}
_STATUS = {
    "EXPECTED": Status.EXPECTED,
    "SEEN_REPLY": Status.SEEN_REPLY,
    "ASSURED": Status.ASSURED,
    "CONFIRMED": Status.CONFIRMED,
}
_REPLIES = (CtInfo.ESTABLISHED_REPLY, CtInfo.RELATED_REPLY)


class Bits(Struct, frozen=True):
    """A set of states or statuses."""

    mask: int
    inverted: bool = False


class TupleAddress(Struct, frozen=True):
    """One address of one tuple: `option` names which. It is kept as written, outside of the mask too."""

    option: str
    address: int
    mask: int
    inverted: bool = False

    def holds(self, connection: Connection) -> bool:
        """Whether the connection has it."""
        direction, field = _ADDRESSES[self.option]
        value: int = getattr(connection.reply if direction else connection.original, field)
        return ((value ^ self.address) & self.mask == 0) is not self.inverted


class TuplePort(Struct, frozen=True):
    """One port of one tuple: `option` names which."""

    option: str
    ports: Ports

    def holds(self, connection: Connection) -> bool:
        """Whether the connection has it."""
        direction, field = _PORTS[self.option]
        return self.ports.hold(getattr(connection.reply if direction else connection.original, field))


class Conntrack(Match, frozen=True):
    """`-m conntrack --ctstate NEW`. What is None or empty is not tested; `expire` is in whole seconds."""

    name = "conntrack"
    options: ClassVar[Mapping[str, int]] = {
        "--ctstate": 1,
        "--ctproto": 1,
        **dict.fromkeys(_ADDRESSES, 1),
        **dict.fromkeys(_PORTS, 1),
        "--ctstatus": 1,
        "--ctexpire": 1,
        "--ctdir": 1,
    }
    invertible = frozenset(options) - {"--ctdir"}
    needs_conntrack = True

    state: Bits | None = None
    protocol: Bits | None = None
    addresses: tuple[TupleAddress, ...] = ()
    ports: tuple[TuplePort, ...] = ()
    status: Bits | None = None
    expire: Ports | None = None
    reply: bool | None = None

    @classmethod
    def parse(cls, options: Options) -> Conntrack:
        if not options.by_name:
            raise RuleError("conntrack: At least one option is required")
        state = options.get("--ctstate")
        protocol = options.get("--ctproto")
        status = options.get("--ctstatus")
        addresses = [option for name in _ADDRESSES if (option := options.get(name))]
        ports = [
            (option.name, Ports(*parse_port_range(option.value, loose=True), option.inverted))
            for name in _PORTS
            if (option := options.get(name))
        ]
        return cls(
            Bits(parse_states(state.value, "ctstate", virtual=True), state.inverted) if state else None,
            Bits(parse_protocol(protocol.value), protocol.inverted) if protocol else None,
            tuple(TupleAddress(option.name, *parse_host_mask(option.value), option.inverted) for option in addresses),
            tuple(TuplePort(name, found) for name, found in ports),
            Bits(_parse_status(status.value), status.inverted) if status else None,
            _parse_expire(options),
            _parse_direction(options),
        )

    def format(self) -> str:
        words: list[str] = []
        if self.state is not None:
            words.append(f"{_not(self.state.inverted)}--ctstate {format_states(self.state.mask)}")
        if self.protocol is not None:
            words.append(f"{_not(self.protocol.inverted)}--ctproto {self.protocol.mask}")
        for address in self.addresses:
            network = format_network(address.address, address.mask, host_length=False)
            words.append(f"{_not(address.inverted)}{address.option} {network}")
        words += [port.ports.format(port.option) for port in self.ports]
        if self.status is not None:
            names = ",".join(name for name, bit in _STATUS.items() if self.status.mask & bit) or "NONE"
            words.append(f"{_not(self.status.inverted)}--ctstatus {names}")
        if self.expire is not None:
            words.append(self.expire.format("--ctexpire"))
        if self.reply is not None:
            words.append(f"--ctdir {'REPLY' if self.reply else 'ORIGINAL'}")
        return " ".join(words)

    def listing(self, names: Names) -> str:
        return self.format().replace("--", "")

    def seen(self, skb: Skb, context: Context) -> str:
        if self.state is not None and bool(state_of(skb) & self.state.mask) is self.state.inverted:
            return f"state {format_state(skb)}"
        return "no connection" if skb.ct is None else " ".join(str(skb.ct).split())

    def matches(self, skb: Skb, context: Context) -> bool:
        state = self.state
        if state is not None and bool(state_of(skb) & state.mask) is state.inverted:
            return False
        connection = skb.ct
        if connection is None:
            return state is not None
        if self.reply is not None and (skb.ctinfo in _REPLIES) is not self.reply:
            return False
        if self.protocol is not None and (connection.protocol == self.protocol.mask) is self.protocol.inverted:
            return False
        if not all(address.holds(connection) for address in self.addresses):
            return False
        if not all(port.holds(connection) for port in self.ports):
            return False
        if self.status is not None and bool(connection.status & self.status.mask) is self.status.inverted:
            return False
        if self.expire is None:
            return True
        return self.expire.hold(connection.seconds_left(context.netns.kernel.now))

    def bind(self, netfilter: Netfilter) -> Callable[[Skb, Context], bool]:
        """Take a shorter way for a state alone, which is what most rules ask for."""
        if self.state is None or self != Conntrack(self.state):
            return self.matches
        mask, inverted = self.state.mask, self.state.inverted
        if mask & (SNAT | DNAT):
            return lambda skb, _: bool(state_of(skb) & mask) is not inverted
        without, known = untranslated_states(mask, inverted=inverted)
        return lambda skb, _: skb.ctinfo in (without if skb.ct is None else known)


def _not(inverted: bool) -> str:
    return "! " if inverted else ""


def _parse_status(text: str) -> int:
    mask = 0
    for name in text.upper().split(","):
        if name not in _STATUS and name != "NONE":
            raise RuleError(f'conntrack: Bad value for "--ctstatus" option: "{text}"')
        mask |= int(_STATUS.get(name, 0))
    return mask


def _parse_expire(options: Options) -> Ports | None:
    option = options.get("--ctexpire")
    if option is None:
        return None
    return Ports(*parse_integer_range(option, "conntrack", U32), option.inverted)


def _parse_ports(option: Option) -> Ports:
    return Ports(*parse_port_range(option.value, loose=True), option.inverted)


def _parse_direction(options: Options) -> bool | None:
    option = options.get("--ctdir")
    if option is None:
        return None
    if option.value.upper() not in ("ORIGINAL", "REPLY"):
        raise RuleError(f'conntrack: Bad value for "--ctdir" option: "{option.value}"')
    return option.value.upper() == "REPLY"
