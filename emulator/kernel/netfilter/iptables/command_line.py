"""A command line of iptables taken apart: one command with its chain, how to print, and the words of the rule.

Options may stand in any order (iptables/xshared.c, do_parse); what belongs to the rule is left to the rule parser.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec import Struct, field

from emulator.kernel.netfilter.error import OtherFamilyError, RuleError
from emulator.kernel.netfilter.extensions import Extensions
from emulator.kernel.netfilter.iptables.listing import Style
from emulator.kernel.netfilter.iptables.rule_parser import LONG_OPTIONS, joined, unknown_match
from emulator.kernel.netfilter.match import MATCHES
from emulator.kernel.netfilter.options import expand
from emulator.kernel.netfilter.target import TARGETS
from emulator.packet.digits import is_natural

if TYPE_CHECKING:
    from emulator.kernel.netfilter.match.base import Match
    from emulator.kernel.netfilter.target.base import Target

COMMANDS = {
    "--append": "-A",
    "--delete": "-D",
    "--check": "-C",
    "--insert": "-I",
    "--replace": "-R",
    "--list": "-L",
    "--list-rules": "-S",
    "--flush": "-F",
    "--zero": "-Z",
    "--new-chain": "-N",
    "--delete-chain": "-X",
    "--rename-chain": "-E",
    "--policy": "-P",
}
RULE_COMMANDS = frozenset({"-A", "-I", "-D", "-R", "-C"})
_GENERAL = {
    "--table": "-t",
    "--numeric": "-n",
    "--verbose": "-v",
    "--exact": "-x",
    "--line-numbers": "-0",
    "--wait": "-w",
    "--modprobe": "-M",
}
_LONG = {**COMMANDS, **_GENERAL, **LONG_OPTIONS}
_SHORT = frozenset(COMMANDS.values())
_NEEDS_CHAIN = frozenset({"-A", "-D", "-C", "-I", "-R", "-N", "-E", "-P"})
_TAKES_NUMBER = frozenset({"-D", "-I", "-R", "-L", "-S", "-Z"})
_VALUES = dict.fromkeys(("-s", "-d", "-p", "-j", "-g", "-i", "-o", "-m"), 1) | {"-c": 2}
# What may not go with a command, of -n -s -d -p -j -x -i -o --line-numbers -c -f, in the order in which it is told.
_RULE, _PRINTING = ("-s", "-d", "-p", "-j", "-i", "-o", "-c", "-f"), ("-n", "-x", "-0")
_TOLD = ("-n", "-s", "-d", "-p", "-j", "-x", "-i", "-o", "-0", "-c", "-f")
_ALLOWED = {
    **dict.fromkeys(("-A", "-I", "-R"), frozenset(_RULE)),
    **dict.fromkeys(("-D", "-C"), frozenset(_RULE) - {"-c"}),
    "-L": frozenset(_PRINTING),
    "-P": frozenset({"-c"}),
}


_NAMING: dict[str, Extensions[Match] | Extensions[Target]] = {"-m": MATCHES, "-j": TARGETS}
_SEVERAL = {"--set": 0}
"""Options that two extensions have with different numbers of values: the fewest."""


def _extension_values(option: str) -> int | None:
    """Return how many values an option of an extension takes, None if none has it; those in use are asked first."""
    if option in _SEVERAL:
        return _SEVERAL[option]
    loaded: tuple[type[Match | Target], ...] = (*MATCHES.loaded(), *TARGETS.loaded())
    for kind in loaded:
        if option in kind.options:
            return kind.options[option]
    return next((kind.options[option] for kind in _extensions() if option in kind.options), None)


def _named(words: Sequence[str]) -> Iterator[type[Match | Target]]:
    """Yield the extensions that the words so far have loaded: the match of -p too."""
    for flag, name in pairwise(words):
        if flag in ("-m", "-p") and name in MATCHES:
            yield MATCHES[name]
        elif flag == "-j" and name in TARGETS:
            yield TARGETS[name]


def _extensions() -> Iterator[type[Match | Target]]:
    yield from MATCHES.values()
    yield from TARGETS.values()


class CommandLine(Struct):
    """What was asked for. `words` are those of the rule; `number` is from 1, and None where none was given."""

    table: str | None = None
    command: str = ""
    chain: str | None = None
    number: int | None = None
    argument: str = ""  # the new name of -E, the policy of -P
    also_zero: bool = False  # -Z beside -L or -S
    words: list[str] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)  # of _TOLD, and -v

    @property
    def style(self) -> Style:
        """How a listing is to be printed."""
        flags = self.flags
        return Style(numeric="-n" in flags, verbose="-v" in flags, exact="-x" in flags, numbered="-0" in flags)


def read_command_line(words: Sequence[str]) -> CommandLine:
    """Take a command line apart. RuleError for what iptables would not understand."""
    line = CommandLine()
    remaining = deque(words)
    while remaining:
        _take(line, remaining.popleft(), remaining)
    if not line.command:
        raise RuleError(_odd(line.words) or "no command specified")
    _refuse_illegal(line)
    return line


def _take(line: CommandLine, word: str, remaining: deque[str]) -> None:
    if len(word) > 2 and word[0] == "-" and word[1] != "-":  # flags in one word; the last may have an argument
        flags = [f"-{letter}" for letter in word[1:]]
        if all(flag in ("-n", "-v", "-x", "-4") for flag in flags[:-1]):
            line.flags.update(flags[:-1])
            word = flags[-1]
    option = _LONG.get(word, word)
    if option == word and word[:2] == "--":
        extensions = {name for kind in _named(line.words) for name in kind.options}
        if word not in extensions:
            option = _LONG.get(expand(word, (*_LONG, *extensions)), word)
    if option in _SHORT:
        _take_command(line, option, word, remaining)
    elif option in ("-t", "-M"):
        if not remaining:
            raise RuleError(f'option "{word}" requires an argument')
        value = remaining.popleft()
        line.table = value if option == "-t" else line.table
    elif option in ("-n", "-v", "-x", "-0"):
        line.flags.add(option)
    elif option == "-w":  # for other iptables that run at the same time; there are none
        if remaining and is_natural(remaining[0]):
            remaining.popleft()
    elif option == "-6":
        raise OtherFamilyError
    elif option != "-4":
        _keep(line, option, remaining)


def _keep(line: CommandLine, option: str, remaining: deque[str]) -> None:
    """Leave a word to the rule, and what it takes with it: a value may look like an option."""
    if joined(option):
        remaining.appendleft(option)
        option = option[:2]
    line.words.append(option)
    if option == "-m" and remaining and remaining[0] not in MATCHES:
        raise unknown_match(remaining[0])
    if remaining and option in _NAMING:
        _NAMING[option].get(remaining[0])  # loaded now, so that its options are found without all others
    shown = "-j" if option == "-g" else option
    if shown in _TOLD:
        line.flags.add(shown)
    for _ in range(_VALUES.get(option) or _extension_values(option) or 0):
        if remaining:
            line.words.append(remaining.popleft())


def _take_command(line: CommandLine, command: str, word: str, remaining: deque[str]) -> None:
    if line.command and {line.command, command} in ({"-L", "-Z"}, {"-S", "-Z"}):
        line.also_zero = True
        line.command = command if line.command == "-Z" else line.command
    elif line.command:
        raise RuleError(f"Cannot use {command} with {line.command}")
    else:
        line.command = command
    if command in _NEEDS_CHAIN:
        if not remaining:
            raise RuleError(f'option "{word}" requires an argument')
        line.chain = remaining.popleft()
    elif (text := _argument(remaining)) is not None:
        line.chain = text
    if command in ("-E", "-P"):
        argument = _argument(remaining)
        if argument is None:
            what = "old-chain-name and new-chain-name" if command == "-E" else "a chain and a policy"
            raise RuleError(f"{command} requires {what}")
        line.argument = argument
    if command in _TAKES_NUMBER and line.chain is not None:
        number = _argument(remaining)
        if number is not None:
            line.number = parse_rule_number(number)
        elif command == "-R":
            raise RuleError("-R requires a rule number")


def _argument(remaining: deque[str]) -> str | None:
    """Take the next word if it is an argument and not an option."""
    return remaining.popleft() if remaining and remaining[0][:1] not in ("-", "!") else None


def _refuse_illegal(line: CommandLine) -> None:
    by_number = line.command == "-D" and line.number is not None
    allowed = frozenset() if by_number else _ALLOWED.get(line.command, frozenset())
    for flag in _TOLD:
        if flag in line.flags and flag not in allowed:
            raise RuleError(f"Illegal option `{flag}' with this command")
    if line.command not in RULE_COMMANDS and (odd := _odd(line.words)):
        raise RuleError(odd)


def _odd(words: list[str]) -> str:
    """Say what is wrong with words that no rule stands for."""
    word = next((word for word in words if word not in _VALUES), "")
    if not words or not word or words[0] in _VALUES:
        return ""
    return f'unknown option "{word}"' if word[0] == "-" else f"Bad argument `{word}'"


def parse_rule_number(text: str) -> int:
    """Read the number of a rule, from 1."""
    if not is_natural(text) or not int(text):
        raise RuleError(f"Invalid rule number `{text}'")
    return int(text)
