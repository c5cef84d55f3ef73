"""The parser: what is no script, what may become one, and that words stay what they are."""

from __future__ import annotations

from contextlib import suppress
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.apps.shell.parser import complete_commands, parse
from emulator.apps.shell.quoting import quoted
from emulator.apps.shell.syntax import For, If, Pipeline, ShellSyntaxError, SimpleCommand

from .scripts import ALL, scripts


@pytest.mark.parametrize(
    ("text", "message", "incomplete"),
    [
        ("if", 'unexpected end of file (expecting "then")', True),
        ("if true; then echo", 'unexpected end of file (expecting "fi")', True),
        ("while true; do", 'unexpected end of file (expecting "done")', True),
        ("case x in", 'unexpected end of file (expecting ")")', True),
        ("( echo", 'unexpected end of file (expecting ")")', True),
        ("f() {", 'unexpected end of file (expecting "}")', True),
        ("echo $(", 'unexpected end of file (expecting ")")', True),
        ("echo ${x", "missing '}'", True),
        ('echo "a', "unterminated quoted string", True),
        ("echo 'a", "unterminated quoted string", True),
        ("echo a |", "unexpected end of file", True),
        ("echo a &&", "unexpected end of file", True),
        ("done", 'unexpected "done"', False),
        ("; echo", 'unexpected ";"', False),
        ("echo a;;", 'unexpected ";;"', False),
        ("echo )", 'unexpected ")"', False),
        ("a=(1 2)", 'unexpected "("', False),
        ("for 1 in a; do :; done", "bad for loop variable", False),
        ("echo ${!x}", "bad substitution", False),
        ("echo >", "unexpected end of file", True),
        ("echo > ;", 'unexpected ";"', False),
        ("( echo ) x", "unexpected word", False),
    ],
)
def test_what_is_no_script_is_told_in_the_words_of_ash(text: str, message: str, incomplete: bool) -> None:
    with pytest.raises(ShellSyntaxError) as raised:
        parse(text)
    assert str(raised.value) == f"syntax error: {message}"
    assert raised.value.incomplete == incomplete


def test_a_line_number_goes_with_a_command_and_with_an_error() -> None:
    (_, second) = parse("echo a\n\necho b\n").items
    command = second.first.commands[0]
    assert isinstance(command, SimpleCommand)
    assert command.line == 3
    with pytest.raises(ShellSyntaxError) as raised:
        parse("echo a\nfi\n")
    assert raised.value.line == 2


def test_deep_nesting_is_refused_rather_than_fatal() -> None:
    for opening in ("(", "$(", '"$(', "${x:-", "$((", "echo $(", "{ ", "if ", "while "):
        with pytest.raises(ShellSyntaxError):
            parse(opening * 5_000)


def test_the_lines_before_a_wrong_one_are_commands() -> None:
    commands = complete_commands("echo a; echo b\nfor i in 1; do\n:; done\necho )")
    first, second = next(commands), next(commands)
    assert len(first.items) == 2
    assert isinstance(second.items[0].first.commands[0], For)
    with pytest.raises(ShellSyntaxError):
        next(commands)


def test_a_condition_has_what_it_is_made_of() -> None:
    (item,) = parse("if a | b; then c; elif ! d; then e; else f; fi").items
    (command,) = item.first.commands
    assert isinstance(command, If)
    assert len(command.clauses) == 2
    assert isinstance(command.clauses[0][0].items[0].first, Pipeline)
    assert command.clauses[1][0].items[0].first.negated
    assert command.otherwise is not None


FRAGMENTS = st.sampled_from(
    [*"$`\"'\\(){}<>|&;#*?[]!~ \n\t=:-+%/@", "$(", "${", "$((", "))", "<<E", "\nE\n", "if ", "then ", "fi", "do ",
     "done", "for i in ", "while ", "case x in ", "esac", "a", "x=", "2>", "&&", "||", ";;", "echo ", "f() ",
     "[[ ", " ]]"]
)  # fmt: skip


@given(st.one_of(st.text(max_size=80), st.lists(FRAGMENTS, max_size=30).map("".join)))
def test_any_text_is_a_script_or_a_syntax_error(text: str) -> None:
    with suppress(ShellSyntaxError):
        parse(text)


@given(st.lists(FRAGMENTS, max_size=20).map("".join))
def test_line_by_line_is_as_all_at_once(text: str) -> None:
    try:
        whole = parse(text)
    except ShellSyntaxError:
        return
    pieces = [*complete_commands(text)]
    assert tuple(chain.from_iterable(piece.items for piece in pieces)) == whole.items


@given(st.lists(st.text(st.characters(exclude_characters="\0"), max_size=20), min_size=1, max_size=4))
def test_a_quoted_word_is_read_as_it_was(words: list[str]) -> None:
    (item,) = parse("x " + " ".join(quoted(word) for word in words)).items
    (command,) = item.first.commands
    assert isinstance(command, SimpleCommand)
    assert [word.constant for word in command.words[1:]] == words


TABLE = scripts(*ALL)


@given(st.data())
def test_a_script_that_is_cut_off_is_whole_or_incomplete_or_wrong(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(TABLE))
    cut = text[: data.draw(st.integers(0, len(text)))]
    with suppress(ShellSyntaxError):
        whole = parse(cut, more_may_come=True)
        assert parse(cut) == whole
