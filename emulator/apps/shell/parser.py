"""Shell text to its tree, by recursive descent. Pure: text in, `Script` or `ShellSyntaxError` out."""

from __future__ import annotations

import re
from collections.abc import Iterator

from emulator.apps.shell.scanner import REDIRECTIONS, Kind, Scanner, Token, is_name
from emulator.apps.shell.syntax import (
    AndOr,
    Assignment,
    Case,
    CaseItem,
    Command,
    Conditional,
    For,
    Function,
    Group,
    HereDocument,
    If,
    Literal,
    Loop,
    Pipeline,
    Redirected,
    Redirection,
    Script,
    ShellSyntaxError,
    SimpleCommand,
    Subshell,
    Word,
)
from emulator.apps.shell.tokens import Pending, Tokens

_OPENERS = frozenset({"!", "{", "case", "for", "if", "until", "while", "function", "[["})
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\+?)=")
_FUNCTION_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def parse(text: str, *, more_may_come: bool = False) -> Script:
    """Parse a whole script. ShellSyntaxError; `more_may_come` makes one of a here-document that is not ended, too."""
    try:
        return _Parser(Scanner(text, _parse_inner), more_may_come=more_may_come).program()
    except RecursionError:
        raise ShellSyntaxError("syntax error: constructs are nested too deep", 1) from None


def complete_commands(text: str) -> Iterator[Script]:
    """Parse a script line by line, as shells do: what stands before a line that is wrong may run. ShellSyntaxError."""
    parser = _Parser(Scanner(text, _parse_inner))
    while True:
        try:
            script = parser.complete_command()
        except RecursionError:
            raise ShellSyntaxError("syntax error: constructs are nested too deep", 1) from None
        if script is None:
            return
        yield script


def _parse_inner(scanner: Scanner) -> Script:
    """Parse what `$(` or a backquote begins: on the same text up to its parenthesis, or a text of its own."""
    scanner.enter()
    body = _Parser(scanner).substitution(closed=scanner.position > 0)
    scanner.leave()
    return body


