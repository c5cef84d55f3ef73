"""POSIX's regular expressions, basic and extended: for grep, sed, awk, expr and `[[ =~ ]]`.

RE2 matches them in time in proportion to the text, and as POSIX has it: the leftmost match, the longest of those that
begin there. What RE2 cannot know (back-references, ends of words beside something else than a word's character) is
matched by backtracking, for 0.1 s at most. Both libraries are imported only once something is matched.

Source: IEEE Std 1003.1-2017, volume 1, chapter 9, with GNU's `\\|`, `\\+`, `\\?`, `\\w`, `\\b`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

_CLASSES = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "blank": " \\t", "cntrl": "\\x00-\\x1f\\x7f", "digit": "0-9",
    "graph": "!-~", "lower": "a-z", "print": " -~", "punct": "!-/:-@\\[-`{-~", "space": " \\t-\\r", "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_GNU = {"`": r"\A", "'": r"\z", "w": "[0-9A-Za-z_]", "W": "[^0-9A-Za-z_]", "s": r"[ \t-\r]", "S": r"[^ \t-\r]"}
_WORD_ENDS = {"<": r"(?<!\w)(?=\w)", ">": r"(?<=\w)(?!\w)"}
_INTERVAL = re.compile(r"([0-9]*)(,?)([0-9]*)(\\?)\}")
_MOST_MEMORY = 1 << 20  # bytes, of what RE2 keeps for an expression
_LONGEST = 0.1  # seconds that backtracking may take
_SURROGATES = {0xDC00 + byte: 0x10FF00 + byte for byte in range(0x80, 0x100)}
"""Bytes that are no UTF-8 (PEP 383), as characters that RE2 can take: there are no others of these."""
_WORDS = (
    ("missing )", "Unmatched ( or \\("),
    ("unexpected )", "Unmatched ) or \\)"),
    ("no argument", "Invalid preceding regular expression"),
    ("bad repetition", "Invalid preceding regular expression"),
    ("range", "Invalid range end"),
    ("too large", "Regular expression too big"),
)


class ExpressionError(Exception):
    """What is no regular expression, in GNU's words; or what takes too long to match."""


class Translated(NamedTuple):
    """An expression in RE2's words, and in those of `regex` where RE2's do not do."""

    text: str  # RE2's, without what only backtracking knows
    backtracked: str | None  # the whole, for backtracking, where RE2 does not do


class Match:
    """Where an expression matched: the whole and its groups."""

    __slots__ = ("_spans", "_text")

    def __init__(self, text: str, spans: list[tuple[int, int]]) -> None:
        self._text = text
        self._spans = spans

    def __getitem__(self, group: int) -> str | None:
        """Return what a group matched; None if it took no part, or is none."""
        start, end = self._spans[group] if group < len(self._spans) else (-1, -1)
        return None if start < 0 else self._text[start:end]

    @property
    def whole(self) -> str:
        """What matched."""
        return self._text[self.start() : self.end()]

    def start(self) -> int:
        """Return the index of its first character."""
        return self._spans[0][0]

    def end(self) -> int:
        """Return the index behind its last character."""
        return self._spans[0][1]

    def groups(self) -> tuple[str, ...]:
        """Return what the groups matched, empty for those that took no part."""
        return tuple(self[index] or "" for index in range(1, len(self._spans)))


