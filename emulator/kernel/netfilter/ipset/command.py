"""The `ipset` command: one command line, or in `restore` one after another (lib/ipset.c)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct, field

from emulator.kernel.netfilter.ipset.element import show_element
from emulator.kernel.netfilter.ipset.error import IpsetError, IpsetSyntaxError, IpsetUsageError
from emulator.kernel.netfilter.ipset.number import check_name
from emulator.kernel.netfilter.ipset.parser import ElementCommand, parse_element_command
from emulator.kernel.netfilter.ipset.text import Mode, Style, show_sets

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipset.sets import Sets, Slot


class Word(NamedTuple):
    """A command's names, the first its real one, and how many words must follow."""

    names: tuple[str, ...]
    needs: int


# In the order in which a word is looked up: the beginning of any name will do.
COMMANDS = (
    Word(("create", "new", "-N"), 2),
    Word(("add", "-A"), 2),
    Word(("del", "-D"), 2),
    Word(("test", "-T"), 2),
    Word(("destroy", "x", "-X"), 0),
    Word(("list", "-L"), 0),
    Word(("save", "-S"), 0),
    Word(("restore", "-R"), 0),
    Word(("flush", "-F"), 0),
    Word(("rename", "e", "-E"), 2),
    Word(("swap", "w", "-W"), 2),
    Word(("help", "-h", "-H"), 0),
    Word(("version", "-v", "-V"), 0),
    Word(("quit",), 0),
)
_BY_NAME = {command.names[0]: command for command in COMMANDS}
_NOT_IN_RESTORE = frozenset({"restore", "help", "version"})
_TAKING_MORE = frozenset({"create", "add", "del", "test", "help", "version", "quit"})
# Options that may stand anywhere; those with a value first, as the real tool takes them one kind after another.
_OPTIONS = (
    (("-o", "-output"), True),
    (("-s", "-sorted"), False),
    (("-q", "-quiet"), False),
    (("-r", "-resolve"), False),
    (("-!", "-exist"), False),
    (("-n", "-name"), False),
    (("-t", "-terse"), False),
    (("-f", "-file"), True),
)


class Settings(Struct):
    """What the options said so far: in `restore` they hold for all lines that follow."""

    mode: Mode | None = None
    file: str = ""
    flags: set[str] = field(default_factory=set)

    @property
    def exist(self) -> bool:
        """`-exist`."""
        return "-!" in self.flags

    @property
    def quiet(self) -> bool:
        """`-quiet`."""
        return "-q" in self.flags

    def take(self, words: Sequence[str]) -> list[str]:
        """Take the options out of a command line and return what is left."""
        left = list(words)
        if not any(word[:1] == "-" for word in left):
            return left
        for names, valued in _OPTIONS:
            at = 0
            while at < len(left):
                word = left[at]
                if (word[1:] if word[:2] == "--" else word) not in names:
                    at += 1
                    continue
                del left[at]
                if not valued:
                    self.flags.add(names[0])
                elif at < len(left):
                    self._set(names[0], left.pop(at))
                else:
                    raise IpsetUsageError(f"Missing mandatory argument to option {names[0]}")
        return left

    def _set(self, name: str, value: str) -> None:
        if name == "-f":
            self.file = value
            return
        try:
            self.mode = Mode(value)
        except ValueError:
            raise IpsetSyntaxError(f"unknown output mode '{value}'") from None


class CommandLine(NamedTuple):
    """A command by its real name, and the words behind it."""

    name: str
    words: list[str]


def parse_line(settings: Settings, words: Sequence[str], *, restoring: bool = False) -> CommandLine:
    """Take the options and find the command."""
    left = settings.take(words)
    if not left:
        raise IpsetUsageError("No command specified.")
    command = _BY_NAME.get(left[0]) or next((each for each in COMMANDS if _matches(left[0], each.names)), None)
    if command is None:
        raise IpsetUsageError(f"No command specified: unknown argument {left[0]}")
    name, rest = command.names[0], left[1:]
    if restoring and name in _NOT_IN_RESTORE:
        raise IpsetUsageError(f"Command `{name}' is invalid in restore mode.")
    for needed, which in ((1, "mandatory"), (2, "second mandatory")):
        if needed <= command.needs and len(rest) < needed:
            raise IpsetUsageError(f"Missing {which} argument to command {name}")
    most = 0 if name == "restore" else command.needs or 1
    if len(rest) > most and name not in _TAKING_MORE:
        raise IpsetUsageError(f"Unknown argument {rest[most]}")
    return CommandLine(name, rest)


def _matches(word: str, names: tuple[str, ...]) -> bool:
    beginning = word[2:] if word[:2] == "--" else word
    return beginning not in ("", "-") and any(name.startswith(beginning) for name in names)


class Answer(NamedTuple):
    """What a command prints, and its exit status."""

    output: str = ""
    errors: str = ""
    status: int = 0


def run(sets: Sets, settings: Settings, line: CommandLine) -> Answer:
    """Carry out one command, but for restore, help, version and quit. IpsetError if it cannot be."""
    name, words = line
    if name in ("list", "save"):
        return Answer(_show(sets, settings, name, words))
    if name in ("destroy", "flush"):
        label = check_name(words[0]) if words else None
        _forgiving(settings, sets.destroy if name == "destroy" else sets.flush, label)
    elif name in ("rename", "swap"):
        (sets.rename if name == "rename" else sets.swap)(check_name(words[0]), check_name(words[1]))
    elif name == "create":
        sets.create(words[0], words[1], words[2:], exist=settings.exist)
    else:
        slot, command = parse_element(sets, name, words)
        return _test(settings, slot, command) if name == "test" else change(slot, name, command, exist=settings.exist)
    return Answer()


def _forgiving(settings: Settings, action: Callable[[str | None], None], label: str | None) -> None:
    try:
        action(label)
    except IpsetError:
        if not settings.exist:
            raise


def _show(sets: Sets, settings: Settings, name: str, words: list[str]) -> str:
    slots = [sets.get(check_name(words[0]))] if words else list(sets)
    if settings.mode is None:
        settings.mode = Mode.PLAIN if name == "list" else Mode.SAVE
    flags = settings.flags
    return show_sets(sets, slots, Style(settings.mode, "-s" in flags, "-n" in flags, "-t" in flags))


def parse_element(sets: Sets, name: str, words: Sequence[str]) -> tuple[Slot, ElementCommand]:
    """Read `add`, `del` or `test` against the set that it names."""
    slot = sets.get(check_name(words[0]))
    return slot, parse_element_command(slot.set, name, words[1:])


def change(slot: Slot, name: str, command: ElementCommand, *, exist: bool) -> Answer:
    """Add or delete."""
    if name == "add":
        slot.set.add(command.element, command.given, exist=exist)
    else:
        slot.set.delete(command.element, exist=exist)
    return Answer()


def _test(settings: Settings, slot: Slot, command: ElementCommand) -> Answer:
    try:
        found = slot.set.test(command.element, nomatch=command.given.nomatch)
    except IpsetError:
        found = False  # whatever the kernel has against the element
    shown = show_element(command.element, slot.set.parts)
    text = f"Warning: {shown} is in set {slot.name}.\n" if found else f"{shown} is NOT in set {slot.name}.\n"
    return Answer("", "" if settings.quiet else text, 0 if found else 1)
