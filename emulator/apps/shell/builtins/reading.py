"""`read` and `getopts`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import trio

from emulator.apps.durations import seconds_of
from emulator.apps.options import UsageError, parse
from emulator.apps.shell.flow import ShellError
from emulator.apps.shell.scanner import is_name
from emulator.apps.shell.streams import Stream

if TYPE_CHECKING:
    from emulator.apps.shell.interpreter import Interpreter

_TIMED_OUT = 142  # 128 + SIGALRM


async def read(shell: Interpreter, words: Sequence[str]) -> int:
    """Run `read [-r] [-p PROMPT] [-t SECONDS] [-n COUNT] [NAME]...`: 1 at the end of input."""
    try:
        options = parse(words[1:], "rp:t:n:su:d:", mixed=False)
    except UsageError as error:
        raise ShellError(f"read: line {shell.line}: {error}") from None
    names = options.operands or ("REPLY",)
    for name in names:
        if not is_name(name):
            raise ShellError(f"read: line {shell.line}: '{name}': bad variable name")
    if options.get("p"):
        shell.print(options.get("p"), 2)
    stream = shell.descriptors.get(int(options.get("u", "0"))) if options.get("u", "0").isdigit() else None
    patience = seconds_of(options.get("t", "inf"))
    line = _Line(raw="r" in options)
    timed_out = True
    status = 0

    async def read_line() -> int:
        return await line.read(stream, int(options.get("n", "0")) if options.get("n", "0").isdigit() else 0)

    with trio.move_on_after(float("inf") if patience is None else patience):
        status = await shell.block(read_line)
        timed_out = False
    if status > 1:
        return status
    _share_out(shell, line, names, keeps_white=not options.operands)
    return _TIMED_OUT if timed_out else status


class _Line:
    """Characters, and of each whether a backslash has quoted it."""

    def __init__(self, *, raw: bool) -> None:
        self.chars: list[tuple[str, bool]] = []
        self._raw = raw

    async def read(self, stream: Stream | None, count: int) -> int:
        """Read a line, or `count` characters; lines that end with a backslash go on."""
        while stream is not None:
            data = await (stream.read_some(count) if count else stream.read_line())
            text = data.decode("utf-8", "surrogateescape")
            goes_on = self._take(text.removesuffix("\n"), ended=text.endswith("\n"))
            if not text.endswith("\n") and not count:
                return 1
            if not goes_on or count:
                return int(not text)
        await trio.lowlevel.checkpoint()
        return 1

    def _take(self, text: str, *, ended: bool) -> bool:
        index = 0
        while index < len(text):
            if text[index] == "\\" and not self._raw:
                if index + 1 == len(text):
                    return ended
                index += 1
                self.chars.append((text[index], True))
            else:
                self.chars.append((text[index], False))
            index += 1
        return False


def _share_out(shell: Interpreter, line: _Line, names: Sequence[str], *, keeps_white: bool) -> None:
    """Give each name a field, the last one what is left. REPLY gets the line as it is."""
    separators = shell.variables.get("IFS")
    separators = " \t\n" if separators is None else separators
    if keeps_white:
        separators = ""
    white = {*separators} & {*" \t\n"}
    chars = line.chars
    index = _skip(chars, 0, white)
    for name in names[:-1]:
        start = index
        while index < len(chars) and (chars[index][1] or chars[index][0] not in separators):
            index += 1
        shell.assign(name, _text(chars[start:index]))
        index = _skip(chars, index, white)
        if (
            index < len(chars)
            and not chars[index][1]
            and chars[index][0] in separators
            and chars[index][0] not in white
        ):
            index = _skip(chars, index + 1, white)
    rest = chars[index:]
    while rest and not rest[-1][1] and rest[-1][0] in white:
        rest.pop()
    others = [place for place, (char, quoted) in enumerate(rest) if not quoted and char in separators]
    if rest and others == [len(rest) - 1] and rest[-1][0] not in white:
        rest.pop()  # one separator that ends the last field
    shell.assign(names[-1], _text(rest))


def _skip(chars: Sequence[tuple[str, bool]], index: int, white: set[str]) -> int:
    while index < len(chars) and not chars[index][1] and chars[index][0] in white:
        index += 1
    return index


def _text(chars: Sequence[tuple[str, bool]]) -> str:
    return "".join(char for char, _ in chars)


async def get_options(shell: Interpreter, words: Sequence[str]) -> int:
    """Run `getopts OPTIONS NAME [ARGUMENT]...`: the next option of the positional parameters; 1 behind the last."""
    await trio.lowlevel.checkpoint()
    if len(words) < 3:
        raise ShellError("getopts: usage: getopts OPTSTRING VAR [ARG]...")
    letters, name = words[1], words[2]
    arguments = words[3:] or shell.arguments
    told = int(shell.variables.get("OPTIND") or 1)
    index, place = shell.option_place if shell.option_place[0] == told else (told, 0)
    shell.variables.unset("OPTARG")
    word = arguments[index - 1] if index <= len(arguments) else ""
    if place == 0:
        if not word.startswith("-") or word == "-":
            return _no_option(shell, name, index)
        if word == "--":
            return _no_option(shell, name, index + 1)
        place = 1
    letter = word[place]
    place += 1
    at = letters.lstrip(":").find(letter) if letter != ":" else -1
    found = letter
    if at < 0:
        found = "?"
        if letters.startswith(":"):
            shell.assign("OPTARG", letter)
        else:
            shell.complain(f"illegal option -{letter}")
    elif letters.lstrip(":")[at + 1 : at + 2] == ":":
        if place < len(word):
            shell.assign("OPTARG", word[place:])
        elif index < len(arguments):
            index += 1
            shell.assign("OPTARG", arguments[index - 1])
        elif letters.startswith(":"):
            found = ":"
            shell.assign("OPTARG", letter)
        else:
            found = "?"
            shell.complain(f"no arg for -{letter} option")
        place = len(word := arguments[index - 1])
    if place >= len(word):
        index, place = index + 1, 0
    shell.option_place = (index, place)
    shell.assign("OPTIND", str(index))
    shell.assign(name, found)
    return 0


def _no_option(shell: Interpreter, name: str, index: int) -> int:
    shell.option_place = (index, 0)
    shell.assign("OPTIND", str(index))
    shell.assign(name, "?")
    return 1
