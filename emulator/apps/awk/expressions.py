"""Expressions of awk to closures: the grammar by precedence."""

from __future__ import annotations

import math
from collections.abc import Callable

from emulator.apps import regular_expression
from emulator.apps.awk.functions import FUNCTIONS, TARGETS, parts_of, replace_in
from emulator.apps.awk.lexer import AwkError, Token
from emulator.apps.awk.machine import Machine, Numeric, Value, compare, expression, is_true, number, text

Expression = Callable[[Machine], Value]
_COMPARISONS: dict[str, Callable[[int], bool]] = {
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    "==": lambda order: order == 0,
    "!=": lambda order: order != 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
}
_ASSIGNMENTS = {"=": "", "+=": "+", "-=": "-", "*=": "*", "/=": "/", "%=": "%", "^=": "^"}
_STARTS = frozenset({"number", "string", "name", "function", "regex"})


class Place:
    """Something that can be assigned to by `put`, and has a value by `get`: a variable, a field, an element."""

    def __init__(self, get: Expression, put: Callable[[Machine, Value], None]) -> None:
        self.get = get
        self.put = put

    def __call__(self, machine: Machine) -> Value:
        """Return its value."""
        return self.get(machine)


def calculate(operator: str, left: Value, right: Value) -> Value:
    """Calculate with two numbers. AwkError."""
    a, b = number(left), number(right)
    try:
        match operator:
            case "+":
                return a + b
            case "-":
                return a - b
            case "*":
                return a * b
            case "/":
                return a / b
            case "%":
                return math.fmod(a, b)
        return float(a**b)
    except ZeroDivisionError:
        raise AwkError("division by zero") from None
    except (ValueError, OverflowError):
        return math.nan


