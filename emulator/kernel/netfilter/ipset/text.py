"""Sets as text: what `ipset list` and `ipset save` print, plain, as commands or as XML (lib/session.c)."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.kernel.netfilter.ipset.base import Member
from emulator.kernel.netfilter.ipset.order import sort_lines

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipset.sets import Sets, Slot


class Mode(enum.Enum):
    """`-o`."""

    PLAIN = "plain"
    SAVE = "save"
    XML = "xml"


class Style(Struct, frozen=True):
    """What to print: -o, -s, -n and -t."""

    mode: Mode = Mode.PLAIN
    sorted: bool = False
    names: bool = False
    terse: bool = False


def show_sets(sets: Sets, slots: Sequence[Slot], style: Style) -> str:
    """Return the sets as text."""
    if style.mode is Mode.SAVE:  # which knows neither -n nor -t
        return "".join(line for slot in slots for line in _save(slot, style))
    if style.mode is Mode.XML:
        return "".join(["<ipsets>\n", *(line for slot in slots for line in _xml(sets, slot, style)), "</ipsets>\n"])
    if style.names:
        return "".join(f"{slot.name}\n" for slot in slots)
    return "\n".join("".join(_plain(sets, slot, style)) for slot in slots)


def _words(fields: Sequence[tuple[str, str]]) -> str:
    return " ".join(f"{name} {value}" if value else name for name, value in fields)


def _line(member: Member, prefix: str = "") -> str:
    fields = f" {_words(member.fields)}" if member.fields else ""
    return f"{prefix}{member.text}{fields}\n"


def _lines(slot: Slot, style: Style, lines: list[str], skip: int = 0) -> list[str]:
    """Sort the lines of a set's elements if asked to; a list of sets has an order of its own."""
    return sort_lines(lines, skip) if style.sorted and "name" not in slot.set.features else lines


def _save(slot: Slot, style: Style) -> Iterator[str]:
    set_ = slot.set
    yield f"create {slot.name} {set_.name} {_words(set_.header())}\n"
    prefix = f"add {slot.name} "
    yield from _lines(slot, style, [_line(member, prefix) for member in set_.members()], len(prefix))


def _plain(sets: Sets, slot: Slot, style: Style) -> Iterator[str]:
    set_ = slot.set
    yield f"Name: {slot.name}\nType: {set_.name}\nRevision: {set_.revision}\nHeader: {_words(set_.header())}\n"
    yield f"Size in memory: {set_.memory()}\nReferences: {sets.references(slot)}\nNumber of entries: {set_.count()}\n"
    if not style.terse:
        yield "Members:\n"
        yield from _lines(slot, style, [_line(member) for member in set_.members()])


def _tag(name: str, value: str) -> str:
    return f"<{name}>{value}</{name}>" if value else f"<{name}/>"


def _xml(sets: Sets, slot: Slot, style: Style) -> Iterator[str]:
    set_ = slot.set
    if style.names:
        yield f'<ipset name="{slot.name}"/>\n'
        return
    yield f'<ipset name="{slot.name}">\n{_tag("type", set_.name)}\n{_tag("revision", str(set_.revision))}\n<header>'
    yield "".join(_tag(*field) for field in set_.header()) + "\n"
    yield f"{_tag('memsize', str(set_.memory()))}\n{_tag('references', str(sets.references(slot)))}\n"
    yield f"{_tag('numentries', str(set_.count()))}\n</header>\n"
    if not style.terse:
        opening = "<member><elem>"
        lines = [
            f"{opening}{member.text}</elem>{''.join(_tag(*field) for field in member.fields)}</member>\n"
            for member in set_.members()
        ]
        yield "<members>\n"
        yield from _lines(slot, style, lines, len(opening))
        yield "</members>\n"
    yield "</ipset>\n"
