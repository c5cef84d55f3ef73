"""`ct state`, `ct mark`, `ct original ip daddr`: what connection tracking knows of a packet (nft_ct.c)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.conntrack.tuple import Tuple
from emulator.kernel.netfilter.match.ctstate import BY_INFO
from emulator.kernel.netfilter.nft import datatype as types
from emulator.kernel.netfilter.nft.datatype import Datatype, Order, integer
from emulator.kernel.netfilter.nft.expression.expression import Expression, Getter, Key
from emulator.kernel.skb import CtInfo

if TYPE_CHECKING:
    from emulator.kernel.netfilter.conntrack.connection import Connection
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.skb import Skb

_INVALID, _UNTRACKED = types.CT_STATE.symbols["invalid"], types.CT_STATE.symbols["untracked"]
_STATUS_BITS = 0xFFFF  # those of the kernel; ours are above
_REPLIES = frozenset({CtInfo.ESTABLISHED_REPLY, CtInfo.RELATED_REPLY})
TYPES: Mapping[str, Datatype] = MappingProxyType(
    {
        "state": types.CT_STATE,
        "status": types.CT_STATUS,
        "direction": types.CT_DIRECTION,
        "mark": types.MARK,
        "expiration": types.TIME,
        "zone": integer(16, Order.HOST),
        "l3proto": types.NF_PROTO,
        "protocol": types.PROTOCOL,
        "id": types.CT_ID,
    }
)
DIRECTED: Mapping[str, Datatype] = MappingProxyType(
    {
        "ip saddr": types.IPV4,
        "saddr": types.IPV4,
        "daddr": types.IPV4,
        "ip daddr": types.IPV4,
        "proto-src": types.SERVICE,
        "proto-dst": types.SERVICE,
        "zone": TYPES["zone"],
    }
)


class Ct(Expression, frozen=True):
    """`ct state`; with `direction` ("original" or "reply") a part of that direction's tuple."""

    key: str
    direction: str = ""

    @property
    def types(self) -> tuple[Datatype, ...]:
        return (DIRECTED[self.key] if self.direction else TYPES[self.key],)

    @property
    def needs_conntrack(self) -> bool:
        return True

    def format(self) -> str:
        if self.key in ("saddr", "daddr"):
            return f"ct {self.direction} ip {self.key}"
        return f"ct {self.direction} {self.key}" if self.direction else f"ct {self.key}"

    def json(self) -> object:
        return {"ct": {"key": self.key, "dir": self.direction} if self.direction else {"key": self.key}}

    def bind(self, netfilter: Netfilter) -> Getter:
        if self.key == "state":
            return _state
        if self.key == "direction":
            return _direction
        if self.key == "expiration":
            kernel = netfilter.netns.kernel
            return _of(lambda connection: max(0, int((connection.deadline - kernel.now) * 1000)))
        if not self.direction:
            return _of(_GETTERS[self.key])
        read, original = _TUPLE[self.key], self.direction == "original"
        return _of(lambda connection: read(connection.original if original else connection.reply))


def _state(skb: Skb, context: Context) -> Key | None:
    if skb.ct is None:
        return _UNTRACKED if skb.ctinfo is CtInfo.UNTRACKED else _INVALID
    return BY_INFO[skb.ctinfo]


def _direction(skb: Skb, context: Context) -> Key | None:
    return None if skb.ct is None else int(skb.ctinfo in _REPLIES)


def _of(read: Callable[[Connection], int]) -> Getter:
    def get(skb: Skb, context: Context) -> Key | None:
        return None if skb.ct is None else read(skb.ct)

    return get


def _source(key: Tuple) -> int:
    return key.sport


def _destination(key: Tuple) -> int:
    """As a port; of ICMP the type and code, as they lie where a port would."""
    return key.dport


_GETTERS: Mapping[str, Callable[[Connection], int]] = MappingProxyType(
    {
        "status": lambda connection: connection.status & _STATUS_BITS,
        "mark": lambda connection: connection.mark,
        "zone": lambda connection: connection.zone,
        "l3proto": lambda connection: connection.original.family,
        "protocol": lambda connection: connection.protocol,
        "id": lambda connection: connection.identity,
    }
)
_TUPLE: Mapping[str, Callable[[Tuple], int]] = MappingProxyType(
    {
        "ip saddr": lambda key: key.saddr,
        "saddr": lambda key: key.saddr,
        "daddr": lambda key: key.daddr,
        "ip daddr": lambda key: key.daddr,
        "proto-src": _source,
        "proto-dst": _destination,
        "zone": lambda key: key.zone,
    }
)
