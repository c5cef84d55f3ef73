"""What a rule asks of a set: which of the packet's addresses and ports, and what the element's counters must be."""

from __future__ import annotations

import enum

from msgspec import Struct
from msgspec.structs import replace

from emulator.kernel.netfilter.ipset.extension import Entry


class Comparison(enum.Enum):
    """How a counter is compared (IPSET_COUNTER_*)."""

    EQ = "eq"
    NE = "ne"
    LT = "lt"
    GT = "gt"


class CounterTest(Struct, frozen=True):
    """`--packets-gt 5` and its like."""

    comparison: Comparison
    value: int

    def holds(self, counter: int) -> bool:
        """Whether a counter passes."""
        match self.comparison:
            case Comparison.EQ:
                return counter == self.value
            case Comparison.NE:
                return counter != self.value
            case Comparison.LT:
                return counter < self.value
            case Comparison.GT:
                return counter > self.value


class Query(Struct, frozen=True):
    """`sources` says for each dimension whether it is the packet's source.

    `update_counters` False is `! --update-counters`; `update_subcounters` is for the members of a list:set.
    """

    sources: tuple[bool, ...]
    return_nomatch: bool = False
    update_counters: bool = True
    update_subcounters: bool = True
    packets: CounterTest | None = None
    bytes: CounterTest | None = None

    def for_members(self) -> Query:
        """Return what a list:set asks its members: their counters are not compared, nor counted if they need not be."""
        count = self.update_counters and self.update_subcounters
        if self.packets is None and self.bytes is None and count is self.update_counters:
            return self
        return replace(self, packets=None, bytes=None, update_counters=count)

    def accepts(self, entry: Entry) -> bool:
        """Whether an element's counters are what the rule wants."""
        return (self.packets is None or self.packets.holds(entry.packets)) and (
            self.bytes is None or self.bytes.holds(entry.bytes)
        )


class Addition(Struct, frozen=True):
    """What `-j SET --add-set` asks for beside the element: `--exist` and `--timeout`."""

    sources: tuple[bool, ...]
    exist: bool = False
    timeout: int | None = None
