"""`iptables-restore`: rules from text. The whole is read and checked first; then all its tables change, or none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.edit import Edit
from emulator.kernel.netfilter.error import RestoreError, RuleError
from emulator.kernel.netfilter.rule_parser import parse_rule
from emulator.kernel.netfilter.words import split

if TYPE_CHECKING:
    from emulator.kernel.netfilter.netfilter import Netfilter

_COUNTERS = re.compile(r"\[(\d+):(\d+)\]", re.ASCII)


class Restorer:
    """Reads the lines of one text."""

    def __init__(self, netfilter: Netfilter, *, noflush: bool, counters: bool, only: frozenset[str] | None) -> None:
        self._netfilter = netfilter
        self._noflush = noflush
        self._counters = counters
        self._only = only
        self._edit: Edit | None = None
        self._skipping = False
        self._done: dict[str, Edit] = {}

    def read(self, text: str) -> list[Edit]:
        """Return the tables as the text wants them. RestoreError with the number of the line that is wrong."""
        number = 0
        for number, line in enumerate(text.splitlines(), 1):
            try:
                self._line(line.strip())
            except RuleError as error:
                raise RestoreError(number, str(error)) from None
        if self._edit is not None or self._skipping:
            raise RestoreError(number + 1, f"COMMIT expected at line {number + 1}")
        return list(self._done.values())

    def _line(self, line: str) -> None:
        if not line or line[0] == "#":
            return
        if line[0] == "*":
            self._begin(line[1:].strip())
        elif line == "COMMIT":
            self._commit()
        elif self._skipping:
            return
        elif self._edit is None:
            raise RuleError(
                f"`{line.split(maxsplit=1)[0]}' stands outside of a table; begin one with *filter or another"
            )
        elif line[0] == ":":
            self._declare(self._edit, line[1:].split())
        else:
            self._command(self._edit, line)

    def _begin(self, name: str) -> None:
        if self._edit is not None or self._skipping:
            raise RuleError(f"Bad argument `*{name}': the table before it has no COMMIT")
        if self._only is not None and name not in self._only:
            self._skipping = True
            return
        if name in self._done:
            raise RuleError(f"table {name} comes twice")
        self._edit = Edit(self._netfilter, name, flush=not self._noflush)

    def _commit(self) -> None:
        if self._skipping:
            self._skipping = False
            return
        edit = self._edit
        if edit is None:
            raise RuleError("COMMIT without a table")
        edit.validate()
        self._done[edit.table.name] = edit
        self._edit = None

    def _declare(self, edit: Edit, words: list[str]) -> None:
        if not 1 < len(words) < 4:
            raise RuleError("a chain is declared as `:NAME POLICY [packets:bytes]'")
        counters = (0, 0)
        if len(words) == 3:
            match = _COUNTERS.fullmatch(words[2])
            if match is None:
                raise RuleError(f"invalid policy counters `{words[2]}'")
            if self._counters:
                counters = int(match[1]), int(match[2])
        edit.declare(words[0], words[1], counters)

    def _command(self, edit: Edit, line: str) -> None:
        words = split(line)
        counters = (0, 0)
        if words[0][0] == "[":
            match = _COUNTERS.fullmatch(words[0])
            if match is None or len(words) == 1:
                raise RuleError(f"Bad argument `{words[0]}'")
            if self._counters:
                counters = int(match[1]), int(match[2])
            words = words[1:]
        apply(edit, words, counters)


def apply(edit: Edit, words: list[str], counters: tuple[int, int] = (0, 0)) -> None:
    """Carry out one command on a draft: `-A CHAIN ...` and its like, as iptables and iptables-restore take them."""
    command, rest = _LONG.get(words[0], words[0]), words[1:]
    if command in ("-A", "-I", "-D", "-R", "-C"):
        _rule_command(edit, command, rest, counters)
        return
    most, least = _ARGUMENTS.get(command, (-1, 0))
    if most < 0:
        bad = f'unknown option "{words[0]}"' if words[0][:1] == "-" else f"Bad argument `{words[0]}'"
        raise RuleError(bad)
    if not least <= len(rest) <= most:
        raise RuleError(f"{words[0]} takes {least} to {most} arguments")
    if command == "-N":
        edit.new_chain(rest[0])
    elif command == "-P":
        edit.set_policy(rest[0], rest[1])
    elif command == "-E":
        edit.rename_chain(rest[0], rest[1])
    elif command == "-X":
        edit.delete_chain(rest[0] if rest else None)
    elif command == "-F":
        edit.flush(rest[0] if rest else None)
    else:
        edit.zero(rest[0] if rest else None)


def _rule_command(edit: Edit, command: str, rest: list[str], counters: tuple[int, int]) -> None:
    if not rest:
        raise RuleError(f'option "{command}" requires an argument')
    chain, words = rest[0], rest[1:]
    number = 1
    numbered = bool(words) and words[0].isdigit()
    if numbered and command in ("-I", "-D", "-R"):
        number, words = int(words[0]), words[1:]
        if number == 0:
            raise RuleError(f"Invalid rule number `{rest[1]}'")
    if command == "-D" and numbered and not words:
        edit.delete_number(chain, number)
        return
    if command == "-R" and not numbered:
        raise RuleError("-R requires a rule number")
    specs, given = parse_rule(words)
    counters = given or counters
    if command == "-A":
        edit.append(chain, specs, counters)
    elif command == "-I":
        edit.insert(chain, number, specs, counters)
    elif command == "-R":
        edit.replace(chain, number, specs)
    elif command == "-D":
        edit.delete(chain, specs)
    else:
        edit.check(chain, specs)


_LONG = {
    "--append": "-A",
    "--insert": "-I",
    "--delete": "-D",
    "--replace": "-R",
    "--check": "-C",
    "--new-chain": "-N",
    "--delete-chain": "-X",
    "--flush": "-F",
    "--zero": "-Z",
    "--policy": "-P",
    "--rename-chain": "-E",
}
_ARGUMENTS = {"-N": (1, 1), "-P": (2, 2), "-E": (2, 2), "-X": (1, 0), "-F": (1, 0), "-Z": (1, 0)}
COMMANDS = frozenset({*_LONG, *_LONG.values()})


def restore(netfilter: Netfilter, text: str, *, noflush: bool, counters: bool, only: frozenset[str] | None) -> None:
    """Load rules, all or nothing."""
    for edit in Restorer(netfilter, noflush=noflush, counters=counters, only=only).read(text):
        edit.commit()
