"""Statements of awk to closures, and a program's items: patterns and what is done where they hold."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from emulator.apps.awk.expressions import Expression, ExpressionParser
from emulator.apps.awk.functions import formatted
from emulator.apps.awk.lexer import AwkError, tokens
from emulator.apps.awk.machine import Machine, is_true, number, text

Statement = Callable[[Machine], None]
_ENDS = (";", "\n", "}")


class Next(Exception):  # noqa: N818 - control flow
    """`next`."""


class Exit(Exception):  # noqa: N818 - control flow
    """`exit`."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


class _Break(Exception):  # noqa: N818 - control flow
    """`break`."""


class _Continue(Exception):  # noqa: N818 - control flow
    """`continue`."""


class Item(Struct):
    """A pattern and its action. A range goes on while `in_range`."""

    action: Statement
    when: str = ""  # "BEGIN" or "END"
    pattern: Expression | None = None
    last: Expression | None = None
    in_range: bool = False

    def applies(self, machine: Machine) -> bool:
        """Whether the action is for this line."""
        if self.pattern is None:
            return True
        if self.last is None:
            return is_true(self.pattern(machine))
        if not self.in_range and not is_true(self.pattern(machine)):
            return False
        self.in_range = not is_true(self.last(machine))
        return True


def parse(source: str) -> list[Item]:
    """Read a program. AwkError."""
    try:
        return _Parser(tokens(source)).items()
    except RecursionError:
        raise AwkError("syntax error: nested too deep") from None


