"""Characters to tokens of the shell grammar: operators, io numbers, words with all that is inside them."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto

from msgspec import Struct

from emulator.apps.shell.syntax import (
    ArithmeticExpansion,
    CommandSubstitution,
    DoubleQuoted,
    Literal,
    Parameter,
    Part,
    Script,
    ShellSyntaxError,
    Word,
)

REDIRECTIONS = ("<<-", "<<<", "&>>", "<<", ">>", "<&", ">&", "<>", ">|", "&>", "<", ">")
_OPERATORS = ("&&", "||", ";;", ";&", "|", "&", ";", "(", ")")
_ALL_OPERATORS = sorted((*REDIRECTIONS, *_OPERATORS), key=len, reverse=True)
_META = frozenset(" \t\n;&|<>()")
_PLAIN = re.compile(r"[^ \t\n;&|<>()'\"\\$`]+")
_PLAIN_EXPRESSION = re.compile(r"[^ \t\n'\"\\$`]+")
_PLAIN_IN_QUOTES = re.compile(r"[^\"\\$`]+")
_NUMBER = re.compile(r"([0-9]+)[<>]")
_SHORT_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-]")
_PLAIN_ARITHMETIC = re.compile(r"[^()\"\\$`]+")
_BACKQUOTED = re.compile(r"((?:[^`\\]|\\.)*)`", re.DOTALL)
_ANSI_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\[[0-9]\])?|[0-9]+|[@*#?$!-]")  # NAME[1]: BASH_REMATCH's
_OPERATOR_OF_PARAMETER = re.compile(r":[-=?+]|[-=?+]|##?|%%?|//?|:")
_BLANKS = re.compile(r"(?:[ \t]|\\\n)*(?:#[^\n]*)?")
DEEPEST = 60
"""Constructs inside one another; each takes some frames of Python's stack."""

ParseInner = Callable[["Scanner"], Script]
"""Parses a list up to its closing parenthesis, for `$(`."""


_NO_WORD = Word()


class Kind(Enum):
    """What a token is."""

    WORD = auto()
    OPERATOR = auto()
    IO_NUMBER = auto()
    NEWLINE = auto()
    END = auto()


class Token(Struct, frozen=True):
    """`text` is an operator's or a number's; `word` a word's."""

    kind: Kind
    text: str = ""
    word: Word = _NO_WORD

    def describe(self) -> str:
        """Name it as ash's messages do."""
        match self.kind:
            case Kind.END:
                return "end of file"
            case Kind.NEWLINE:
                return "newline"
            case Kind.OPERATOR:
                return "redirection" if self.text in REDIRECTIONS else f'"{self.text}"'
            case Kind.IO_NUMBER:
                return "redirection"
        return "word"


