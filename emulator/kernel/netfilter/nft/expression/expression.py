"""What a rule reads of a packet: the base of all expressions, and concatenations and masks of them.

`bind` compiles an expression to a closure that returns the value, or None where there is none to read: the rule then
does not match (NFT_BREAK).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.kernel.netfilter.nft.datatype import Datatype, Scalar
from emulator.kernel.netfilter.value import AbstractStructMeta

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.skb import Skb

Key = Scalar | tuple[Scalar, ...]
Getter = Callable[["Skb", "Context"], "Key | None"]


class Expression(Struct, metaclass=AbstractStructMeta, frozen=True):
    """One value of a packet. `types` has its type, of a concatenation those of its parts."""

    @property
    @abstractmethod
    def types(self) -> tuple[Datatype, ...]:
        """The types of its parts."""

    @abstractmethod
    def format(self) -> str:
        """Print it."""

    @abstractmethod
    def json(self) -> object:
        """Return it as libnftables' JSON has it."""

    @abstractmethod
    def bind(self, netfilter: Netfilter) -> Getter:
        """Compile it for a namespace."""

    @property
    def needs_conntrack(self) -> bool:
        """Whether the kernel switches connection tracking on for it."""
        return False

    @property
    def network(self) -> str:
        """The network protocol that the packet must have for it: "ip", "ip6" or none."""
        return ""

    @property
    def transport(self) -> int:
        """The transport protocol that the packet must have for it, or -1."""
        return -1

    @property
    def datatype(self) -> Datatype:
        """The type of one that is no concatenation."""
        return self.types[0]


class Concatenation(Expression, frozen=True):
    """`ip daddr . meta l4proto . th dport`; its value is a tuple."""

    parts: tuple[Expression, ...]

    @property
    def types(self) -> tuple[Datatype, ...]:
        return tuple(part.datatype for part in self.parts)

    def format(self) -> str:
        return " . ".join(part.format() for part in self.parts)

    def json(self) -> object:
        return {"concat": [part.json() for part in self.parts]}

    @property
    def needs_conntrack(self) -> bool:
        return any(part.needs_conntrack for part in self.parts)

    @property
    def network(self) -> str:
        return next((part.network for part in self.parts if part.network), "")

    @property
    def transport(self) -> int:
        return next((part.transport for part in self.parts if part.transport >= 0), -1)

    def bind(self, netfilter: Netfilter) -> Getter:
        getters = tuple(part.bind(netfilter) for part in self.parts)
        if len(getters) == 3:
            return _three(*getters)

        def concatenation(skb: Skb, context: Context) -> Key | None:
            values: list[Scalar] = []
            for getter in getters:
                value = getter(skb, context)
                if value is None or isinstance(value, tuple):
                    return None
                values.append(value)
            return tuple(values)

        return concatenation


def _three(first: Getter, second: Getter, third: Getter) -> Getter:
    """What kube-proxy asks most: address, protocol and port."""

    def concatenation(skb: Skb, context: Context) -> Key | None:
        one = first(skb, context)
        two = second(skb, context)
        three = third(skb, context)
        if one is None or two is None or three is None:
            return None
        return one, two, three  # type: ignore[return-value]

    return concatenation


class Derived(Expression, frozen=True):
    """What is made of another expression's value: a packet must be for it what it must be for that one."""

    inner: Expression

    @property
    def needs_conntrack(self) -> bool:
        return self.inner.needs_conntrack

    @property
    def network(self) -> str:
        return self.inner.network

    @property
    def transport(self) -> int:
        return self.inner.transport


class Masked(Derived, frozen=True):
    """`meta mark & 0x00004000` on the left of a comparison."""

    mask: int

    @property
    def types(self) -> tuple[Datatype, ...]:
        return self.inner.types

    def format(self) -> str:
        return f"{self.inner.format()} & {format_constant(self.datatype, self.mask)}"

    def json(self) -> object:
        return {"&": [self.inner.json(), self.datatype.json(self.mask)]}

    def bind(self, netfilter: Netfilter) -> Getter:
        inner, mask = self.inner.bind(netfilter), self.mask

        def masked(skb: Skb, context: Context) -> Key | None:
            value = inner(skb, context)
            return value & mask if isinstance(value, int) else None

        return masked


def format_constant(datatype: Datatype, value: Scalar) -> str:
    """Print a constant beside an operator: flags there stand with bars and in brackets."""
    if datatype.bitmask and isinstance(value, int):
        names = datatype.flags(value)
        if len(names) > 1:
            return f"({' | '.join(names)})"
        return names[0] if names else f"{value:#x}"
    return datatype.format(value)
