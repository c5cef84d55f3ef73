"""sed: lines edited by a script. `s d p q = a i c y` and groups, with addresses; not `b t n N D P h g x r w`.

Source: IEEE Std 1003.1-2017, volume 3, `sed`. What is not there is refused by name before a line is read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from emulator.apps.environment import Invocation
from emulator.apps.inputs import TextLines, files_of, path_of
from emulator.apps.options import Options, UsageError, parse
from emulator.apps.regular_expression import Expression, ExpressionError, Match, compile_posix

_LONG = ("quiet", "silent", "expression=", "regexp-extended", "in-place")
_ALIASES = {"quiet": "n", "silent": "n", "expression": "e", "regexp-extended": "E", "r": "E", "in-place": "i"}
_SPACE = re.compile(r"[\s;]*")
_USAGE = "Usage: sed [OPTION]... {script-only-if-no-other-script} [input-file]..."
_FAILED = 2
_PLAIN = frozenset("dpq=")
_TEXT = frozenset("aic")


class _Address(Struct, frozen=True):
    """A line's number, -1 for the last one, or what a line matches."""

    number: int = 0
    pattern: Expression | None = None


class _Command(Struct):
    name: str
    addresses: tuple[_Address, ...] = ()
    negated: bool = False
    pattern: Expression | None = None
    text: str = ""  # of a, i and c; what s puts in; y's table in two halves
    flags: str = ""
    inner: tuple[_Command, ...] = ()
    in_range: bool = False


async def main(invocation: Invocation) -> int:
    """Run `sed [-nEri] [-e SCRIPT]... [SCRIPT] [FILE]...`; exit status 0, 1 for a wrong script, 2 without a file."""
    try:
        options = parse(invocation.argv[1:], "nEre:isu", _LONG, aliases=_ALIASES)
        operands = list(options.operands)
        scripts = options.all("e")
        if not scripts:
            if not operands:
                raise UsageError("no script")
            scripts = [operands.pop(0)]
        commands = _Script("\n".join(scripts), extended="E" in options).commands()
    except UsageError as error:
        said = f"sed: {error}\n" if str(error) != "no script" else ""
        invocation.write_error(f"{said}{_USAGE}\n")
        return 1
    except ExpressionError as error:
        invocation.write_error(f"sed: -e expression #1, {error}\n")
        return 1
    try:
        return await _run(invocation, options, commands, operands or ["-"])
    except ExpressionError as error:
        invocation.write_error(f"sed: {error}\n")
        return _FAILED


class _Script:
    """A position in a script."""

    def __init__(self, text: str, *, extended: bool) -> None:
        self._text = text
        self._extended = extended
        self._at = 0

    def commands(self, *, in_group: bool = False) -> tuple[_Command, ...]:
        found: list[_Command] = []
        while True:
            self._at = self._match(_SPACE).end()
            if self._at == len(self._text):
                if in_group:
                    raise self._fail("unmatched `{'")
                return tuple(found)
            if self._text[self._at] == "}":
                if not in_group:
                    raise self._fail("unexpected `}'")
                self._at += 1
                return tuple(found)
            if self._text[self._at] == "#":
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
                continue
            found.append(self._command())

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str]:
        match = pattern.match(self._text, self._at)
        assert match is not None
        return match

    def _fail(self, message: str) -> ExpressionError:
        return ExpressionError(f"char {self._at}: {message}")

    def _command(self) -> _Command:
        addresses: list[_Address] = []
        first = self._address()
        if first is not None:
            addresses.append(first)
            if self._text.startswith(",", self._at):
                self._at += 1
                second = self._address()
                if second is None:
                    raise self._fail("unexpected `,'")
                addresses.append(second)
        blank = re.compile(r"[ \t]*(!?)[ \t]*").match(self._text, self._at)
        assert blank is not None
        self._at = blank.end()
        name = self._text[self._at : self._at + 1]
        self._at += 1
        command = _Command(name, tuple(addresses), bool(blank[1]))
        if name == "{":
            command.inner = self.commands(in_group=True)
        elif name == "s":
            self._substitution(command)
        elif name == "y":
            command.text, command.flags = self._delimited(), self._delimited(first=False)
            if len(command.text) != len(command.flags):
                raise self._fail("strings for `y' command are different lengths")
        elif name in _TEXT:
            match = re.compile(r"[ \t]*(?:\\\n)?([^\n]*)\n?").match(self._text, self._at)
            assert match is not None
            self._at, command.text = match.end(), match[1]
        elif name not in _PLAIN:
            raise self._fail("missing command" if not name.strip() else f"unknown command: `{name}'")
        return command

    def _address(self) -> _Address | None:
        match = re.compile(r"[ \t]*(?:([0-9]+)|(\$)|(/))").match(self._text, self._at)
        if match is None:
            return None
        self._at = match.end()
        if match[3]:
            self._at -= 1
            return _Address(pattern=self._pattern(self._delimited(), ""))
        return _Address(int(match[1]) if match[1] else -1)

    def _delimited(self, *, first: bool = True) -> str:
        """Read text up to the delimiter, which stands before it too for the `first`."""
        if first:
            self._mark = self._text[self._at : self._at + 1]
            self._at += 1
        out: list[str] = []
        in_brackets = False
        while self._at < len(self._text):
            char = self._text[self._at]
            self._at += 1
            if char == "\\" and self._at < len(self._text):
                following = self._text[self._at]
                self._at += 1
                out.append(following if following == self._mark and following not in "&|()" else "\\" + following)
            elif char == self._mark and not in_brackets:
                return "".join(out)
            else:
                in_brackets = char == "[" or (in_brackets and char != "]")
                out.append(char)
        raise self._fail("unterminated `s' command" if first else "unterminated command")

    def _substitution(self, command: _Command) -> None:
        expression = self._delimited()
        command.text = self._delimited(first=False)
        flags = re.compile(r"[gpiI0-9]*").match(self._text, self._at)
        assert flags is not None
        self._at, command.flags = flags.end(), flags[0]
        if self._at < len(self._text) and self._text[self._at] not in " \t\n;}":
            raise self._fail("unknown option to `s'")
        command.pattern = self._pattern(expression, command.flags)

    def _pattern(self, expression: str, flags: str) -> Expression:
        try:
            return compile_posix(expression, extended=self._extended, ignore_case=bool({*"iI"} & {*flags}))
        except ExpressionError as error:
            raise self._fail(str(error)) from None