class Scanner:
    """A position in a text. `parse_inner` is the parser's, for what is inside `$(...)`."""

    def __init__(self, text: str, parse_inner: ParseInner, depth: int = 0) -> None:
        self.text = text
        self.position = 0
        self.depth = depth
        self.parse_inner = parse_inner

    @property
    def line(self) -> int:
        """The line of the position, from 1."""
        return self.text.count("\n", 0, self.position) + 1

    def fail(self, message: str, *, incomplete: bool = False) -> ShellSyntaxError:
        """Return the error to raise."""
        return ShellSyntaxError(message, self.line, incomplete=incomplete)

    def enter(self) -> None:
        """Go one construct deeper."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.fail("syntax error: constructs are nested too deep")

    def leave(self) -> None:
        """Come back from it."""
        self.depth -= 1

    def token(self) -> Token:
        """Read the next token."""
        match = _BLANKS.match(self.text, self.position)
        if match is not None:
            self.position = match.end()
        if self.position >= len(self.text):
            return Token(Kind.END)
        if self.text[self.position] == "\n":
            self.position += 1
            return Token(Kind.NEWLINE)
        for operator in _ALL_OPERATORS:
            if self.text.startswith(operator, self.position):
                self.position += len(operator)
                return Token(Kind.OPERATOR, operator)
        number = _NUMBER.match(self.text, self.position)
        if number is not None:
            self.position = number.end(1)
            return Token(Kind.IO_NUMBER, number[1])
        return Token(Kind.WORD, word=self._word())

    def regular_expression(self) -> Word:
        """Read the word behind `=~`, in which parentheses and bars are its own."""
        match = _BLANKS.match(self.text, self.position)
        if match is not None:
            self.position = match.end()
        return self._word(ends=frozenset(" \t\n"), plain_text=_PLAIN_EXPRESSION)

    def _word(self, ends: frozenset[str] = _META, plain_text: re.Pattern[str] = _PLAIN) -> Word:
        parts: list[Part] = []
        while self.position < len(self.text) and self.text[self.position] not in ends:
            plain = plain_text.match(self.text, self.position)
            if plain is not None:
                self.position = plain.end()
                _add(parts, Literal(plain[0]))
            else:
                _add(parts, *self._quoted_or_expansion())
        return Word(tuple(parts))

    def _quoted_or_expansion(self) -> list[Part]:
        """Read what a quote, a backslash, `$` or a backquote begins, outside double quotes."""
        char = self.text[self.position]
        if char == "\\":
            self.position += 2
            escaped = self.text[self.position - 1 : self.position]
            return [Literal(escaped or "\\", quoted=True)] if escaped != "\n" else []
        if char == "'":
            return [Literal(self._single_quoted(), quoted=True)]
        if char == '"':
            return [self._double_quoted()]
        return [self._expansion(in_quotes=False)]

    def _single_quoted(self) -> str:
        end = self.text.find("'", self.position + 1)
        if end < 0:
            raise self.fail("syntax error: unterminated quoted string", incomplete=True)
        text = self.text[self.position + 1 : end]
        self.position = end + 1
        return text

    def _double_quoted(self) -> DoubleQuoted:
        self.position += 1
        parts: list[Part] = []
        self.enter()
        while True:
            if self.position >= len(self.text):
                raise self.fail("syntax error: unterminated quoted string", incomplete=True)
            if self.text[self.position] == '"':
                self.position += 1
                self.leave()
                return DoubleQuoted(tuple(parts))
            _add(parts, *self.in_quotes('"'))

    def in_quotes(self, special: str = "") -> list[Part]:
        """Read a part as within double quotes; a backslash quotes `$`, a backquote, itself and `special`."""
        plain = _PLAIN_IN_QUOTES.match(self.text, self.position)
        if plain is not None:
            self.position = plain.end()
            return [Literal(plain[0], quoted=True)]
        char = self.text[self.position]
        if char == "\\":
            escaped = self.text[self.position + 1 : self.position + 2]
            if escaped == "\n":
                self.position += 2
                return []
            if escaped and escaped in "$`\\" + special:
                self.position += 2
                return [Literal(escaped, quoted=True)]
        elif char in "$`":
            return [self._expansion(in_quotes=True)]
        self.position += 1
        return [Literal(char, quoted=True)]

    def _expansion(self, *, in_quotes: bool) -> Part:
        """Read what `$` or a backquote begins; a `$` that begins nothing stands for itself."""
        if self.text[self.position] == "`":
            return self._backquoted(in_quotes=in_quotes)
        if self.text.startswith("$((", self.position):
            arithmetic = self._arithmetic()
            if arithmetic is not None:
                return arithmetic
        following = self.text[self.position + 1 : self.position + 2]
        if following == "(":
            self.position += 2
            return CommandSubstitution(self.parse_inner(self))
        if following == "{":
            self.position += 2
            return self._braced(in_quotes=in_quotes)
        if following == "'" and not in_quotes:  # $'...', which ash has of bash
            self.position += 1
            return Literal(self._ansi_quoted(), quoted=True)
        name = _SHORT_PARAMETER.match(self.text, self.position + 1)
        if name is None:
            self.position += 1
            return Literal("$", quoted=in_quotes)
        self.position = name.end()
        return Parameter(name[0])

    def _ansi_quoted(self) -> str:
        from emulator.apps.shell.escapes import unescape

        match = _ANSI_QUOTED.match(self.text, self.position)
        if match is None:
            raise self.fail("syntax error: unterminated quoted string", incomplete=True)
        self.position = match.end()
        return unescape(match[1].replace("\\'", "'").replace('\\"', '"'), octal_needs_zero=False).text

    def _backquoted(self, *, in_quotes: bool) -> Part:
        start = self.position + 1
        match = _BACKQUOTED.match(self.text, start)
        if match is None:
            raise self.fail("syntax error: EOF in backquote substitution", incomplete=True)
        self.position = match.end()
        special = '`$\\\\"' if in_quotes else "`$\\\\"
        inner = Scanner(re.sub(rf"\\([{special}])", r"\1", match[1]), self.parse_inner, self.depth)
        return CommandSubstitution(self.parse_inner(inner))

    def _arithmetic(self) -> ArithmeticExpansion | None:
        """Read `$((...))`; None, and nothing is read, where it is a subshell in a command substitution."""
        start = self.position
        self.position += 3
        parts: list[Part] = []
        depth = 0
        self.enter()
        while self.position < len(self.text):
            char = self.text[self.position]
            if char == ")" and not depth:
                self.leave()
                if self.text.startswith("))", self.position):
                    self.position += 2
                    return ArithmeticExpansion(Word(tuple(parts)))
                self.position = start
                return None
            if char in "()":
                depth += 1 if char == "(" else -1
                self.position += 1
                _add(parts, Literal(char, quoted=True))
            elif char == '"':
                self.position += 1
            else:
                plain = _PLAIN_ARITHMETIC.match(self.text, self.position)
                if plain is not None:
                    self.position = plain.end()
                    _add(parts, Literal(plain[0], quoted=True))
                else:
                    _add(parts, *self.in_quotes())
        raise self.fail('syntax error: unexpected end of file (expecting "))")', incomplete=True)

    def _braced(self, *, in_quotes: bool) -> Parameter:
        """Read a parameter's name, operator and word, behind `${`."""
        self.enter()
        if self.text.startswith("#", self.position) and not self.text.startswith("#}", self.position):
            name = _PARAMETER.match(self.text, self.position + 1)
            if name is not None and self.text.startswith("}", name.end()):
                self.position = name.end() + 1
                self.leave()
                return Parameter(name[0], "length")
        name = _PARAMETER.match(self.text, self.position)
        if name is None:
            raise self._bad_substitution()
        self.position = name.end()
        operator = _OPERATOR_OF_PARAMETER.match(self.text, self.position)
        word = second = None
        found = ""
        if operator is not None:
            found = operator[0]
            self.position = operator.end()
            patterned = found[0] in "#%/"
            separator = {"/": "/", "//": "/", ":": ":"}.get(found, "")
            word = self._braced_word(in_quotes=in_quotes and not patterned, stop=separator)
            if separator and self.text.startswith(separator, self.position):
                self.position += 1
                second = self._braced_word(in_quotes=in_quotes)
        if not self.text.startswith("}", self.position):
            raise self._bad_substitution()
        self.position += 1
        self.leave()
        return Parameter(name[0], found, word, second)

    def _bad_substitution(self) -> ShellSyntaxError:
        if self.position >= len(self.text):
            return self.fail("syntax error: missing '}'", incomplete=True)
        return self.fail("syntax error: bad substitution")

    def _braced_word(self, *, in_quotes: bool, stop: str = "") -> Word:
        parts: list[Part] = []
        plain = re.compile(rf"[^{re.escape(stop)}}}'\"\\$`]+")
        while self.position < len(self.text):
            char = self.text[self.position]
            if char == "}" or (stop and char == stop):
                break
            match = plain.match(self.text, self.position)
            if match is not None:
                self.position = match.end()
                _add(parts, Literal(match[0], quoted=in_quotes))
            elif in_quotes and char == '"':
                parts.append(self._double_quoted())
            elif in_quotes:
                _add(parts, *self._in_braces())
            else:
                _add(parts, *self._quoted_or_expansion())
        return Word(tuple(parts))

    def _in_braces(self) -> list[Part]:
        """Read one quote, backslash or expansion in `"${x:-...}"`, where a single quote stands for itself."""
        if self.text[self.position] == "'":
            self.position += 1
            return [Literal("'", quoted=True)]
        return self.in_quotes('"}')


def _add(parts: list[Part], *more: Part) -> None:
    """Add parts; text goes to the text before it."""
    for part in more:
        last = parts[-1] if parts else None
        if isinstance(part, Literal) and isinstance(last, Literal) and last.quoted == part.quoted:
            parts[-1] = Literal(last.text + part.text, part.quoted)
        else:
            parts.append(part)


def document_parts(text: str, parse_inner: ParseInner) -> Word:
    """Return a here-document whose delimiter was not quoted: its expansions, and the rest as it is."""
    scanner = Scanner(text, parse_inner)
    parts: list[Part] = []
    while scanner.position < len(text):
        if text[scanner.position] == '"':
            scanner.position += 1
            _add(parts, Literal('"', quoted=True))
        else:
            _add(parts, *scanner.in_quotes())
    return Word((DoubleQuoted(tuple(parts)),))


def is_name(text: str) -> bool:
    """Whether a text can name a variable."""
    return _NAME.fullmatch(text) is not None
