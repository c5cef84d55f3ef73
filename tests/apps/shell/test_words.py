"""Arithmetic, patterns, field splitting, escapes and printf, each by itself."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.apps.shell.arithmetic import ArithmeticProblem, evaluate, wrap
from emulator.apps.shell.escapes import unescape
from emulator.apps.shell.fields import BREAK, Piece, split
from emulator.apps.shell.pattern import compile_pattern, plain, remove, substitute
from emulator.apps.shell.printf import formatted


def value(text: str, **variables: str) -> int:
    return evaluate(text, lambda name: variables.get(name, ""), variables.__setitem__)


NUMBERS = st.integers(0, 1 << 62)
EXPRESSIONS = st.recursive(
    NUMBERS.map(str),
    lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "&", "|", "^"]), inner),
    max_leaves=12,
)


@given(EXPRESSIONS)
def test_integers_are_those_of_64_bits(text: str) -> None:
    assert value(text) == wrap(eval(text))


@given(st.lists(st.tuples(st.sampled_from(["+", "-", "*", "&", "|", "^"]), st.integers(0, 9)), max_size=8))
def test_precedence_is_as_in_c(steps: list[tuple[str, int]]) -> None:
    text = "7 << 3" + "".join(f" {operator} {number}" for operator, number in steps if operator not in "+-*")
    assert value(text) == wrap(eval(text))
    text = "7" + "".join(f" {operator} {number}" for operator, number in steps)
    assert value(text) == wrap(eval(text))


@pytest.mark.parametrize("text", ["1+", "(1", "1)", "1 2", "a b", "@", "1/0", "1%0", "5 = 3", "?:", "1 ? 2", "08"])
def test_what_is_no_expression_is_a_problem(text: str) -> None:
    with pytest.raises(ArithmeticProblem):
        value(text)


def test_what_is_left_out_assigns_nothing() -> None:
    variables = {"a": "1", "loop": "loop"}

    def run(text: str) -> int:
        return evaluate(text, lambda name: variables.get(name, ""), variables.__setitem__)

    assert run("0 && (a = 5)") == 0
    assert run("1 || (a = 5)") == 1
    assert run("1 ? 2 : (a = 5)") == 2
    assert run("0 && 1/0") == 0
    assert variables["a"] == "1"
    assert run("a++ + ++a") == 4
    assert variables["a"] == "3"
    with pytest.raises(ArithmeticProblem):
        run("loop")


@given(st.text("ab.", max_size=6), st.text("ab.*?", max_size=6))
def test_patterns_match_as_fnmatch_does(text: str, pattern: str) -> None:
    assert (compile_pattern([(pattern, False)]).fullmatch(text) is not None) == fnmatchcase(text, pattern)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("[abc]", "b", True),
        ("[!abc]", "b", False),
        ("[^abc]", "d", True),
        ("[a-c]x", "bx", True),
        ("[]a]", "]", True),
        ("[a-]", "-", True),
        ("[[:digit:]]*", "5x", True),
        ("[[:space:]]", "x", False),
        ("[a", "[a", True),
        ("\\*", "*", True),
        ("\\*", "x", False),
        ("a\\", "a\\", True),
    ],
)
def test_brackets(pattern: str, text: str, matches: bool) -> None:
    assert (compile_pattern([(pattern, False)]).fullmatch(text) is not None) == matches


def test_quoted_characters_match_themselves() -> None:
    assert compile_pattern([("a", False), ("*", True)]).fullmatch("a*")
    assert not compile_pattern([("a", False), ("*", True)]).fullmatch("ab")
    assert not compile_pattern([("*", False)], of_file=True).fullmatch(".hidden")


@given(st.text("ab", max_size=8), st.text("ab*", max_size=4))
def test_removing_takes_the_least_or_the_most(text: str, pattern: str) -> None:
    runs = [(pattern, False)]
    least, most = remove(text, runs, "#"), remove(text, runs, "##")
    assert text.endswith(least)
    assert least.endswith(most)
    least, most = remove(text, runs, "%"), remove(text, runs, "%%")
    assert text.startswith(least)
    assert least.startswith(most)


@given(st.text("ab", max_size=7), st.text("ab*?", max_size=5))
def test_removing_agrees_with_trying_all_lengths(text: str, pattern: str) -> None:
    runs, size = [(pattern, False)], len(text)
    whole = re.compile(pattern.replace("*", ".*").replace("?", ".")) if "**" not in pattern else compile_pattern(runs)
    assert bool(compile_pattern(runs).fullmatch(text)) == bool(whole.fullmatch(text))
    heads = [text[length:] for length in range(size + 1) if whole.fullmatch(text[:length])] or [text]
    tails = [text[:start] for start in range(size, -1, -1) if whole.fullmatch(text[start:])] or [text]
    assert (remove(text, runs, "#"), remove(text, runs, "##")) == (heads[0], heads[-1])
    assert (remove(text, runs, "%"), remove(text, runs, "%%")) == (tails[0], tails[-1])


def test_many_stars_and_long_texts_take_no_time_to_speak_of() -> None:
    """Backtracking would take hours, and hold up the node for so long."""
    assert not compile_pattern([("*a" * 20 + "*b", False)]).fullmatch("a" * 2_000)
    text = "a" * 200_000
    for operator in ("#", "##", "%", "%%"):
        assert remove(text, [("*,*b*", False)], operator) == text


def test_replacing() -> None:
    assert substitute("a.b.c", [(".", True)], "-", everywhere=False) == "a-b.c"
    assert substitute("a.b.c", [(".", True)], "-", everywhere=True) == "a-b-c"
    assert substitute("abc", [("", False)], "x", everywhere=True) == "abc"


@given(st.text("ab \t\n", max_size=12))
def test_white_space_splits_as_split_does(text: str) -> None:
    assert [plain(field) for field in split([Piece(text, quoted=False, splits=True)], " \t\n")] == text.split()


@given(st.text("ab:", max_size=12))
def test_other_separators_each_end_a_field(text: str) -> None:
    expected = text.split(":")
    expected = expected[:-1] if expected[-1] == "" else expected
    assert [plain(field) for field in split([Piece(text, quoted=False, splits=True)], ":")] == expected


def test_what_is_quoted_is_not_split() -> None:
    pieces = [
        Piece("a b", quoted=True),
        Piece(" c ", quoted=False, splits=True),
        Piece("", quoted=True),
        BREAK,
        Piece("d", quoted=False),
    ]
    assert [plain(field) for field in split(pieces, " ")] == ["a b", "c", "", "d"]


@pytest.mark.parametrize(
    ("text", "expected", "ended"),
    [
        (r"a\nb\t\\", "a\nb\t\\", False),
        (r"\0101\x42\q", "AB\\q", False),
        (r"a\cb", "a", True),
        (r"\e[0m", "\x1b[0m", False),
    ],
)
def test_escapes(text: str, expected: str, ended: bool) -> None:
    assert unescape(text) == (expected, ended)


def test_printf_keeps_going_where_an_argument_is_no_number() -> None:
    printed = formatted("%d %s\n", ["x", "a", "0x1f", "b"])
    assert printed.text == "0 a\n31 b\n"
    assert printed.problems == ["invalid number 'x'"]
