"""Sets as text: `ipset save` (lib/session.c)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipset.sets import Slot


def words(fields: Sequence[tuple[str, str]]) -> str:
    """Print options, each with its value."""
    return " ".join(f"{name} {value}" if value else name for name, value in fields)


def save_set(slot: Slot) -> Iterator[str]:
    """Yield the lines that make a set again."""
    set_ = slot.set
    yield f"create {slot.name} {set_.name} {words(set_.header())}\n"
    for member in set_.members():
        yield f"add {slot.name} {' '.join([member.text, words(member.fields)]).rstrip()}\n"
