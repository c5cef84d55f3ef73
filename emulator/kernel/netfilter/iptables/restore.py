"""`iptables-restore`: rules from text, table by table; each is read and checked before any of it changes."""

from __future__ import annotations

import re
from bisect import bisect
from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.kernel.netfilter.bulk import collector_paused
from emulator.kernel.netfilter.error import (
    KernelError,
    NoChainError,
    OtherFamilyError,
    RefusedError,
    RestoreError,
    RuleError,
    UnknownError,
)
from emulator.kernel.netfilter.iptables.command_line import COMMANDS, RULE_COMMANDS, read_command_line
from emulator.kernel.netfilter.iptables.edit import NO_SUCH_RULE, Edit
from emulator.kernel.netfilter.iptables.ignored import Ignored, IgnoredLine
from emulator.kernel.netfilter.iptables.rule import RuleSpec
from emulator.kernel.netfilter.iptables.rule_parser import Values, parse_rule
from emulator.kernel.netfilter.iptables.words import split
from emulator.packet.digits import is_natural

if TYPE_CHECKING:
    from emulator.kernel.netfilter.netfilter import Netfilter

_COUNTERS = re.compile(r"\[(\d{1,20}):(\d{1,20})\]", re.ASCII)


class Restorer:
    """Reads and applies the lines of one text, table by table (iptables/xtables-restore.c).

    A table changes as a whole at its COMMIT; an error leaves it as it was, and those before it as they are by then.
    `ignored` are the lines that use what is not here, if that is to be no error. `testing` changes nothing, and as in
    the real tool finds only what is wrong with the words.
    """

    def __init__(
        self,
        netfilter: Netfilter,
        *,
        noflush: bool,
        counters: bool,
        only: frozenset[str] | None,
        ignore_unknown: bool = False,
        testing: bool = False,
    ) -> None:
        self._netfilter = netfilter
        self._noflush = noflush
        self._counters = counters
        self._only = only
        self._ignore_unknown = ignore_unknown
        self._testing = testing
        self.ignored: list[IgnoredLine] = []
        self._number = 0
        self._edit: Edit | None = None
        self._lines: list[tuple[int, str]] = []  # of the table that is open, with their numbers
        self._skipping = False
        self._values: Values = {}

    def run(self, text: str) -> None:
        """Apply all. RestoreError with the number of the line that is wrong."""
        lines = text.split("\n")
        if not lines[-1]:
            del lines[-1]
        for self._number, line in enumerate(lines, 1):
            try:
                self._line(line)
            except RuleError as error:
                raise RestoreError(self._number, error) from None
        if self._edit is not None:
            number = len(lines) + 1
            raise RestoreError(number, RefusedError(f"COMMIT expected at line {number}"))

    def _line(self, line: str) -> None:
        if not line or line[0] == "#":
            return
        edit = self._edit
        if edit is None:
            if line[0] == "*":
                self._begin(line[1:].strip())
            elif not self._skipping:
                raise RefusedError("a line outside of a table; begin one with *filter or another")
        elif line == "COMMIT":
            self._commit(edit)
        else:
            self._lines.append((self._number, line))
            try:
                self._edit_line(edit, line)
            except (RefusedError, KernelError, NoChainError):
                if not self._testing:
                    raise

    def _edit_line(self, edit: Edit, line: str) -> None:
        if line[0] == ":":
            self._declare(edit, line[1:].split())
        else:
            self._command(edit, line)

    def _begin(self, name: str) -> None:
        if not name:
            raise RuleError("table name invalid")
        self._edit = self._draft(name)
        self._skipping = self._only is not None and name not in self._only
        if self._skipping:
            self._edit = None
        self._lines = []

    def _draft(self, name: str) -> Edit:
        return Edit(self._netfilter, name, flush=not self._noflush)

    def _commit(self, edit: Edit) -> None:
        self._edit = None
        if self._testing:
            return
        try:
            edit.validate()
        except KernelError as error:
            raise self._blame(edit.table.name, error) from None
        edit.commit()

    def _blame(self, table: str, error: KernelError) -> RestoreError:
        """Find the line that made the table one that the kernel refuses: as in the kernel, the first that did."""
        lines, ignored = self._lines, self.ignored

        def fails(count: int) -> bool:
            draft = self._draft(table)
            for self._number, line in lines[:count]:
                self._edit_line(draft, line)
            try:
                draft.validate()
            except KernelError:
                return True
            return False

        self.ignored = []  # the lines are read again
        first = bisect(range(1, len(lines)), False, key=fails)
        self.ignored = ignored
        number, line = lines[first]
        words = split(line)
        command = COMMANDS.get(words[0], words[0])
        chain = words[1] if len(words) > 1 else ""
        return RestoreError(number, error.at(_OPERATIONS.get(command, "RULE_APPEND"), f"rule in chain {chain}"))

    def _declare(self, edit: Edit, words: list[str]) -> None:
        if not words:
            raise RuleError("chain name invalid")
        if len(words) == 1:
            raise RuleError("policy invalid")
        counters = (0, 0)
        if self._counters and words[1] != "-":
            match = _COUNTERS.fullmatch(words[2]) if len(words) > 2 else None
            if match is None:
                raise RuleError(f"invalid policy counters for chain '{words[0]}'")
            counters = int(match[1]), int(match[2])
        edit.declare(words[0], words[1], counters)

    def _command(self, edit: Edit, line: str) -> None:
        counters = (0, 0)
        if line[0] == "[":
            text, bracket, line = line[1:].partition("]")
            packets, colon, octets = text.partition(":")
            if not bracket or not colon:
                raise RuleError(f"Bad line {self._number}: need ]")
            if self._counters:
                if not is_natural(packets) or not is_natural(octets):
                    raise RuleError(f"-c {'byte' if is_natural(packets) else 'packet'} counter not numeric")
                counters = int(packets), int(octets)
            line = line.strip()
        first, _, rest = line.partition(" ")
        if first in ("-4", "--ipv4"):
            line = rest.strip()
        words = split(line)
        if not words:
            raise RuleError("no command specified")
        try:
            apply(edit, words, counters, self._values)
        except OtherFamilyError:
            return  # as in a file that ip6tables-restore reads too
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


