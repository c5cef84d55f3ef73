"""The sets of one namespace: created, changed, listed and destroyed by name (ip_set_core.c)."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.ipset.base import IpSet
from emulator.kernel.netfilter.ipset.command import Settings
from emulator.kernel.netfilter.ipset.error import NO_SET, IpsetError, IpsetSyntaxError
from emulator.kernel.netfilter.ipset.number import check_name
from emulator.kernel.netfilter.ipset.parser import parse_create
from emulator.kernel.netfilter.ipset.restore import Restorer
from emulator.kernel.netfilter.ipset.text import Mode, Style, show_sets
from emulator.kernel.netfilter.ipset.type import SET_TYPES

if TYPE_CHECKING:
    from emulator.kernel.kernel import Kernel
    from emulator.kernel.netfilter.netfilter import Netfilter

_LONGEST_TYPE = 31
_IN_USE = "Set cannot be destroyed: it is in use by a kernel component"


class Slot:
    """A name and the set that it stands for now. Rules and list:sets hold slots, so `swap` changes what they see."""

    __slots__ = ("name", "references", "set")

    def __init__(self, name: str, set_: IpSet) -> None:
        self.name = name
        self.set = set_
        self.references = 0  # list:sets that it is in


class Sets:
    """Names to slots, in the order of the kernel's indexes."""

    def __init__(self, netfilter: Netfilter) -> None:
        self._netfilter = netfilter
        self.kernel: Kernel = netfilter.netns.kernel
        self._slots: list[Slot | None] = []
        self._by_name: dict[str, Slot] = {}
        self._counted: tuple[int, Counter[str]] = (-1, Counter())

    def __iter__(self) -> Iterator[Slot]:
        """Yield the slots as the kernel dumps them: list:sets last."""
        slots = [slot for slot in self._slots if slot is not None]
        yield from (slot for slot in slots if "last" not in slot.set.features)
        yield from (slot for slot in slots if "last" in slot.set.features)

    def find(self, name: str) -> Slot | None:
        """Return a slot by name."""
        return self._by_name.get(name)

    def get(self, name: str) -> Slot:
        """Return a slot that must be there."""
        slot = self._by_name.get(name)
        if slot is None:
            raise IpsetError(NO_SET)
        return slot

    def references(self, slot: Slot) -> int:
        """Return how many rules and list:sets use a set."""
        generation, counted = self._counted
        if generation != self._netfilter.generation:
            counted = Counter(self._netfilter.set_names())
            self._counted = self._netfilter.generation, counted
        return slot.references + counted[slot.name]

    # Commands

    def create(self, name: str, type_name: str, words: Sequence[str] = (), *, exist: bool = False) -> None:
        """`create NAME TYPE OPTIONS`."""
        check_name(name)
        if len(type_name) > _LONGEST_TYPE:
            raise IpsetSyntaxError(f"typename '{type_name}' is longer than {_LONGEST_TYPE} characters")
        kind = SET_TYPES.get(type_name)
        if kind is None:
            raise IpsetSyntaxError(f"typename '{type_name}' is unknown")
        made = kind(parse_create(kind, words), self)
        known = self._by_name.get(name)
        if known is not None:
            if exist and known.set.name == made.name and known.set.resembles(made):
                return
            raise IpsetError("Set cannot be created: set with the same name already exists")
        slot = Slot(name, made)
        if None in self._slots:
            self._slots[self._slots.index(None)] = slot
        else:
            self._slots.append(slot)
        self._by_name[name] = slot

    def destroy(self, name: str | None = None) -> None:
        """`destroy [NAME]`: one set, or all, if nothing uses them."""
        slots = list(self) if name is None else [self.get(name)]
        if any(self.references(slot) for slot in slots):
            raise IpsetError(_IN_USE)
        for slot in slots:
            slot.set.close()
            self._slots[self._slots.index(slot)] = None
            del self._by_name[slot.name]

    def flush(self, name: str | None = None) -> None:
        """`flush [NAME]`."""
        for slot in list(self) if name is None else [self.get(name)]:
            slot.set.flush()

    def rename(self, old: str, new: str) -> None:
        """`rename OLD NEW`; not what rules or list:sets use."""
        slot = self.get(old)
        if self.references(slot):
            raise IpsetError("Set cannot be renamed: it is in use by another system")
        if new in self._by_name:
            raise IpsetError("Set cannot be renamed: a set with the new name already exists")
        del self._by_name[old]
        slot.name = new
        self._by_name[new] = slot

    def swap(self, one: str, other: str) -> None:
        """`swap ONE OTHER`: each name, and whoever uses it, has the other's elements."""
        first = self.get(one)
        second = self._by_name.get(other)
        if second is None:
            raise IpsetError("Sets cannot be swapped: the second set does not exist")
        if first.set.features != second.set.features or first.set.family is not second.set.family:
            raise IpsetError("The sets cannot be swapped: their type does not match")
        first.set, second.set = second.set, first.set

    # Texts

    def restore(self, text: str, *, exist: bool = False) -> None:
        """Carry out the lines of `ipset save`'s output; `exist` forgives what is there already.

        IpsetRestoreError for a line that cannot be; what came before stays, but for elements of the same message.
        """
        deque(Restorer(self, Settings(flags={"-!"} if exist else set())).run(text), maxlen=0)

    def save(self, name: str | None = None) -> str:
        """Return the sets as `ipset save` prints them."""
        slots = list(self) if name is None else [self.get(name)]
        return show_sets(self, slots, Style(Mode.SAVE))
