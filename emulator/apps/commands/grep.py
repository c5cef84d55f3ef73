"""grep: lines that match."""

from __future__ import annotations

from msgspec import Struct

from emulator.apps.environment import Invocation
from emulator.apps.inputs import Lines, TextLines, files_of, path_of
from emulator.apps.options import Options, UsageError, parse
from emulator.apps.regular_expression import (
    Expression,
    ExpressionError,
    Translated,
    compile_any,
    compile_backtracking,
    literal,
    translate,
)

_FAILED = 2
_LONG = ("quiet", "silent", "invert-match", "ignore-case", "only-matching", "count", "extended-regexp", "fixed-strings",
         "line-number", "word-regexp", "line-regexp", "regexp=", "max-count=", "no-messages", "with-filename",
         "no-filename", "color", "colour", "recursive")  # fmt: skip
_ALIASES = {
    "quiet": "q", "silent": "q", "invert-match": "v", "ignore-case": "i", "only-matching": "o", "count": "c",
    "extended-regexp": "E", "fixed-strings": "F", "line-number": "n", "word-regexp": "w", "line-regexp": "x",
    "regexp": "e", "max-count": "m", "no-messages": "s", "with-filename": "H", "no-filename": "h", "y": "i",
    "recursive": "r", "R": "r",
}  # fmt: skip


class _Search(Struct):
    invocation: Invocation
    options: Options
    pattern: Expression
    with_names: bool


async def main(invocation: Invocation) -> int:
    """Run `grep [-EFHceHhilnoqrsvwx] [-e PATTERN] [-m N] [-A N] [-B N] [PATTERN] [FILE]...`.

    Exit status 0 where a line matches, 1 where none does, 2 for errors.
    """
    name = invocation.argv[0].rpartition("/")[2]
    try:
        options = parse(invocation.argv[1:], "EFGPHce:f:hilLnoqrRsvwxym:A:B:C:", _LONG, aliases=_ALIASES)
        operands = list(options.operands)
        patterns = options.all("e")
        for file in options.all("f"):
            patterns += [line async for line in TextLines(invocation, file)]
        if not patterns and "f" not in options:
            if not operands:
                raise UsageError("no pattern")
            patterns = [operands.pop(0)]
        pattern = _compile(patterns, options, extended=name == "egrep", fixed=name == "fgrep")
    except (UsageError, ExpressionError) as error:
        usage = isinstance(error, UsageError)
        hint = "Usage: grep [OPTION]... PATTERNS [FILE]...\nTry 'grep --help' for more information.\n" if usage else ""
        invocation.write_error(hint if str(error) == "no pattern" else f"{name}: {error}\n{hint}")
        return _FAILED
    except OSError as error:
        invocation.write_error(f"{name}: {error.filename}: {error.strerror}\n")
        return _FAILED
    if "r" in options:
        operands = await _all_files(invocation, operands or ["."])
    with_names = ("H" in options or "r" in options or len(operands) > 1) and "h" not in options
    try:
        return await _search_all(_Search(invocation, options, pattern, with_names), operands or ["-"])
    except ExpressionError as error:
        invocation.write_error(f"{name}: {error}\n")
        return _FAILED


def _compile(patterns: list[str], options: Options, *, extended: bool, fixed: bool) -> Expression:
    lines = [line for text in patterns for line in text.split("\n")]
    ignore_case, whole_lines = "i" in options, "x" in options
    words = "w" in options and not whole_lines
    if "P" in options and not fixed:
        whole = "|".join(f"(?:{line})" for line in lines)
        return compile_backtracking(whole, ignore_case=ignore_case, lines=whole_lines, words=words)
    parts: list[Translated] = []
    for line in lines:
        is_fixed = fixed or "F" in options
        parts.append(literal(line) if is_fixed else translate(line, extended=extended or "E" in options))
    return compile_any(parts, ignore_case=ignore_case, lines=whole_lines, words=words)


async def _all_files(invocation: Invocation, names: list[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        status = await files_of(invocation).status(path_of(invocation, name))
        if status is None or not status.is_folder:
            found.append(name)
            continue
        inner = await files_of(invocation).names(path_of(invocation, name))
        found += await _all_files(invocation, [f"{name.rstrip('/')}/{each}" for each in inner])
    return found


async def _search_all(search: _Search, names: list[str]) -> int:
    matched, failed = False, False
    for name in names:
        try:
            matched = await _search_file(search, name) or matched
        except OSError as error:
            failed = True
            if "s" not in search.options:
                search.invocation.write_error(f"grep: {name}: {error.strerror}\n")
        if matched and "q" in search.options:
            return 0
    return _FAILED if failed else int(not matched)


def _number(options: Options, letter: str) -> int:
    text = options.get(letter, options.get("C", "0") if letter != "m" else "-1")
    return int(text) if text.lstrip("-").isdigit() else 0


async def _search_file(search: _Search, name: str) -> bool:
    """Search one file and print what is asked for; return whether a line matched."""
    options, most = search.options, _number(search.options, "m")
    before, after = _number(options, "B"), _number(options, "A")
    shown = "(standard input)" if name == "-" else name
    prefix = f"{shown}:" if search.with_names else ""
    count, number, left, printed = 0, 0, 0, 0
    kept: list[str] = []
    async for data in Lines(search.invocation, name):
        if count == most:
            break
        number += 1
        text = data.removesuffix(b"\n").decode("utf-8", "surrogateescape")
        match = search.pattern.search(text)
        mark = f"{number}" if "n" in options else ""
        if (match is None) == ("v" in options):
            count += 1
            if "q" in options or "l" in options:
                break
            if "c" in options or "L" in options:
                continue
            if (before or after) and printed and number - len(kept) > printed + 1:
                search.invocation.write("--\n")
            search.invocation.write("".join(kept))
            kept.clear()
            if "o" in options:
                start = f"{prefix}{mark}{':' if mark else ''}"
                matches = [] if "v" in options else search.pattern.finditer(text)
                found = "".join(f"{start}{each.whole}\n" for each in matches if each.whole)
                await search.invocation.copy(found.encode("utf-8", "surrogateescape"))
            else:
                line = f"{prefix}{mark}{':' if mark else ''}{text}\n"
                await search.invocation.copy(line.encode("utf-8", "surrogateescape"))
            left, printed = after, number
        elif left:
            left, printed = left - 1, number
            search.invocation.write(f"{prefix[:-1]}{'-' if prefix else ''}{mark}{'-' if mark else ''}{text}\n")
        elif before:
            kept = [*kept, f"{prefix[:-1]}{'-' if prefix else ''}{mark}{'-' if mark else ''}{text}\n"][-before:]
    if "c" in options and "q" not in options:
        search.invocation.write(f"{prefix}{count}\n")
    if ("l" in options and count) or ("L" in options and not count):
        search.invocation.write(f"{shown}\n")
    return count > 0