def apply(edit: Edit, words: list[str], counters: tuple[int, int], values: Values) -> None:
    """Carry out one command on a draft: `-A CHAIN ...` and its like."""
    if words[0] == "-A" and len(words) > 1:  # as nearly all have it
        command = RuleCommand("-A", words[1], None, words[2:])
    else:
        line = read_command_line(words)
        if line.table is not None:
            raise RuleError("The -t option cannot be used in iptables-restore.")
        if line.command in ("-L", "-S"):
            raise RuleError(f"{line.command} is not supported in iptables-restore")
        if line.command not in RULE_COMMANDS:
            chain_command(edit, line.command, line.chain, line.argument, line.number)
            return
        command = RuleCommand(line.command, line.chain or "", line.number, line.words)
    if command.command == "-D" and command.number is not None:
        edit.delete_number(command.chain, command.number)
        return
    try:
        specs, given = parse_rule(command.words, edit.chains, values)
        command.apply(edit, specs, given or counters)
    except KernelError as error:
        raise command.blame(error) from None


def chain_command(edit: Edit, command: str, chain: str | None, argument: str, number: int | None) -> None:
    """Carry out a command on a whole chain, or on all where none is named."""
    if command == "-N":
        edit.new_chain(chain or "")
    elif command == "-P":
        if argument == "DROP":
            edit.refuse_drop()
        edit.set_policy(chain or "", argument)
    elif command == "-E":
        edit.rename_chain(chain or "", argument)
    elif command == "-X":
        edit.delete_chain(chain)
    elif command == "-F":
        edit.flush(chain)
    else:
        edit.zero(chain, number)


class RuleCommand(Struct, frozen=True):
    """`-A CHAIN`, `-I CHAIN [NUMBER]` and so on, and the words of the rule behind it."""

    command: str
    chain: str
    number: int | None
    words: list[str]

    @classmethod
    def read(cls, words: list[str]) -> RuleCommand:
        """Take a command apart that is known to be good."""
        command, number = COMMANDS.get(words[0], words[0]), None
        rest = words[2:]
        if command in ("-I", "-D", "-R") and rest and is_natural(rest[0]):
            number, rest = int(rest[0]), rest[1:]
        return cls(command, words[1], number, rest)

    def apply(self, edit: Edit, specs: list[RuleSpec], counters: tuple[int, int]) -> None:
        """Carry it out with the rule, or the rules, that the words make."""
        if self.command == "-A":
            edit.append(self.chain, specs, counters)
        elif self.command == "-I":
            edit.insert(self.chain, 1 if self.number is None else self.number, specs, counters)
        elif self.command == "-R":
            edit.replace(self.chain, self.number or 0, specs, counters)
        elif self.command == "-D":
            edit.delete(self.chain, specs)
        else:
            edit.check(self.chain, specs)

    def blame(self, error: KernelError) -> RuleError:
        """Tell what the kernel refuses as the failure of this command; a rule that cannot be is in no chain."""
        if self.command in ("-D", "-C"):
            return RefusedError(NO_SUCH_RULE)
        return error.at(_OPERATIONS[self.command], f"rule in chain {self.chain}")


_OPERATIONS = {"-A": "RULE_APPEND", "-I": "RULE_INSERT", "-R": "RULE_REPLACE"}


def restore(
    netfilter: Netfilter,
    text: str,
    *,
    noflush: bool,
    counters: bool,
    only: frozenset[str] | None,
    ignore_unknown: bool = False,
    testing: bool = False,
) -> list[IgnoredLine]:
    """Load rules; return the lines that are kept without effect."""
    restorer = Restorer(
        netfilter, noflush=noflush, counters=counters, only=only, ignore_unknown=ignore_unknown, testing=testing
    )
    with collector_paused():
        restorer.run(text)
    return restorer.ignored
