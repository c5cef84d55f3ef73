"""What a match is: a frozen value that a rule has, read from options, printed as options, asked for each packet."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct

from emulator.kernel.netfilter.hook import Hook
from emulator.kernel.netfilter.value import AbstractStructMeta

if TYPE_CHECKING:
    from typing import Self

    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb


ALL_HOOKS = frozenset(Hook)

Memory = tuple[str, str]
"""What rules share by name: "recent" or "hashlimit", and the name of the list or table."""


class Hotdrop(Exception):  # noqa: N818 - xt_action_param.hotdrop; no error, but a way out of a rule's tests
    """A match could not read the packet, or has no room to remember it: the packet is dropped there and then."""

    def __init__(self, match: str) -> None:
        self.match = match
        super().__init__(match)


class Match(Struct, metaclass=AbstractStructMeta, frozen=True):
    """One `-m` of a rule. A subclass is registered by being imported in `emulator.kernel.netfilter.match`.

    `tables` and `hooks` say where it may stand: an empty `tables` is all. A rule in a user chain is checked against
    the hooks that its chain can be reached from.
    """

    name: ClassVar[str]
    options: ClassVar[Mapping[str, int]]  # option, with its dashes, to its number of values
    invertible: ClassVar[frozenset[str]] = frozenset()  # the options that may have a ! before them
    repeatable: ClassVar[frozenset[str]] = frozenset()  # the options that may be given several times
    tables: ClassVar[frozenset[str]] = frozenset()
    needs_conntrack: ClassVar[bool] = False
    prepares: ClassVar[bool] = False  # whether `prepare` is wanted without a memory too
    has_memory: ClassVar[bool] = False  # whether being asked about a packet changes what it answers later

    @property
    def hooks(self) -> frozenset[Hook]:
        """The hooks at which its rule may stand, which can depend on its options."""
        return ALL_HOOKS

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

    def seen(self, skb: Skb, context: Context) -> str:
        """What the packet has where this match looks, for a trace: `port 53`. Empty where that cannot be told.

        It changes nothing: it may be asked after the match was.
        """
        return ""

    def set_names(self) -> tuple[str, ...]:
        """Return the names of the sets that it asks (`ipset`): these cannot be destroyed."""
        return ()

    def memory(self) -> Memory | None:
        """Return what the match shares with others of its name, which lasts as long as any rule names it."""
        return None

    def check(self, netfilter: Netfilter, table: str, chain: str) -> None:
        """Refuse with RuleError what the namespace does not have, before the rule is taken in."""

    def prepare(self, netfilter: Netfilter) -> None:
        """Make what the match shares with others, when a rule that has it is loaded."""

    def bind(self, netfilter: Netfilter) -> Callable[[Skb, Context], bool]:
        """Return what a rule calls for each packet. A match with a memory makes it here, for one rule."""
        return self.matches