class _State(Struct):
    """The line that is edited, and what of it and around it is to be printed."""

    space: str
    number: int
    is_last: bool
    before: list[str]
    after: list[str]
    deleted: bool = False
    ended: bool = False


async def _run(invocation: Invocation, options: Options, commands: tuple[_Command, ...], names: Sequence[str]) -> int:
    status, number = 0, 0
    pending: tuple[str, str] | None = None
    edited: dict[str, list[str]] = {name: [] for name in names} if "i" in options else {}
    ended = False

    async def take(line: str, name: str, *, is_last: bool) -> bool:
        nonlocal number
        number += 1
        state = _State(line, number, is_last, [], [])
        _edit(state, commands)
        shown = [*state.before, *([] if state.deleted or "n" in options else [state.space]), *state.after]
        if name in edited:
            edited[name] += shown
        else:
            await invocation.copy("".join(f"{each}\n" for each in shown).encode("utf-8", "surrogateescape"))
        return state.ended

    for name in names:
        if ended:
            break
        try:
            async for line in TextLines(invocation, name):
                if pending is not None and await take(*pending, is_last=False):
                    ended = True
                    break
                pending = (line, name)
        except OSError as error:
            invocation.write_error(f"sed: can't read {name}: {error.strerror}\n")
            status = 2
    if pending is not None and not ended:
        await take(*pending, is_last=True)
    for name, shown in edited.items():
        file = await files_of(invocation).open(path_of(invocation, name))
        if file is not None:
            file.write("".join(f"{each}\n" for each in shown).encode("utf-8", "surrogateescape"))
    return status


def _edit(state: _State, commands: tuple[_Command, ...]) -> None:
    for command in commands:
        if _applies(command, state) == command.negated:
            continue
        match command.name:
            case "{":
                _edit(state, command.inner)
            case "s":
                _substitute(command, state)
            case "d":
                state.deleted = True
            case "p" | "=" | "i":
                state.before.append({"p": state.space, "=": str(state.number)}.get(command.name, command.text))
            case "a":
                state.after.append(command.text)
            case "c":
                state.deleted = True
                if len(command.addresses) < 2 or not command.in_range:
                    state.after.append(command.text)
            case "y":
                state.space = state.space.translate(str.maketrans(command.text, command.flags))
            case "q":
                state.ended = True
        if state.deleted or state.ended:
            return


def _applies(command: _Command, state: _State) -> bool:
    def fits(address: _Address) -> bool:
        if address.pattern is not None:
            return address.pattern.search(state.space) is not None
        return state.is_last if address.number < 0 else state.number == address.number

    if not command.addresses:
        return True
    first = command.addresses[0]
    if len(command.addresses) == 1:
        return fits(first)
    last = command.addresses[1]
    if not command.in_range:
        if not fits(first):
            return False
        command.in_range = last.pattern is not None or last.number < 0 or last.number > state.number
        if last.number < 0 and state.is_last:
            command.in_range = False
        return True
    if fits(last) or 0 < last.number <= state.number:
        command.in_range = False
    return True


def _substitute(command: _Command, state: _State) -> None:
    assert command.pattern is not None
    digits = re.sub(r"[^0-9]", "", command.flags)
    first = int(digits) if digits else 1
    everywhere = "g" in command.flags
    count, changed = 0, False

    def replace(match: Match) -> str:
        nonlocal count, changed
        count += 1
        if count < first or (count > first and not everywhere):
            return match.whole
        changed = True
        return _replacement(command.text, match)

    state.space, _ = command.pattern.subn(replace, state.space, 0 if everywhere else first)
    if changed and "p" in command.flags:
        state.before.append(state.space)


def _replacement(text: str, match: Match) -> str:
    def put(part: re.Match[str]) -> str:
        if part[0] == "&":
            return match.whole
        char = part[1]
        if char.isdigit():
            return match[int(char)] or ""
        return {"n": "\n", "t": "\t"}.get(char, char)

    return re.sub(r"&|\\(.)", put, text, flags=re.DOTALL)
