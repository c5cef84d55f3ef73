"""Tokens for the parser: one ahead, reserved words, and the here-documents that wait for their lines."""

from __future__ import annotations

from msgspec import Struct

from emulator.apps.shell.scanner import Kind, Scanner, Token, document_parts
from emulator.apps.shell.syntax import HereDocument, Literal, ShellSyntaxError, Word

RESERVED = frozenset(
    {"!", "{", "}", "case", "do", "done", "elif", "else", "esac", "fi", "for", "if", "in", "then", "until", "while"}
)


class Pending(Struct, frozen=True):
    """A here-document whose lines have not been read yet."""

    delimiter: str
    expands: bool
    strips_tabs: bool
    document: HereDocument


class Tokens:
    """Tokens of a text, one of them ahead; here-documents are read where their lines begin."""

    def __init__(self, scanner: Scanner, *, more_may_come: bool = False) -> None:
        self._scanner = scanner
        self._more_may_come = more_may_come
        self._ahead: Token | None = None
        self._pending: list[Pending] = []

    def _peek(self) -> Token:
        if self._ahead is None:
            self._ahead = self._scanner.token()
            if self._ahead.kind is Kind.NEWLINE or (self._ahead.kind is Kind.END and self._pending):
                self._read_documents()
        return self._ahead

    def _next(self) -> Token:
        token = self._peek()
        self._ahead = None
        return token

    def _reserved(self) -> str:
        """The reserved word that comes next, or ""."""
        token = self._peek()
        bare = token.word.bare if token.kind is Kind.WORD else None
        return bare if bare in RESERVED or bare in {"function", "[["} else ""

    def _is_operator(self, *operators: str) -> bool:
        token = self._peek()
        return token.kind is Kind.OPERATOR and token.text in operators

    def _unexpected(self, expected: str = "") -> ShellSyntaxError:
        token = self._peek()
        reserved = self._reserved()
        found = f'"{reserved}"' if reserved in RESERVED else token.describe()
        hint = f' (expecting "{expected}")' if expected else ""
        return self._scanner.fail(f"syntax error: unexpected {found}{hint}", incomplete=token.kind is Kind.END)

    def _expect(self, word: str) -> None:
        if self._reserved() != word and not self._is_operator(word):
            raise self._unexpected(word)
        self._next()

    def _skip_newlines(self) -> None:
        while self._peek().kind is Kind.NEWLINE:
            self._next()

    def _read_documents(self) -> None:
        pending, self._pending = self._pending, []
        for each in pending:
            lines: list[str] = []
            ended = False
            while self._scanner.position < len(self._scanner.text) and not ended:
                line, newline, _ = self._scanner.text[self._scanner.position :].partition("\n")
                self._scanner.position += len(line) + len(newline)
                line = line.lstrip("\t") if each.strips_tabs else line
                ended = line == each.delimiter
                if not ended:
                    lines.append(line + newline)
            if not ended and self._more_may_come:
                raise self._scanner.fail("syntax error: unterminated here-document", incomplete=True)
            text = "".join(lines)
            each.document.word = (
                document_parts(text, self._scanner.parse_inner) if each.expands else Word((Literal(text, quoted=True),))
            )
