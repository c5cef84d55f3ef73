"""Words to fields: parameters, commands, arithmetic, field splitting, file names, quote removal.

Source: IEEE Std 1003.1-2017, volume 3, 2.6.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from msgspec import Struct

from emulator.apps.shell import arithmetic
from emulator.apps.shell.fields import BREAK, Break, Piece, join, split
from emulator.apps.shell.flow import ShellError
from emulator.apps.shell.pattern import Run, is_pattern, plain, remove, substitute
from emulator.apps.shell.syntax import (
    ArithmeticExpansion,
    CommandSubstitution,
    DoubleQuoted,
    Literal,
    Parameter,
    Part,
    Script,
    Word,
)


class ExpansionError(ShellError):
    """What cannot be expanded; a script ends with it."""


class Scope(Protocol):
    """What expansion needs of its shell."""

    @property
    def arguments(self) -> Sequence[str]:
        """The positional parameters."""

    def parameter(self, name: str) -> str | None:
        """Return the value of a variable or of a special parameter; None where it is not set."""

    def assign(self, name: str, value: str) -> None:
        """Set a variable. ExpansionError where it is read only."""

    def has(self, option: str) -> bool:
        """Whether an option of `set` is on."""

    async def substitute(self, script: Script) -> str:
        """Run a command substitution and return its output without the newlines at its end."""

    async def glob(self, runs: Sequence[Run]) -> list[str]:
        """Return the names of files that match, sorted."""


class Expander(Struct, frozen=True):
    """Expands words in a scope."""

    scope: Scope

    async def fields(self, words: Iterable[Word]) -> list[str]:
        """Return the fields of words, as a command's arguments are made."""
        found: list[str] = []
        for word in words:
            pieces = await self._pieces(word.parts)
            for runs in split(_with_home(pieces, self.scope), self._separators()):
                names: list[str] = []
                if is_pattern(runs) and not self.scope.has("f"):
                    names = await self.scope.glob(runs)
                found += names or [plain(runs)]
        return found

    async def text(self, word: Word, *, after_colons: bool = False) -> str:
        """Return a word's text as one field: for assignments, redirections, `case`."""
        return plain(await self.runs(word, after_colons=after_colons))

    async def runs(self, word: Word, *, after_colons: bool = False) -> list[Run]:
        """Return a word as one field, with what of it is quoted: for patterns."""
        pieces = await self._pieces(word.parts, one_field=True)
        return join(_with_home(pieces, self.scope, after_colons=after_colons))

    async def number(self, word: Word) -> int:
        """Evaluate an arithmetic expression."""
        text = await self.text(word)
        try:
            return arithmetic.evaluate(text, self._variable, self.scope.assign)
        except arithmetic.ArithmeticProblem as problem:
            raise ExpansionError(str(problem)) from None

    def _variable(self, name: str) -> str:
        value = self.scope.parameter(name)
        if value is None and self.scope.has("u"):
            raise ExpansionError(f"{name}: parameter not set")
        return value or ""

    def _separators(self) -> str:
        value = self.scope.parameter("IFS")
        return " \t\n" if value is None else value

    async def _pieces(
        self, parts: Iterable[Part], *, quoted: bool = False, one_field: bool = False, splits: bool = False
    ) -> list[Piece | Break]:
        """Expand parts. `splits` where they are the word of an expansion, whose text is split too."""
        found: list[Piece | Break] = []
        for part in parts:
            match part:
                case Literal():
                    found.append(Piece(part.text, part.quoted or quoted, splits and not (part.quoted or quoted)))
                case DoubleQuoted():
                    inner = await self._pieces(part.parts, quoted=True, one_field=one_field)
                    lists = [each for each in part.parts if isinstance(each, Parameter) and each.name == "@"]
                    if not inner and not lists:
                        inner = [Piece("", quoted=True)]
                    found += inner
                case Parameter():
                    found += await self._parameter(part, quoted=quoted, one_field=one_field)
                case CommandSubstitution():
                    found.append(Piece(await self.scope.substitute(part.body), quoted, splits=not quoted))
                case ArithmeticExpansion():
                    found.append(Piece(str(await self.number(part.word)), quoted, splits=not quoted))
        return found

    # --- parameters ---

    async def _parameter(self, part: Parameter, *, quoted: bool, one_field: bool) -> list[Piece | Break]:
        name, operator = part.name, part.operator
        is_list = name in {"@", "*"}
        value = self._joined(name) if is_list else self.scope.parameter(name)
        is_set = bool(self.scope.arguments) if is_list else value is not None
        if operator == "length":
            length = len(self.scope.arguments) if is_list else len(self._needed(name, value))
            return [Piece(str(length), quoted, splits=not quoted)]
        if operator.lstrip(":") in {"-", "=", "?", "+"} and operator != ":":
            missing = not is_set or (operator[0] == ":" and not value)
            if operator[-1] == "+":
                parts = () if missing else _parts(part.word)
                return await self._pieces(parts, quoted=quoted, one_field=one_field, splits=True)
            if missing:
                return await self._missing(part, value, quoted=quoted, one_field=one_field)
        elif not is_list:
            value = self._needed(name, value)
        if operator[:1] in {"#", "%", "/"} or operator == ":":
            value = await self._changed(part, value or "")
        elif is_list:
            return self._list(name, quoted=quoted, one_field=one_field)
        return [Piece(value or "", quoted, splits=not quoted)]

    def _needed(self, name: str, value: str | None) -> str:
        if value is None and self.scope.has("u"):
            raise ExpansionError(f"{name}: parameter not set")
        return value or ""

    async def _missing(
        self, part: Parameter, value: str | None, *, quoted: bool, one_field: bool
    ) -> list[Piece | Break]:
        """What stands in for a parameter that is not set, or empty."""
        match part.operator[-1]:
            case "-":
                return await self._pieces(_parts(part.word), quoted=quoted, one_field=one_field, splits=True)
            case "=":
                if not (part.name[0].isalpha() or part.name[0] == "_"):
                    raise ExpansionError(f"{part.name}: bad variable name")
                text = await self.text(part.word or Word())
                self.scope.assign(part.name, text)
                return [Piece(text, quoted, splits=not quoted)]
        said = await self.text(part.word or Word())
        default = "parameter not set" if value is None or part.operator == "?" else "parameter not set or null"
        raise ExpansionError(f"{part.name}: {said or default}")

    async def _changed(self, part: Parameter, value: str) -> str:
        word = part.word or Word()
        if part.operator == ":":
            start = await self.number(word)
            start = max(0, len(value) + start) if start < 0 else start
            if part.second is None:
                return value[start:]
            length = await self.number(part.second)
            return value[start : length if length < 0 else start + length]
        runs = await self.runs(word)
        if part.operator[0] == "/":
            replacement = await self.text(part.second or Word())
            return substitute(value, runs, replacement, everywhere=part.operator == "//")
        return remove(value, runs, part.operator)

    def _joined(self, name: str) -> str:
        separators = self._separators()
        return (separators[:1] if name == "*" else " ").join(self.scope.arguments)

    def _list(self, name: str, *, quoted: bool, one_field: bool) -> list[Piece | Break]:
        """`$@` and `$*`: a field for each, but of `"$*"` one for all."""
        if one_field or (quoted and name == "*"):
            return [Piece(self._joined(name), quoted)]
        found: list[Piece | Break] = []
        for index, argument in enumerate(self.scope.arguments):
            found += [BREAK] if index else []
            found.append(Piece(argument, quoted, splits=not quoted))
        return found


def _parts(word: Word | None) -> tuple[Part, ...]:
    return () if word is None else word.parts


def _with_home(pieces: list[Piece | Break], scope: Scope, *, after_colons: bool = False) -> list[Piece | Break]:
    """Replace a tilde at the beginning, in assignments also behind colons, by $HOME; the only user is root."""
    home = scope.parameter("HOME") or "~"
    found: list[Piece | Break] = []
    for index, piece in enumerate(pieces):
        if isinstance(piece, Break) or piece.quoted or piece.splits or "~" not in piece.text:
            found.append(piece)
            continue
        last = index == len(pieces) - 1
        sections = piece.text.split(":") if after_colons else [piece.text]
        for place, section in enumerate(sections):
            if place:
                found.append(Piece(":", quoted=False))
            starts = place > 0 or index == 0
            ends = place < len(sections) - 1 or last
            user, slash, rest = section.partition("/")
            if starts and user in {"~", "~root"} and (slash or ends):
                found += [Piece(home if user == "~" else "/root", quoted=True), Piece(slash + rest, quoted=False)]
            else:
                found.append(Piece(section, quoted=False))
    return found