class ExpressionParser:
    """Reads tokens from a position on."""

    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._at = 0
        self._in_print = 0  # where a bare > is not a comparison
        self._in_for = 0  # where `in` is the loop's

    def peek(self) -> Token:
        """The next token."""
        return self._tokens[self._at]

    def next(self) -> Token:
        """Take it."""
        token = self._tokens[self._at]
        self._at += token.kind != "end"
        return token

    def is_next(self, *texts: str) -> bool:
        """Whether the next token is one of these operators or keywords."""
        return self.peek().kind in {"operator", "keyword"} and self.peek().text in texts

    def expect(self, wanted: str) -> None:
        """Take an operator or keyword. AwkError where there is another."""
        if not self.is_next(wanted):
            raise AwkError(f"syntax error at {self.peek().text or 'end of program'!r}: {wanted!r} is missing")
        self.next()

    def expression(self) -> Expression:
        """Read an expression."""
        left = self._conditional()
        if self.is_next(*_ASSIGNMENTS) and isinstance(left, Place):
            operator, place, value = _ASSIGNMENTS[self.next().text], left, self.expression()

            def assign(machine: Machine) -> Value:
                result = value(machine)
                if operator:
                    result = calculate(operator, place.get(machine), result)
                place.put(machine, result)
                return result

            return assign
        return left

    def expressions(self, end: str) -> list[Expression]:
        """Read expressions between commas, up to `end`, which is left."""
        found: list[Expression] = []
        while not self.is_next(end):
            found.append(self.expression())
            if not self.is_next(","):
                break
            self.next()
            self.skip_newlines()
        return found

    def skip_newlines(self) -> None:
        """Skip ends of lines."""
        while self.is_next("\n"):
            self.next()

    def _conditional(self) -> Expression:
        condition = self._or()
        if not self.is_next("?"):
            return condition
        self.next()
        first = self.expression()
        self.expect(":")
        second = self.expression()
        return lambda machine: first(machine) if is_true(condition(machine)) else second(machine)

    def _or(self) -> Expression:
        left = self._and()
        while self.is_next("||"):
            self.next()
            self.skip_newlines()
            left = _either(left, self._and())
        return left

    def _and(self) -> Expression:
        left = self._in()
        while self.is_next("&&"):
            self.next()
            self.skip_newlines()
            left = _both(left, self._in())
        return left

    def _in(self) -> Expression:
        left = self._matching()
        while self.is_next("in") and not self._in_for:
            self.next()
            left = _is_in(left, self.next().text)
        return left

    def _matching(self) -> Expression:
        left = self._comparison()
        while self.is_next("~", "!~"):
            wanted = self.next().text == "~"
            left = _matches(left, self.pattern(self._comparison), wanted=wanted)
        return left

    def pattern(self, read: Callable[[], Expression]) -> Callable[[Machine], regular_expression.Expression]:
        """Read what stands for a regular expression: one between slashes, or text."""
        if self.peek().kind == "regex":
            source = self.next().text
            return lambda _machine: expression(source)
        value = read()
        return lambda machine: expression(text(value(machine)))

    def _comparison(self) -> Expression:
        left = self._concatenation()
        operators = [each for each in _COMPARISONS if each != ">" or not self._in_print]
        if not self.is_next(*operators):
            return left
        holds = _COMPARISONS[self.next().text]
        right = self._concatenation()
        return lambda machine: float(holds(compare(left(machine), right(machine))))

    def _concatenation(self) -> Expression:
        parts = [self._sum()]
        while self.peek().kind in _STARTS - {"regex"} or self.is_next("$", "!", "(", "-", "+", "++", "--"):
            if self.is_next("in"):
                break
            parts.append(self._sum())
        if len(parts) == 1:
            return parts[0]
        return lambda machine: "".join(text(part(machine), text(machine.variables["CONVFMT"])) for part in parts)

    def _sum(self) -> Expression:
        return self._binary(self._product, ("+", "-"))

    def _product(self) -> Expression:
        return self._binary(self._unary, ("*", "/", "%"))

    def _binary(self, read: Callable[[], Expression], operators: tuple[str, ...]) -> Expression:
        left = read()
        while self.is_next(*operators):
            left = _calculated(self.next().text, left, read())
        return left

    def _unary(self) -> Expression:
        if self.is_next("!"):
            self.next()
            operand = self._unary()
            return lambda machine: float(not is_true(operand(machine)))
        if self.is_next("-", "+"):
            sign = -1.0 if self.next().text == "-" else 1.0
            operand = self._unary()
            return lambda machine: sign * number(operand(machine))
        return self._power()

    def _power(self) -> Expression:
        base = self._postfix()
        if not self.is_next("^", "**"):
            return base
        self.next()
        exponent = self._unary()
        return lambda machine: calculate("^", base(machine), exponent(machine))

    def _postfix(self) -> Expression:
        if self.is_next("++", "--"):
            change = 1.0 if self.next().text == "++" else -1.0
            return _changed(self._place(), change, before=True)
        value = self.primary()
        if isinstance(value, Place) and self.is_next("++", "--"):
            return _changed(value, 1.0 if self.next().text == "++" else -1.0, before=False)
        return value

    def _place(self) -> Place:
        value = self.primary()
        if not isinstance(value, Place):
            raise AwkError("syntax error: something that can be assigned to is missing")
        return value

    def primary(self) -> Expression:
        """Read a constant, a variable, a field, a call, or what is in parentheses."""
        token = self.next()
        match token.kind:
            case "number":
                value = float(int(token.text, 16) if token.text[:2].lower() == "0x" else float(token.text))
                return lambda _machine: value
            case "string":
                return lambda _machine: token.text
            case "regex":
                return lambda machine: float(expression(token.text).search(text(machine.field(0))) is not None)
            case "name":
                return self._named(token.text)
            case "function":
                return self._call(token.text)
        if token.text == "$":
            index = self._postfix_of_field()
            return Place(
                lambda machine: machine.field(int(number(index(machine)))),
                lambda machine, value: machine.put_field(int(number(index(machine))), value),
            )
        if token.text == "(":
            return self._grouped()
        raise AwkError(f"syntax error at {token.text or 'end of program'!r}")

    def _postfix_of_field(self) -> Expression:
        if self.is_next("++", "--"):
            return self._postfix()
        if self.is_next("-"):
            return self._unary()
        return self.primary()

    def _grouped(self) -> Expression:
        in_print, self._in_print = self._in_print, 0
        in_for, self._in_for = self._in_for, 0
        parts = self.expressions(")")
        self.expect(")")
        self._in_print, self._in_for = in_print, in_for
        if len(parts) == 1:
            return _value_of(parts[0])
        if not self.is_next("in"):
            raise AwkError("syntax error: a list of expressions where one belongs")
        return _joined(parts)

    def _named(self, name: str) -> Expression:
        if not self.is_next("["):
            return Place(lambda machine: machine.get(name), lambda machine, value: machine.put(name, value))
        self.next()
        key = _joined(self.expressions("]"))
        self.expect("]")

        def get(machine: Machine) -> Value:
            return machine.arrays.setdefault(name, {}).setdefault(text(key(machine)), Numeric(""))

        def put(machine: Machine, value: Value) -> None:
            machine.arrays.setdefault(name, {})[text(key(machine))] = value

        return Place(get, put)

    def _call(self, name: str) -> Expression:
        if name not in FUNCTIONS and name not in TARGETS:
            raise AwkError(f"there is no function {name} here")
        self.expect("(")
        if name in {"sub", "gsub"}:
            pattern = self.pattern(self.expression)
            self.expect(",")
            replacement = self.expression()
            target = Place(lambda machine: machine.field(0), lambda machine, value: machine.put_field(0, value))
            if self.is_next(","):
                self.next()
                target = self._place()
            self.expect(")")
            return lambda machine: replace_in(machine, pattern(machine), replacement, target, everywhere=name == "gsub")
        if name == "split":
            return self._split()
        if name == "match":
            subject = self.expression()
            self.expect(",")
            pattern = self.pattern(self.expression)
            self.expect(")")
            return lambda machine: _match(machine, text(subject(machine)), pattern(machine))
        arguments = self.expressions(")")
        self.expect(")")
        function = FUNCTIONS[name]
        return lambda machine: function(machine, [argument(machine) for argument in arguments])

    def _split(self) -> Expression:
        subject = self.expression()
        self.expect(",")
        name = self.next().text
        separator = None
        if self.is_next(","):
            self.next()
            separator = self.pattern(self.expression) if self.peek().kind == "regex" else self.expression()
        self.expect(")")

        def split(machine: Machine) -> Value:
            found = separator(machine) if separator is not None else machine.variables["FS"]
            parts = parts_of(text(subject(machine)), found)
            machine.arrays[name] = {str(index): Numeric(part) for index, part in enumerate(parts, 1)}
            return float(len(parts))

        return split


