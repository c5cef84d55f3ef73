"""What a target is: a frozen value that a rule has, read from options, printed as options, applied to its packets."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct

from emulator.kernel.drop import DropReason
from emulator.kernel.netfilter.hook import Hook, Verdict
from emulator.kernel.netfilter.value import AbstractStructMeta

if TYPE_CHECKING:
    from typing import Self

    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

ALL_HOOKS = frozenset(Hook)


class Target(Struct, metaclass=AbstractStructMeta, frozen=True):
    """The `-j` of a rule, where it is not a chain.

    `tables` and `hooks` say where it may stand: an empty `tables` is all. A rule in a user chain is checked against
    the hooks that its chain can be reached from.
    """

    name: ClassVar[str]
    options: ClassVar[Mapping[str, int]]
    invertible: ClassVar[frozenset[str]] = frozenset()  # the options that may have a ! before them
    repeatable: ClassVar[frozenset[str]] = frozenset()  # the options that may be given several times
    tables: ClassVar[frozenset[str]] = frozenset()
    hooks: ClassVar[frozenset[Hook]] = ALL_HOOKS
    needs_conntrack: ClassVar[bool] = False
    prepares: ClassVar[bool] = False  # whether `prepare` is wanted
    resizes: ClassVar[bool] = False  # whether the packet may be longer behind it
    reason: ClassVar[DropReason] = DropReason.NETFILTER_DROP  # what a DROP that it gives is counted as

    def tracks(self) -> bool:
        """Whether connection tracking is switched on as long as a rule has this."""
        return self.needs_conntrack

    @classmethod
    @abstractmethod
    def parse(cls, options: Options) -> Self:
        """Read the target from its options. RuleError if they make no sense."""

    @abstractmethod
    def format(self) -> str:
        """Print the options as iptables-save does, without `-j NAME`."""

    @classmethod
    def listed_name(cls) -> str:
        """What stands in the first column of `iptables -L`."""
        return cls.name

    def listing(self, names: Names) -> str:
        """Print the rest as `iptables -L` does."""
        return ""

    def set_names(self) -> tuple[str, ...]:
        """Return the names of the sets that it changes (`ipset`): these cannot be destroyed."""
        return ()

    def check(self, netfilter: Netfilter, table: str, chain: str) -> None:
        """Refuse with RuleError what the namespace does not have, before the rule is taken in."""

    def prepare(self, netfilter: Netfilter) -> None:
        """Switch on what the namespace needs for it, when a rule that has it is loaded."""

    def logged(self, skb: Skb) -> str:
        """Return the line that it writes to the kernel's log about a packet; empty if it writes none."""
        return ""

    @abstractmethod
    def apply(self, skb: Skb, context: Context) -> Verdict | None:
        """Do it. None: the next rule is looked at. On DROP the caller counts the packet with `reason`."""

    def after_drop(self, skb: Skb, context: Context) -> None:
        """Tell the sender of a packet that was dropped, once the drop is counted."""
