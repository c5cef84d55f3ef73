"""`iptables-restore`: rules from text. The whole is read and checked first; then all its tables change, or none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.kernel.netfilter.bulk import collector_paused
from emulator.kernel.netfilter.edit import Edit
from emulator.kernel.netfilter.error import RestoreError, RuleError, UnknownError
from emulator.kernel.netfilter.ignored import Ignored, IgnoredLine
from emulator.kernel.netfilter.rule import RuleSpec
from emulator.kernel.netfilter.rule_parser import Values, parse_rule
from emulator.kernel.netfilter.words import split

if TYPE_CHECKING:
    from emulator.kernel.netfilter.netfilter import Netfilter

_COUNTERS = re.compile(r"\[(\d+):(\d+)\]", re.ASCII)


class Restorer:
    """Reads the lines of one text. `ignored` are those that use what is not here, if that is to be no error."""

    def __init__(
        self,
        netfilter: Netfilter,
        *,
        noflush: bool,
        counters: bool,
        only: frozenset[str] | None,
        ignore_unknown: bool = False,
    ) -> None:
        self._netfilter = netfilter
        self._noflush = noflush
        self._counters = counters
        self._only = only
        self._ignore_unknown = ignore_unknown
        self.ignored: list[IgnoredLine] = []
        self._number = 0
        self._edit: Edit | None = None
        self._skipping = False
        self._done: dict[str, Edit] = {}
        self._values: Values = {}

    def read(self, text: str) -> list[Edit]:
        """Return the tables as the text wants them. RestoreError with the number of the line that is wrong."""
        for self._number, line in enumerate(text.splitlines(), 1):
            try:
                self._line(line.strip())
            except UnknownError as error:
                raise RestoreError(self._number, str(error), error.unknown) from None
            except RuleError as error:
                raise RestoreError(self._number, str(error)) from None
        if self._edit is not None or self._skipping:
            raise RestoreError(self._number + 1, f"COMMIT expected at line {self._number + 1}")
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
            line = line.split(maxsplit=1)[1]
        try:
            apply(edit, words, counters, self._values)
        except UnknownError as error:
            if not self._ignore_unknown:
                raise
            self._keep(edit, words, counters, line, error)

    def _keep(self, edit: Edit, words: list[str], counters: tuple[int, int], line: str, error: UnknownError) -> None:
        """Carry the command out with a rule that is ignored."""
        command = RuleCommand.read(words)
        rest = line.split(maxsplit=len(words) - len(command.words))[len(words) - len(command.words) :]
        ignored = Ignored(rest[0] if rest else "", error.unknown)
        command.apply(edit, [RuleSpec(ignored=ignored)], counters)
        self.ignored.append(IgnoredLine(self._number, error.unknown))


def apply(edit: Edit, words: list[str], counters: tuple[int, int] = (0, 0), values: Values | None = None) -> None:
    """Carry out one command on a draft: `-A CHAIN ...` and its like, as iptables and iptables-restore take them."""
    command, rest = _LONG.get(words[0], words[0]), words[1:]
    if command in _RULE_COMMANDS:
        found = RuleCommand.read(words)
        if found.command == "-D" and found.number is not None and not found.words:
            edit.delete_number(found.chain, found.number)
            return
        specs, given = parse_rule(found.words, edit.chains, values)
        found.apply(edit, specs, given or counters)
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


class RuleCommand(Struct, frozen=True):
    """`-A CHAIN`, `-I CHAIN [NUMBER]` and so on, and the words of the rule behind it."""

    command: str
    chain: str
    number: int | None
    words: list[str]

    @classmethod
    def read(cls, words: list[str]) -> RuleCommand:
        """Take a command apart."""
        command, rest = _LONG.get(words[0], words[0]), words[1:]
        if not rest:
            raise RuleError(f'option "{words[0]}" requires an argument')
        chain, rest = rest[0], rest[1:]
        if command not in ("-I", "-D", "-R") or not rest or not rest[0].isdigit():
            if command == "-R":
                raise RuleError("-R requires a rule number")
            return cls(command, chain, None, rest)
        number = int(rest[0])
        if not number:
            raise RuleError(f"Invalid rule number `{rest[0]}'")
        return cls(command, chain, number, rest[1:])

    def apply(self, edit: Edit, specs: list[RuleSpec], counters: tuple[int, int]) -> None:
        """Carry it out with the rule, or the rules, that the words make."""
        if self.command == "-A":
            edit.append(self.chain, specs, counters)
        elif self.command == "-I":
            edit.insert(self.chain, 1 if self.number is None else self.number, specs, counters)
        elif self.command == "-R":
            edit.replace(self.chain, self.number or 0, specs)
        elif self.command == "-D":
            edit.delete(self.chain, specs)
        else:
            edit.check(self.chain, specs)


_RULE_COMMANDS = frozenset({"-A", "-I", "-D", "-R", "-C"})
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


def restore(
    netfilter: Netfilter,
    text: str,
    *,
    noflush: bool,
    counters: bool,
    only: frozenset[str] | None,
    ignore_unknown: bool = False,
) -> list[IgnoredLine]:
    """Load rules, all or nothing; return the lines that are kept without effect."""
    restorer = Restorer(netfilter, noflush=noflush, counters=counters, only=only, ignore_unknown=ignore_unknown)
    with collector_paused():
        for edit in restorer.read(text):
            edit.commit()
    return restorer.ignored