class _Parser(Tokens):
    """The grammar over the tokens."""

    # --- lists ---

    def program(self) -> Script:
        script = self._list(frozenset())
        if self._peek().kind is not Kind.END:
            raise self._unexpected()
        return script

    def complete_command(self) -> Script | None:
        """Parse up to the end of a line that ends a command; None at the end of the text."""
        self._skip_newlines()
        if self._peek().kind is Kind.END:
            return None
        script = self._list(frozenset(), one_line=True)
        if self._peek().kind not in {Kind.END, Kind.NEWLINE}:
            raise self._unexpected()
        return script

    def substitution(self, *, closed: bool) -> Script:
        script = self._list(frozenset())
        if closed:
            self._expect(")")
        elif self._peek().kind is not Kind.END:
            raise self._unexpected()
        return script

    def _list(self, enders: frozenset[str], *, one_line: bool = False) -> Script:
        """Parse commands up to a reserved word of `enders`, or to what no command begins with."""
        items: list[AndOr] = []
        while True:
            if one_line and items and self._peek().kind is Kind.NEWLINE:
                return Script(tuple(items))
            self._skip_newlines()
            token = self._peek()
            reserved = self._reserved()
            if token.kind is Kind.END or self._is_operator(")", ";;", ";&") or reserved in enders - {""}:
                return Script(tuple(items))
            if reserved and reserved not in _OPENERS:
                raise self._unexpected()
            item = self._and_or()
            background = self._is_operator("&")
            items.append(AndOr(item.first, item.rest, background))
            if self._is_operator(";", "&"):
                self._next()
            elif self._peek().kind is not Kind.NEWLINE and not self._ends_list(enders):
                raise self._unexpected()

    def _ends_list(self, enders: frozenset[str]) -> bool:
        return (
            self._peek().kind is Kind.END
            or self._is_operator(")", ";;", ";&")
            or (bool(self._reserved()) and self._reserved() in enders)
        )

    def _body(self, *enders: str) -> Script:
        """Parse a list that must not be empty, up to one of `enders`, which is left."""
        script = self._list(frozenset(enders))
        if not script.items or self._reserved() not in enders:
            hint = bool(script.items) or self._peek().kind is Kind.END
            raise self._unexpected(enders[0] if hint else "")
        return script

    def _and_or(self) -> AndOr:
        first = self._pipeline()
        rest: list[tuple[str, Pipeline]] = []
        while self._is_operator("&&", "||"):
            operator = self._next().text
            self._skip_newlines()
            rest.append((operator, self._pipeline()))
        return AndOr(first, tuple(rest))

    def _pipeline(self) -> Pipeline:
        negated = False
        while self._reserved() == "!":
            self._next()
            negated = not negated
        commands = [self._command()]
        while self._is_operator("|"):
            self._next()
            self._skip_newlines()
            commands.append(self._command())
        return Pipeline(tuple(commands), negated)

    # --- commands ---

    def _command(self) -> Command:
        self._scanner.enter()
        command = self._compound()
        self._scanner.leave()
        if command is None:
            return self._simple()
        if isinstance(command, Function):
            return command
        redirections: list[Redirection] = []
        while self._at_redirection():
            redirections.append(self._redirection())
        return Redirected(command, tuple(redirections)) if redirections else command

    def _compound(self) -> Command | None:
        if self._is_operator("("):
            self._next()
            body = self._list(frozenset())
            if not body.items:
                raise self._unexpected()
            self._expect(")")
            return Subshell(body)
        match self._reserved():
            case "{":
                self._next()
                body = self._body("}")
                self._expect("}")
                return Group(body)
            case "if":
                return self._if()
            case "while" | "until" as word:
                self._next()
                condition = self._body("do")
                return Loop(condition, self._do_group(), word == "until")
            case "for":
                return self._for()
            case "case":
                return self._case()
            case "[[":
                return self._conditional()
            case "function":
                self._next()
                return self._function(self._name(self._next()))
            case "":
                return None
        raise self._unexpected()

    def _if(self) -> If:
        clauses: list[tuple[Script, Script]] = []
        otherwise = None
        while self._reserved() in {"if", "elif"}:
            self._next()
            condition = self._body("then")
            self._next()
            clauses.append((condition, self._body("fi", "elif", "else")))
        if self._reserved() == "else":
            self._next()
            otherwise = self._body("fi")
        self._expect("fi")
        return If(tuple(clauses), otherwise)

    def _do_group(self) -> Script:
        self._expect("do")
        body = self._body("done")
        self._expect("done")
        return body

    def _for(self) -> For:
        self._next()
        token = self._next()
        name = token.word.bare if token.kind is Kind.WORD else None
        if name is None or not is_name(name):
            incomplete = token.kind is Kind.END
            raise self._scanner.fail("syntax error: bad for loop variable", incomplete=incomplete)
        self._skip_newlines()
        words: list[Word] | None = None
        if self._reserved() == "in":
            self._next()
            words = []
            while self._peek().kind is Kind.WORD:
                words.append(self._next().word)
            if self._peek().kind is not Kind.NEWLINE and not self._is_operator(";"):
                raise self._unexpected()
            self._next()
        elif self._is_operator(";"):
            self._next()
        self._skip_newlines()
        return For(name, None if words is None else tuple(words), self._do_group())

    def _case(self) -> Case:
        self._next()
        if self._peek().kind is not Kind.WORD:
            raise self._unexpected()
        word = self._next().word
        self._skip_newlines()
        self._expect("in")
        items: list[CaseItem] = []
        self._skip_newlines()
        while self._reserved() != "esac":
            if self._is_operator("("):
                self._next()
            patterns: list[Word] = []
            while True:
                if self._peek().kind is not Kind.WORD:
                    raise self._unexpected(")")
                patterns.append(self._next().word)
                if not self._is_operator("|"):
                    break
                self._next()
            self._expect(")")
            body = self._list(frozenset({"esac"}))
            items.append(CaseItem(tuple(patterns), body, self._is_operator(";&")))
            if self._is_operator(";;", ";&"):
                self._next()
            elif self._reserved() != "esac":
                raise self._unexpected(";;")
            self._skip_newlines()
        self._next()
        return Case(word, tuple(items))

    def _conditional(self) -> Conditional:
        line = self._scanner.line
        self._next()
        terms: list[Word | str] = []
        while True:
            token = self._next()
            if token.kind is Kind.WORD and token.word.bare == "]]":
                return Conditional(tuple(terms), line)
            if token.kind is Kind.WORD:
                terms.append(token.word)
                if token.word.bare == "=~":
                    terms.append(self._scanner.regular_expression())
            elif token.kind is Kind.OPERATOR and token.text in {"&&", "||", "(", ")", "<", ">"}:
                terms.append(token.text)
            elif token.kind is Kind.IO_NUMBER:
                terms.append(Word((Literal(token.text),)))
            elif token.kind is not Kind.NEWLINE:
                self._ahead = token
                raise self._unexpected("]]")

    def _name(self, token: Token) -> str:
        name = token.word.bare if token.kind is Kind.WORD else None
        if name is None or _FUNCTION_NAME.fullmatch(name) is None:
            raise self._scanner.fail("syntax error: bad function name", incomplete=token.kind is Kind.END)
        return name

    def _function(self, name: str) -> Function:
        if self._is_operator("("):
            self._next()
            self._expect(")")
        self._skip_newlines()
        body = self._command()
        return Function(name, body)

    def _simple(self) -> Command:
        assignments: list[Assignment] = []
        words: list[Word] = []
        redirections: list[Redirection] = []
        self._peek()
        line = self._scanner.line
        while True:
            if self._at_redirection():
                redirections.append(self._redirection())
            elif self._peek().kind is Kind.WORD:
                word = self._next().word
                assignment = None if words else assignment_of(word)
                if assignment is None:
                    words.append(word)
                else:
                    assignments.append(assignment)
            elif self._is_operator("(") and len(words) == 1 and not assignments and not redirections:
                name = self._name(Token(Kind.WORD, word=words[0]))
                return self._function(name)
            else:
                break
        if not (assignments or words or redirections):
            raise self._unexpected()
        return SimpleCommand(tuple(assignments), tuple(words), tuple(redirections), line)

    # --- redirections ---

    def _at_redirection(self) -> bool:
        return self._peek().kind is Kind.IO_NUMBER or self._is_operator(*REDIRECTIONS)

    def _redirection(self) -> Redirection:
        token = self._next()
        number = ""
        if token.kind is Kind.IO_NUMBER:
            number, token = token.text, self._next()
        operator = token.text
        target = self._peek()
        if target.kind is not Kind.WORD:
            raise self._unexpected()
        word = self._next().word
        descriptor = int(number[:9]) if number else int(not operator.startswith("<"))
        if operator not in {"<<", "<<-"}:
            return Redirection(descriptor, operator, word)
        document = HereDocument()
        delimiter = word.constant
        self._pending.append(
            Pending(delimiter or "", word.bare is not None, strips_tabs=operator == "<<-", document=document)
        )
        return Redirection(descriptor, "<<", Word(), document)


def assignment_of(word: Word) -> Assignment | None:
    """Return the assignment that a word is, in front of a command; None if it is none."""
    first = word.parts[0] if word.parts else None
    if not isinstance(first, Literal) or first.quoted:
        return None
    match = _ASSIGNMENT.match(first.text)
    if match is None:
        return None
    rest = first.text[match.end() :]
    parts = (Literal(rest), *word.parts[1:]) if rest else word.parts[1:]
    return Assignment(match[1], Word(parts), appends=bool(match[2]))