def _match(machine: Machine, subject: str, pattern: regular_expression.Expression) -> Value:
    found = pattern.search(subject)
    machine.put("RSTART", float(found.start() + 1 if found else 0))
    machine.put("RLENGTH", float(found.end() - found.start() if found else -1))
    return machine.get("RSTART")


def _joined(parts: list[Expression]) -> Expression:
    """Return an index of several parts."""
    if len(parts) == 1:
        return parts[0]
    return lambda machine: text(machine.variables["SUBSEP"]).join(text(part(machine)) for part in parts)


def _changed(place: Place, change: float, *, before: bool) -> Expression:
    def run(machine: Machine) -> Value:
        old = number(place.get(machine))
        place.put(machine, old + change)
        return old + change if before else old

    return run


def _value_of(part: Expression) -> Expression:
    """Return an expression in parentheses, which is no place to assign to."""

    def run(machine: Machine) -> Value:
        return part(machine)

    return run


def _either(left: Expression, right: Expression) -> Expression:
    return lambda machine: float(is_true(left(machine)) or is_true(right(machine)))


def _both(left: Expression, right: Expression) -> Expression:
    return lambda machine: float(is_true(left(machine)) and is_true(right(machine)))


def _is_in(key: Expression, array: str) -> Expression:
    return lambda machine: float(text(key(machine)) in machine.arrays.get(array, {}))


def _matches(
    subject: Expression, pattern: Callable[[Machine], regular_expression.Expression], *, wanted: bool
) -> Expression:
    return lambda machine: float((pattern(machine).search(text(subject(machine))) is not None) == wanted)


def _calculated(operator: str, left: Expression, right: Expression) -> Expression:
    return lambda machine: calculate(operator, left(machine), right(machine))
