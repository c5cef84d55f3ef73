"""`ipset restore`: commands from text, one a line, until one fails (lib/session.c).

Elements that follow one another for the same set go to the kernel in one message of at most a page. So a line that
cannot be read takes those before it along that have not been sent yet; one that the kernel refuses does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from emulator.kernel.netfilter.ipset.command import Answer, Settings, change, parse_element, parse_line, run
from emulator.kernel.netfilter.ipset.error import IpsetError, IpsetRestoreError

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipset.parser import ElementCommand
    from emulator.kernel.netfilter.ipset.sets import Sets, Slot

_PAGE = 4096
_ACKNOWLEDGEMENT = 20  # sizeof(struct nlmsgerr), kept free
_HEADER = 40  # of a message: netlink, nfnetlink, protocol, the line's number, the nest of elements
_MOST_WAITING = 10_000
_ATTRIBUTE = 4
_SMALL, _LARGE = 8, 12  # attributes of up to 4 and of 8 bytes


class _Change(NamedTuple):
    """An element that waits to be sent. `exist` is what `-exist` was at its line."""

    line: int
    command: ElementCommand
    exist: bool


class Restorer:
    """Carries out the lines of one text."""

    def __init__(self, sets: Sets, settings: Settings) -> None:
        self._sets = sets
        self._settings = settings
        self._waiting: list[_Change] = []  # all for one set, and all to be added or all to be deleted
        self._slot: Slot | None = None
        self._name = ""

    def run(self, text: str) -> Iterator[Answer]:
        """Carry out all lines, and yield what those say that print something.

        IpsetRestoreError names the line that failed. A `test` that says something ends it, as in the real tool.
        """
        for number, line in enumerate(text.splitlines(), 1):
            line = line.lstrip()
            if not line or line[0] == "#":
                continue
            if line == "COMMIT":
                self._send()
                continue
            try:
                command = parse_line(self._settings, split(line), restoring=True)
                if command.name == "quit":
                    self._send(whole=False)
                    return
                if command.name in ("add", "del"):
                    self._collect(number, command.name, command.words)
                    continue
                self._send()
                answer = run(self._sets, self._settings, command)
            except IpsetError as error:
                self._send(whole=False)
                raise IpsetRestoreError(number, str(error), error.status) from None
            if answer != Answer():
                yield answer
            if command.name == "test" and answer != Answer():
                return
        self._send()

    def _collect(self, number: int, name: str, words: list[str]) -> None:
        slot, command = parse_element(self._sets, name, words)
        if slot is not self._slot or name != self._name:
            self._send()
            self._slot, self._name = slot, name
        elif len(self._waiting) >= _MOST_WAITING:
            self._waiting = self._send(whole=False)
        self._waiting.append(_Change(number, command, self._settings.exist))

    def _send(self, *, whole: bool = True) -> list[_Change]:
        """Carry out what waits; unless `whole`, without the last message, which is not full, and is returned."""
        waiting, self._waiting = self._waiting, []
        if not waiting or self._slot is None:
            return []
        if whole and all(change.exist is waiting[0].exist for change in waiting):
            self._carry_out(self._slot, waiting)  # message for message would come to the same
            return []
        messages = _messages(self._slot, waiting)
        last = [] if whole else messages.pop()
        for message in messages:
            self._carry_out(self._slot, message)
        return last

    def _carry_out(self, slot: Slot, changes: list[_Change]) -> None:
        """Carry changes out, up to the first that is refused; `-exist` counts as it was when their message began."""
        exist = changes[0].exist
        for number, command, _ in changes:
            try:
                change(slot, self._name, command, exist=exist)
            except IpsetError as error:
                raise IpsetRestoreError(number, str(error), error.status) from None


def _messages(slot: Slot, changes: list[_Change]) -> list[list[_Change]]:
    """Divide changes up as they fit into messages."""
    messages: list[list[_Change]] = []
    filled = _PAGE
    for each in changes:
        size, room = _size(each.command)
        if filled + room + _ACKNOWLEDGEMENT > _PAGE:
            messages.append([])
            filled = _HEADER + _text(slot.name)
        messages[-1].append(each)
        filled += size
    return messages


def _text(text: str) -> int:
    """Return the size of a text as an attribute."""
    return _ATTRIBUTE + -(-(len(text.encode()) + 1) // 4) * 4


def _size(command: ElementCommand) -> tuple[int, int]:
    """Return the size of an element in a message, and how much must be free for it.

    Each attribute has a head of 4 bytes, addresses two. Room is asked for one attribute after another, and for a text
    as long as it may be.
    """
    element, given = command
    small = (element.cidr, element.cidr2, element.port, element.port_to, element.mark, element.proto, given.timeout)
    size = _ATTRIBUTE + _SMALL * sum(each is not None for each in small)
    if given.nomatch or element.physdev or element.before:
        size += _SMALL
    room = 0
    for text, longest in ((element.name, 32), (element.reference, 32)):
        if text:
            room = max(room, size + _ATTRIBUTE + longest)
            size += _text(text)
    addresses = (element.ip, element.ip_to, element.ip2, element.ip2_to)
    size += (2 * _ATTRIBUTE + element.family.bits // 8) * sum(each is not None for each in addresses)
    size += _LARGE * sum(each is not None for each in (given.packets, given.bytes, element.ether))
    for text, longest in ((element.interface, 16), (given.comment or "", 256)):
        if text:
            room = max(room, size + _ATTRIBUTE + longest)
            size += _text(text)
    size += _LARGE * (given.mark is not None) + _SMALL * ((given.priority is not None) + (given.queue is not None))
    size += _SMALL  # the line's number
    return size, max(room, size)


def split(line: str) -> list[str]:
    """Split a line into words: quotes keep spaces together and are dropped, as is a word whose quote does not end."""
    if '"' not in line:
        return line.split()
    words: list[str] = []
    word = ""
    quoted = False
    for character in line:
        if character == '"':
            quoted = not quoted
        elif quoted or not character.isspace():
            word += character
        elif word:
            words.append(word)
            word = ""
    return [*words, word] if word and not quoted else words
