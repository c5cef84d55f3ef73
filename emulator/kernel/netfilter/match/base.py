"""What a match is: a frozen value that a rule has, read from options, printed as options, asked for each packet."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from typing import Self

    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb


class Match(ABC):
    """One `-m` of a rule. A subclass is registered by being imported in `emulator.kernel.netfilter.match`."""

    __slots__ = ()
    name: ClassVar[str]
    options: ClassVar[Mapping[str, int]]  # option, with its dashes, to its number of values
    needs_conntrack: ClassVar[bool] = False
    has_memory: ClassVar[bool] = False  # whether being asked about a packet changes what it answers later

    @classmethod
    @abstractmethod
    def parse(cls, options: Options) -> Self:
        """Read the match from its options. RuleError if they make no sense."""

    @abstractmethod
    def format(self) -> str:
        """Print the options as iptables-save does, without `-m name`."""

    @abstractmethod
    def listing(self, names: Names) -> str:
        """Print it as `iptables -L` does."""

    @abstractmethod
    def matches(self, skb: Skb, context: Context) -> bool:
        """Whether a packet matches. It must have been parsed up to its ports."""

    def set_names(self) -> tuple[str, ...]:
        """Return the names of the sets that it asks (`ipset`): these cannot be destroyed."""
        return ()

    def check(self, netfilter: Netfilter) -> None:  # noqa: B027 - most have nothing to ask for
        """Refuse with RuleError what the namespace does not have, before the rule is taken in."""

    def bind(self, netfilter: Netfilter) -> Callable[[Skb, Context], bool]:
        """Return what a rule calls for each packet. A match with a memory makes it here, for one rule."""
        return self.matches