class Expression:
    """An expression that is ready to match."""

    def __init__(self, engine: Any, groups: int, *, backtracks: bool, words: bool = False) -> None:
        self.groups = groups
        self._engine = engine
        self._words = words  # then the first group is what matches, with what stands beside it
        self._limit: dict[str, float] = {"timeout": _LONGEST} if backtracks else {}

    def search(self, text: str) -> Match | None:
        """Return the leftmost match. ExpressionError if that takes too long, as of the other methods."""
        return self._found(self._engine.search, text, 0)

    def match(self, text: str) -> Match | None:
        """Return the match at the beginning."""
        return self._found(self._engine.match, text, 0)

    def _found(self, act: Callable[..., Any], text: str, start: int) -> Match | None:
        try:
            found = act(text if text.isascii() else text.translate(_SURROGATES), start, **self._limit)
        except TimeoutError:
            raise ExpressionError("the regular expression takes too long to match") from None
        if found is None:
            return None
        first = int(self._words)
        return Match(text, [found.span(index) for index in range(first, self.groups + 1 + first)])

    def finditer(self, text: str) -> Iterator[Match]:
        """Find all matches. An empty one right behind another is none."""
        last = -1
        for match in self._all(text):
            if match.start() < match.end() or match.start() != last:
                yield match
            last = match.end()

    def _all(self, text: str) -> Iterator[Match]:
        if not self._words and not self._limit:
            plain = text if text.isascii() else text.translate(_SURROGATES)
            for found in self._engine.finditer(plain):
                yield Match(text, [found.span(index) for index in range(self.groups + 1)])
            return
        start = 0
        while start <= len(text) and (match := self._found(self._engine.search, text, start)) is not None:
            yield match
            start = match.end() + (match.end() == match.start())

    def subn(self, replace: Callable[[Match], str], text: str, count: int = 0) -> tuple[str, int]:
        """Return the text with what matches replaced, each or the first `count`, and how often it was."""
        out: list[str] = []
        end, done = 0, 0
        for match in self.finditer(text):
            out += (text[end : match.start()], replace(match))
            end, done = match.end(), done + 1
            if done == count:
                break
        return "".join([*out, text[end:]]), done

    def split(self, text: str) -> list[str]:
        """Cut the text where something, not nothing, matches."""
        parts: list[str] = []
        end = 0
        for match in self.finditer(text):
            if match.start() < match.end():
                parts.append(text[end : match.start()])
                end = match.end()
        return [*parts, text[end:]]


def compile_posix(text: str, *, extended: bool, ignore_case: bool = False) -> Expression:
    """Return an expression from POSIX's words. ExpressionError."""
    return compile_any([translate(text, extended=extended)], ignore_case=ignore_case)


def compile_linear(text: str) -> Expression:
    """Return an expression from RE2's words, which takes the longest match. ExpressionError."""
    engine = _linear(text, ignore_case=False)
    return Expression(engine, engine.groups, backtracks=False)


def compile_any(
    parts: list[Translated], *, ignore_case: bool = False, lines: bool = False, words: bool = False
) -> Expression:
    """Return an expression for any of several; for whole `lines`, or `words`, only. ExpressionError."""
    if all(part.backtracked is None for part in parts):
        whole = _joined([part.text for part in parts])
        if lines:
            whole = rf"\A(?:{whole})\z"
        elif words:
            whole = rf"(?:\A|[^0-9A-Za-z_])({whole})(?:[^0-9A-Za-z_]|\z)"
        engine = _linear(whole, ignore_case=ignore_case)
        return Expression(engine, engine.groups - words, backtracks=False, words=words)
    for part in parts:
        _linear(part.text, ignore_case=ignore_case)  # for its size, and what is wrong with it
    whole = _joined([part.backtracked or part.text for part in parts]).replace(r"\z", r"\Z")
    return compile_backtracking(whole, ignore_case=ignore_case, lines=lines, words=words, longest=True)


def compile_backtracking(
    text: str, *, ignore_case: bool = False, lines: bool = False, words: bool = False, longest: bool = False
) -> Expression:
    """Return an expression from Perl's words, or Python's. ExpressionError."""
    import regex

    if lines:
        text = rf"\A(?:{text})\Z"
    elif words:
        text = rf"(?<!\w)(?:{text})(?!\w)"
    flags = regex.DOTALL if longest else 0
    try:
        engine = regex.compile(text, flags | (regex.POSIX * longest) | (regex.IGNORECASE * ignore_case))
    except regex.error as error:
        said = str(error)
        raise ExpressionError("Invalid back reference" if "group reference" in said else said) from None
    return Expression(engine, engine.groups, backtracks=True)


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else "|".join(f"(?:{part})" for part in parts)


def _linear(text: str, *, ignore_case: bool) -> Any:
    """Return RE2's expression."""
    import re2  # type: ignore[import-untyped]

    options = re2.Options()
    options.longest_match, options.dot_nl, options.log_errors = True, True, False
    options.case_sensitive, options.max_mem = not ignore_case, _MOST_MEMORY
    re2.purge()  # what it keeps, 128 expressions, is much memory
    try:
        return re2.compile(text.translate(_SURROGATES), options)
    except re2.error as error:
        said = error.args[0].decode("utf-8", "replace") if error.args else ""
        raise ExpressionError(
            next((ours for theirs, ours in _WORDS if theirs in said), "Invalid regular expression")
        ) from None