class _Parser(ExpressionParser):
    def items(self) -> list[Item]:
        found: list[Item] = []
        while True:
            while self.is_next(";", "\n"):
                self.next()
            if self.peek().kind == "end":
                return found
            found.append(self._item())

    def _item(self) -> Item:
        if self.is_next("function"):
            raise AwkError("functions of a program's own are not there")
        if self.is_next("BEGIN", "END"):
            when = self.next().text
            return Item(self._block(), when)
        pattern = last = None
        if not self.is_next("{"):
            pattern = self.expression()
            if self.is_next(","):
                self.next()
                last = self.expression()
        action = self._block() if self.is_next("{") else _print_line
        return Item(action, "", pattern, last)

    def _block(self) -> Statement:
        self.expect("{")
        found: list[Statement] = []
        while not self.is_next("}"):
            if self.is_next(";", "\n"):
                self.next()
            elif self.peek().kind == "end":
                raise AwkError("syntax error at end of program: '}' is missing")
            else:
                found.append(self._statement())
        self.next()

        def run(machine: Machine) -> None:
            for statement in found:
                statement(machine)

        return run

    def _statement(self) -> Statement:
        if self.is_next("{"):
            return self._block()
        token = self.peek()
        if token.kind == "keyword":
            handler = {
                "if": self._if, "while": self._while, "do": self._do, "for": self._for, "delete": self._delete,
                "exit": self._exit,
            }.get(token.text)  # fmt: skip
            if handler is not None:
                self.next()
                return handler()
            if token.text in {"print", "printf"}:
                self.next()
                return self._print(formats=token.text == "printf")
            if token.text in {"next", "break", "continue"}:
                self.next()
                return _raiser({"next": Next, "break": _Break, "continue": _Continue}[token.text])
            raise AwkError(f"{token.text} is not there")
        value = self.expression()
        self._end()
        return lambda machine: void(value(machine))

    def _end(self) -> None:
        if self.is_next(";", "\n"):
            self.next()
        elif not self.is_next("}") and self.peek().kind != "end":
            raise AwkError(f"syntax error at {self.peek().text!r}")

    def _condition(self) -> Expression:
        self.expect("(")
        condition = self.expression()
        self.expect(")")
        return condition

    def _body(self) -> Statement:
        self.skip_newlines()
        if self.is_next(";"):
            self.next()
            return lambda _machine: None
        return self._statement()

    def _if(self) -> Statement:
        condition, then = self._condition(), self._body()
        mark = self._at
        while self.is_next(";", "\n"):
            self.next()
        if not self.is_next("else"):
            self._at = mark
            return lambda machine: then(machine) if is_true(condition(machine)) else None
        self.next()
        otherwise = self._body()
        return lambda machine: (then if is_true(condition(machine)) else otherwise)(machine)

    def _while(self) -> Statement:
        condition, body = self._condition(), self._body()
        return _loop(condition, body, lambda _machine: None)

    def _do(self) -> Statement:
        body = self._body()
        while self.is_next(";", "\n"):
            self.next()
        self.expect("while")
        rest = _loop(self._condition(), body, lambda _machine: None)
        once = _loop_turn(body)

        def run(machine: Machine) -> None:
            if once(machine):
                rest(machine)

        return run

    def _for(self) -> Statement:
        self.expect("(")
        ahead = self._tokens[self._at : self._at + 4]
        kinds = [each.text if each.kind in {"keyword", "operator"} else each.kind for each in ahead]
        if kinds == ["name", "in", "name", ")"]:
            return self._for_in()
        start = self._optional(";")
        self.expect(";")
        condition = self._optional(";")
        self.expect(";")
        step = self._optional(")")
        self.expect(")")
        body = self._body()
        loop = _loop(condition or (lambda _machine: 1.0), body, lambda machine: void(step(machine)) if step else None)

        def run(machine: Machine) -> None:
            if start is not None:
                start(machine)
            loop(machine)

        return run

    def _for_in(self) -> Statement:
        name = self.next().text
        self.next()
        array = self.next().text
        self.next()
        turn = _loop_turn(self._body())

        def run(machine: Machine) -> None:
            for key in [*machine.arrays.get(array, {})]:
                machine.put(name, key)
                if not turn(machine):
                    return

        return run

    def _optional(self, end: str) -> Expression | None:
        return None if self.is_next(end) else self.expression()

    def _delete(self) -> Statement:
        name = self.next().text
        if not self.is_next("["):
            return lambda machine: void(machine.arrays.pop(name, None))
        self.next()
        keys = self.expressions("]")
        self.expect("]")

        def run(machine: Machine) -> None:
            key = text(machine.variables["SUBSEP"]).join(text(each(machine)) for each in keys)
            machine.arrays.get(name, {}).pop(key, None)

        return run

    def _exit(self) -> Statement:
        status = None if self.is_next(*_ENDS) or self.peek().kind == "end" else self.expression()

        def run(machine: Machine) -> None:
            raise Exit(int(number(status(machine))) & 0xFF if status is not None else 0)

        return run

    def _print(self, *, formats: bool = False) -> Statement:
        self._in_print += 1
        parts = [] if self.is_next(*_ENDS) or self.peek().kind == "end" else self._printed()
        self._in_print -= 1
        if self.is_next(">", "|") or self.peek().text == ">>":
            raise AwkError("output of print goes to standard output only")
        self._end()
        if formats:
            return lambda machine: machine.write(formatted([part(machine) for part in parts]))
        if not parts:
            return _print_line

        def run(machine: Machine) -> None:
            form = text(machine.variables["OFMT"])
            shown = text(machine.variables["OFS"]).join(text(part(machine), form) for part in parts)
            machine.write(shown + text(machine.variables["ORS"]))

        return run

    def _printed(self) -> list[Expression]:
        """Read what is printed; parentheses may stand around the whole list."""
        if self.is_next("("):
            mark, in_print = self._at, self._in_print
            self.next()
            self._in_print = 0
            parts = self.expressions(")")
            self.expect(")")
            self._in_print = in_print
            if len(parts) > 1 and (self.is_next(*_ENDS) or self.peek().kind == "end"):
                return parts
            self._at = mark
        return self.expressions("\n")


def _print_line(machine: Machine) -> None:
    machine.write(text(machine.field(0)) + text(machine.variables["ORS"]))


def void(_value: object) -> None:
    """Forget a value."""


def _raiser(kind: type[Exception]) -> Statement:
    def run(_machine: Machine) -> None:
        raise kind

    return run


def _loop_turn(body: Statement) -> Callable[[Machine], bool]:
    """Return what runs a body once, and says whether the loop goes on."""

    def turn(machine: Machine) -> bool:
        machine.step()
        try:
            body(machine)
        except _Break:
            return False
        except _Continue:
            pass
        return True

    return turn


def _loop(condition: Expression, body: Statement, step: Statement) -> Statement:
    turn = _loop_turn(body)

    def run(machine: Machine) -> None:
        while is_true(condition(machine)) and turn(machine):
            step(machine)

    return run
