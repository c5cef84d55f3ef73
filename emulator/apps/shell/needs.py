"""Which programs a script calls by name: so that it is known before it runs whether they are all there.

Pure, and light to import: `emulator apply` asks too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

from msgspec import Struct

from emulator.apps.shell.parser import parse
from emulator.apps.shell.syntax import (
    ArithmeticExpansion,
    Case,
    Command,
    CommandSubstitution,
    Conditional,
    DoubleQuoted,
    For,
    Function,
    Group,
    If,
    Loop,
    Parameter,
    Part,
    Redirected,
    Redirection,
    Script,
    ShellSyntaxError,
    SimpleCommand,
    Subshell,
    Word,
)

SHELLS = frozenset({"ash", "bash", "dash", "sh"})
_RUNNERS = frozenset({"command", "env", "exec", "nohup", "timeout", "xargs"})
"""Commands whose own arguments are a command."""


class Needs(Struct, frozen=True):
    """Names of commands that are not functions of the script; `is_open` where some are known only when it runs."""

    commands: frozenset[str]
    is_open: bool = False


def needs(text: str) -> Needs:
    """Return what a script calls. ShellSyntaxError where it is none."""
    walk = _Walk()
    walk.script(parse(text))
    return Needs(frozenset(walk.commands - walk.functions), walk.is_open)


def script_of(words: Sequence[str]) -> str | None:
    """Return the script of `sh -c SCRIPT`; None of words that are something else."""
    if not words or words[0].rpartition("/")[2] not in SHELLS:
        return None
    operands = iter(words[1:])
    for word in operands:
        if word == "-o":
            next(operands, "")
        elif word[:1] in {"-", "+"} and not word.startswith("--"):
            if "c" in word:
                options = list(operands)
                while options and options[0][:1] in {"-", "+"}:
                    options.pop(0)
                return options[0] if options else None
        elif not word.startswith("--"):
            return None
    return None


class _Walk:
    """Visits each command of a script, those in substitutions too."""

    def __init__(self) -> None:
        self.commands: set[str] = set()
        self.functions: set[str] = set()
        self.is_open = False

    def script(self, script: Script) -> None:
        for item in script.items:
            for pipeline in (item.first, *(each for _, each in item.rest)):
                for command in pipeline.commands:
                    self._command(command)

    def _command(self, command: Command) -> None:
        match command:
            case SimpleCommand():
                self._simple(command)
            case Subshell() | Group():
                self.script(command.body)
            case If():
                for condition, body in command.clauses:
                    self.script(condition)
                    self.script(body)
                if command.otherwise is not None:
                    self.script(command.otherwise)
            case Loop():
                self.script(command.condition)
                self.script(command.body)
            case For():
                self._words(command.words or ())
                self.script(command.body)
            case Case():
                self._words((command.word, *(each for item in command.items for each in item.patterns)))
                for item in command.items:
                    self.script(item.body)
            case Conditional():
                self._words(term for term in command.terms if isinstance(term, Word))
            case Function():
                self.functions.add(command.name)
                self._command(command.body)
            case Redirected():
                self._redirections(command.redirections)
                self._command(command.command)

    def _simple(self, command: SimpleCommand) -> None:
        self._words(assignment.value for assignment in command.assignments)
        self._words(command.words)
        self._redirections(command.redirections)
        if command.words:
            self.called([word.constant for word in command.words])

    def called(self, words: list[str | None]) -> None:
        """Note the command that words are of, and the one that it runs."""
        name = words[0]
        if name is None:
            self.is_open = True
            return
        self.commands.add(name)
        rest = words[1:]
        if name == "command" and rest and rest[0] in {"-v", "-V"}:
            return
        if name in _RUNNERS:
            while rest and _is_own_argument(name, rest[0]):
                rest = rest[1:]
            if rest:
                self.called(rest)
        elif name.rpartition("/")[2] in SHELLS:
            self._shell([word or "" for word in rest])
            self.is_open = self.is_open or None in rest
        elif name in {"eval", ".", "source"}:
            self.is_open = True

    def _shell(self, words: Sequence[str]) -> None:
        """Note what a script needs that a shell is given; one that is a file may need anything."""
        text = script_of(["sh", *words])
        if text is None:
            self.is_open = True
            return
        found = needs(text)
        self.commands |= found.commands
        self.is_open = self.is_open or found.is_open

    def _redirections(self, redirections: Sequence[Redirection]) -> None:
        for redirection in redirections:
            self._words([redirection.target, *([redirection.document.word] if redirection.document else [])])

    def _words(self, words: Iterator[Word] | Sequence[Word]) -> None:
        for word in words:
            self._parts(word.parts)

    def _parts(self, parts: Sequence[Part]) -> None:
        for part in parts:
            match part:
                case DoubleQuoted():
                    self._parts(part.parts)
                case CommandSubstitution():
                    self.script(part.body)
                case ArithmeticExpansion():
                    self._parts(part.word.parts)
                case Parameter():
                    for word in (part.word, part.second):
                        self._parts(word.parts if word is not None else ())


def _is_own_argument(name: str, word: str | None) -> bool:
    """Whether a word is for the command that runs another, not the other's name."""
    if word is None:
        return False
    return word.startswith("-") or "=" in word or (name == "timeout" and word[:1].isdigit())


def missing(words: Sequence[str], known: AbstractSet[str]) -> Needs:
    """Return what a command line needs besides the known names, by their last part. A wrong script needs nothing."""
    walk = _Walk()
    try:
        walk.called(list(words))
    except ShellSyntaxError:
        return Needs(frozenset())
    names = walk.commands - walk.functions
    return Needs(frozenset(name for name in names if name.rpartition("/")[2] not in known), walk.is_open)
