"""`meta mark`, `iifname`, `meta l4proto`: what the stack knows of a packet beside its bytes (nft_meta.c)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.nft import datatype as types
from emulator.kernel.netfilter.nft.datatype import Datatype, Order, integer
from emulator.kernel.netfilter.nft.expression.expression import Expression, Getter, Key
from emulator.kernel.owner import owner_of
from emulator.kernel.skb import PacketType
from emulator.packet.address import is_multicast

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.skb import Skb

_IPV4_ETHERTYPE = 0x0800
_NFPROTO_IPV4 = 2
TYPES: Mapping[str, Datatype] = MappingProxyType(
    {
        "length": integer(32, Order.HOST),
        "protocol": types.ETHER_TYPE,
        "mark": types.MARK,
        "iif": types.IFINDEX,
        "oif": types.IFINDEX,
        "iifname": types.IFNAME,
        "oifname": types.IFNAME,
        "skuid": types.UID,
        "skgid": types.GID,
        "nfproto": types.NF_PROTO,
        "l4proto": types.PROTOCOL,
        "pkttype": types.PACKET_TYPE,
        "cpu": integer(32, Order.HOST),
        "random": integer(32, Order.HOST),
    }
)
BARE = frozenset({"iif", "oif", "iifname", "oifname"})  # printed without `meta`
SHORT = BARE | {"mark", "skuid", "skgid", "cpu"}  # read without it


class Meta(Expression, frozen=True):
    """`meta mark`."""

    key: str

    @property
    def types(self) -> tuple[Datatype, ...]:
        return (TYPES[self.key],)

    def format(self) -> str:
        return self.key if self.key in BARE else f"meta {self.key}"

    def json(self) -> object:
        return {"meta": {"key": self.key}}

    def bind(self, netfilter: Netfilter) -> Getter:
        if self.key == "random":
            random = netfilter.netns.kernel.random
            return lambda skb, context: random.getrandbits(32)
        return _GETTERS[self.key]


def _packet_type(skb: Skb, context: Context) -> Key | None:
    kind = skb.packet_type
    if kind is PacketType.LOOPBACK:
        kind = PacketType.MULTICAST if is_multicast(skb.daddr) else PacketType.BROADCAST
    return kind.value


def _user(skb: Skb, context: Context) -> Key | None:
    owner = owner_of(skb.socket)  # a packet that no program's socket sent has none
    return None if owner is None else owner.uid


def _group(skb: Skb, context: Context) -> Key | None:
    owner = owner_of(skb.socket)
    return None if owner is None else owner.gid


_GETTERS: Mapping[str, Getter] = MappingProxyType(
    {
        "length": lambda skb, context: len(skb.data) - skb.network,
        "protocol": lambda skb, context: _IPV4_ETHERTYPE,
        "mark": lambda skb, context: skb.mark,
        "iif": lambda skb, context: 0 if skb.in_link is None else skb.in_link.index,
        "oif": lambda skb, context: 0 if skb.out_link is None else skb.out_link.index,
        "iifname": lambda skb, context: "" if skb.in_link is None else skb.in_link.name,
        "oifname": lambda skb, context: "" if skb.out_link is None else skb.out_link.name,
        "skuid": _user,
        "skgid": _group,
        "nfproto": lambda skb, context: _NFPROTO_IPV4,
        "l4proto": lambda skb, context: skb.protocol,
        "pkttype": _packet_type,
        "cpu": lambda skb, context: 0,
    }
)
