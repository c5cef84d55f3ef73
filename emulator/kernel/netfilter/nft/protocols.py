"""What a rule has said of a packet's protocols so far (`struct proto_ctx`): fields of others contradict it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.netfilter.conntrack.tuple import ICMP, PORT_PROTOCOLS, TCP
from emulator.kernel.netfilter.nft.expression.ct import Ct
from emulator.kernel.netfilter.nft.expression.expression import Concatenation, Expression
from emulator.kernel.netfilter.nft.expression.meta import Meta
from emulator.kernel.netfilter.nft.expression.payload import ICMPV6, TRANSPORT_NAMES, Payload
from emulator.kernel.netfilter.nft.statement.match import Match

if TYPE_CHECKING:
    from emulator.kernel.netfilter.nft.script.reader import Scope
    from emulator.kernel.netfilter.nft.statement.statement import Statement

_NAMES = {**TRANSPORT_NAMES, ICMP: "icmp", ICMPV6: "icmpv6"}
_NETWORKS = {2: "ip", 10: "ip6"}
_ETHER_NETWORKS = {0x0800: "ip", 0x86DD: "ip6"}


class Protocols:
    """`network` is "ip", "ip6" or "" for any; `transport` a protocol number or -1; `several`: a set of them."""

    __slots__ = ("_scope", "network", "several", "transport")

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.network = "" if scope.table.family == "inet" else scope.table.family
        self.transport = -1
        self.several = False

    def require(self, expression: Expression, first: int, last: int) -> None:
        """Note what an expression needs. NftError where something else was said."""
        parts = expression.parts if isinstance(expression, Concatenation) else (expression,)
        for part in parts:
            network, transport = part.network, part.transport
            if network:
                if self.network and network != self.network:
                    self._conflict(self.network, network, first, last)
                self.network = network
            if transport >= 0:
                if self.transport >= 0 and transport != self.transport:
                    self._conflict(_name(self.transport), _name(transport), first, last)
                self.transport = transport

    def require_tcp(self, at: int) -> None:
        """`reject with tcp reset`."""
        if self.transport not in (-1, TCP):
            self._conflict(_name(self.transport), "tcp", at, at + 1)
        self.transport = TCP

    def _conflict(self, one: str, other: str, first: int, last: int) -> None:
        message = f"conflicting protocols specified: {one} vs. {other}"
        raise self._scope.tokens.error_at(message, first, last)

    @property
    def has_ports(self) -> bool:
        """Whether the rule has said that the packet is of a protocol with ports."""
        return self.transport in PORT_PROTOCOLS or self.several

    def note(self, statement: Statement, first: int, last: int) -> None:
        """Note what a comparison says."""
        if not isinstance(statement, Match) or statement.operator != "==":
            return
        left, right = statement.left, statement.right
        if says_transport(left):
            if isinstance(right, int):
                self.transport = right
            else:
                self.several = True
        elif isinstance(left, Meta) and isinstance(right, int):
            known = {"nfproto": _NETWORKS, "protocol": _ETHER_NETWORKS}.get(left.key, {})
            self.network = known.get(right, self.network)


def says_transport(left: Expression) -> bool:
    """Whether an expression is the number of the transport protocol."""
    if isinstance(left, Meta):
        return left.key == "l4proto"
    if isinstance(left, Ct):
        return left.key == "protocol"
    return isinstance(left, Payload) and (left.protocol, left.field) in (("ip", "protocol"), ("ip6", "nexthdr"))


def _name(number: int) -> str:
    return _NAMES.get(number, str(number))
