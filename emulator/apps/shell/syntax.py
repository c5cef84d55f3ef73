"""The tree of a shell script: words with their quotes, commands, lists, redirections."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct


class ShellSyntaxError(Exception):
    """A text that is no script. `incomplete` is one that more lines could complete."""

    def __init__(self, message: str, line: int, *, incomplete: bool = False) -> None:
        super().__init__(message)
        self.line = line
        self.incomplete = incomplete


class Literal(Struct, frozen=True):
    """Text that stands for itself; where it is not quoted, its `*`, `?` and `[` are patterns."""

    text: str
    quoted: bool = False


class DoubleQuoted(Struct, frozen=True):
    """What stands between double quotes."""

    parts: tuple[Part, ...]


class Parameter(Struct, frozen=True):
    """`$name`, `${name}`, `${name:-word}` and the like.

    `operator` is "" for none, "length" for `${#name}`, else as written: `-` `=` `?` `+` (each also after a colon),
    `#` `##` `%` `%%`, and of bash `:` (a substring) and `/`, `//` (a replacement).
    """

    name: str
    operator: str = ""
    word: Word | None = None
    second: Word | None = None  # a substring's length, what a replacement puts in


class CommandSubstitution(Struct, frozen=True):
    """`$(...)` or backquotes."""

    body: Script


class ArithmeticExpansion(Struct, frozen=True):
    """`$((...))`."""

    word: Word


Part: TypeAlias = Literal | DoubleQuoted | Parameter | CommandSubstitution | ArithmeticExpansion


class Word(Struct, frozen=True):
    """One word as it was written."""

    parts: tuple[Part, ...] = ()

    @property
    def bare(self) -> str | None:
        """The text, if nothing in it is quoted or expands: as reserved words and names must be."""
        match self.parts:
            case (Literal(text, False),):
                return text
        return None

    @property
    def constant(self) -> str | None:
        """The text without its quotes, if nothing in it expands."""
        return constant_text(self.parts)


def constant_text(parts: tuple[Part, ...]) -> str | None:
    """Return the text of parts of which none expands, else None."""
    text = ""
    for part in parts:
        match part:
            case Literal():
                text += part.text
            case DoubleQuoted():
                inner = constant_text(part.parts)
                if inner is None:
                    return None
                text += inner
            case _:
                return None
    return text


class HereDocument(Struct):
    """The lines of a `<<`; they stand behind the command that they belong to, and are filled in when they are read."""

    word: Word = Word()


class Redirection(Struct, frozen=True):
    """`2>file` and the like: `descriptor` is the one before the operator, or its default."""

    descriptor: int
    operator: str
    target: Word
    document: HereDocument | None = None


class Assignment(Struct, frozen=True):
    """`name=word` in front of a command; `+=` appends."""

    name: str
    value: Word
    appends: bool = False


class SimpleCommand(Struct, frozen=True):
    """Assignments, words, redirections; any of them may be missing."""

    assignments: tuple[Assignment, ...]
    words: tuple[Word, ...]
    redirections: tuple[Redirection, ...]
    line: int


class Subshell(Struct, frozen=True):
    """`( list )`."""

    body: Script


class Group(Struct, frozen=True):
    """`{ list; }`."""

    body: Script


class If(Struct, frozen=True):
    """`if` with its `elif`s: conditions and bodies in turn; `otherwise` is None without `else`."""

    clauses: tuple[tuple[Script, Script], ...]
    otherwise: Script | None


class Loop(Struct, frozen=True):
    """`while`, or `until` where `ends_on` is True."""

    condition: Script
    body: Script
    ends_on: bool


class For(Struct, frozen=True):
    """`for name in words`; without `in` over the positional parameters."""

    name: str
    words: tuple[Word, ...] | None
    body: Script


class CaseItem(Struct, frozen=True):
    """Patterns, what they run, and whether the next item's body follows (`;&`)."""

    patterns: tuple[Word, ...]
    body: Script
    falls_through: bool = False


class Case(Struct, frozen=True):
    """`case word in ... esac`."""

    word: Word
    items: tuple[CaseItem, ...]


class Conditional(Struct, frozen=True):
    """`[[ ... ]]`: words, and the operators `&&`, `||`, `!`, `(`, `)`, `<` and `>` as strings."""

    terms: tuple[Word | str, ...]
    line: int


class Function(Struct, frozen=True):
    """`name() compound`."""

    name: str
    body: Command


class Redirected(Struct, frozen=True):
    """A compound command with redirections."""

    command: Command
    redirections: tuple[Redirection, ...]


Command: TypeAlias = SimpleCommand | Subshell | Group | If | Loop | For | Case | Conditional | Function | Redirected


class Pipeline(Struct, frozen=True):
    """Commands joined by `|`."""

    commands: tuple[Command, ...]
    negated: bool = False


class AndOr(Struct, frozen=True):
    """Pipelines joined by `&&` and `||`; `background` where `&` ends it."""

    first: Pipeline
    rest: tuple[tuple[str, Pipeline], ...] = ()
    background: bool = False


class Script(Struct, frozen=True):
    """A list of commands."""

    items: tuple[AndOr, ...] = ()