def literal(text: str) -> Translated:
    """Return what matches a text itself."""
    return Translated(re.escape(text), None)


def translate(text: str, *, extended: bool) -> Translated:
    """Return an expression for `compile_any`. ExpressionError."""
    out: list[str] = []
    special: dict[int, str] = {}  # by index in `out`: what only backtracking knows
    index = 0
    while index < len(text):
        char = text[index]
        index += 1
        operator = char in "(){}|+?*" and (extended or char == "*")
        if char == "[":
            bracket, index = _bracket(text, index)
            out.append(bracket)
            continue
        if char == "\\":
            if index == len(text):
                raise ExpressionError("Trailing backslash")
            char = text[index]
            index += 1
            if char in "(){}|+?":
                operator = not extended
            elif char in "<>" or char in "123456789":
                known = _boundary(char, out, text[index : index + 2])
                if known is None:
                    special[len(out)] = _WORD_ENDS.get(char) or f"(?:\\{char})"
                out.append(known or "(?:)")
                continue
            else:
                out.append(_GNU.get(char) or _escaped(char))
                continue
        elif char == "^":
            out.append("^" if extended or not out or out[-1] in {"(", "|"} else "\\^")
            continue
        elif char == "$":
            anchors = extended or index == len(text) or text.startswith(("\\)", "\\|"), index)
            out.append("\\z" if anchors else "\\$")
            continue
        if not operator:
            out.append("." if char == "." else re.escape(char))
        elif char == "{":
            interval, index = _interval(text, index)
            out.append(interval)
        elif char in "*+?":
            _repeat(char, out, extended=extended)
        else:
            out.append("\\}" if char == "}" else char)
    whole = "".join(special.get(index, part) for index, part in enumerate(out)) if special else None
    return Translated("".join(out), whole)


def _repeat(char: str, out: list[str], *, extended: bool) -> None:
    """Note that what is before is repeated; Perl means something else by two of these in a row."""
    if not extended and (not out or out[-1] in {"(", "|", "^"}):
        out.append(f"\\{char}")  # nothing before it to repeat
    elif out and out[-1] in {"*", "+", "?"}:
        out[-1] = char if out[-1] == char else "*"
    else:
        out.append(char)


def _interval(text: str, index: int) -> tuple[str, int]:
    """Read an interval behind its `{`; a brace that begins none is itself."""
    match = _INTERVAL.match(text, index)
    if match is None or not (match[1] or match[2]):
        return "\\{", index
    least, most = int(match[1] or 0), int(match[3] or match[1] or 0)
    if match[3] and most < least:
        raise ExpressionError("Invalid content of \\{\\}")
    if max(least, most) > 1_000:  # RE2's most
        raise ExpressionError("Regular expression too big")
    return f"{{{least}{match[2]}{match[3]}}}", match.end()


def _boundary(char: str, out: list[str], following: str) -> str | None:
    """Return what RE2 knows of a beginning or an end of a word: there is a word's character beside it."""
    if following[1:] and following[1] in "*?{\\|":
        following = ""  # it may not be there at all
    beside = following[:1] if char == "<" else out[-1] if char == ">" and out else ""
    return r"\b" if re.fullmatch(r"\w", beside, re.ASCII) else None


def _escaped(char: str) -> str:
    if char in "bB":
        return f"\\{char}"
    return {"n": "\\n", "t": "\\t"}.get(char) or re.escape(char)


def _bracket(text: str, index: int) -> tuple[str, int]:
    """Read a bracket expression behind its `[`."""
    negated = text.startswith("^", index)
    index += negated
    out: list[str] = []
    first = index
    while index < len(text):
        char = text[index]
        if char == "]" and index > first:
            return f"[{'^' if negated else ''}{''.join(out)}]", index + 1
        if char == "[" and text.startswith((":", "=", "."), index + 1):
            kind = text[index + 1]
            end = text.find(f"{kind}]", index + 2)
            if end < 0:
                break
            name = text[index + 2 : end]
            if kind == ":" and name not in _CLASSES:
                raise ExpressionError("Invalid character class name")
            out.append(_CLASSES[name] if kind == ":" else re.escape(name))
            index = end + 2
            continue
        is_range = char == "-" and first < index < len(text) - 1 and text[index + 1] != "]"
        out.append("-" if is_range else f"\\{char}" if char in "\\[]^-&~|" else char)
        index += 1
    raise ExpressionError("Unmatched [, [^, [:, [., or [=")
