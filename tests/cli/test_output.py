"""Tables as kubectl's tabwriter aligns them, and YAML as kubectl writes it."""

from __future__ import annotations

from emulator.cli.output import Table
from emulator.cli.yaml_text import yaml_text


def test_cells_are_padded_by_three_and_at_least_six_wide() -> None:
    rows = [["NAME", "READY", "A"], ["web-1", "1/1", "9s"]]
    assert Table().lines(rows) == ["NAME    READY   A", "web-1   1/1     9s"]
    assert Table().lines([["A", "B"], ["1", "2"]]) == ["A     B", "1     2"]


def test_later_rows_keep_the_widths() -> None:
    table = Table()
    table.lines([["a-long-name", "x"]])
    assert table.lines([["b", "y"]]) == ["b             y"]


def test_control_characters_are_escaped() -> None:
    assert Table().lines([["a\x1b[31m", "b\n"]]) == ["a\\x1b[31m   b\\n"]


def test_yaml() -> None:
    shared = {"app": "web"}
    value = {"b": [shared, shared], "a": "one\ntwo\n", "c": "yes", "d": None, "e": "x" * 200}
    assert yaml_text(value) == (
        "a: |\n  one\n  two\nb:\n- app: web\n- app: web\nc: 'yes'\nd: null\n" + f"e: {'x' * 200}\n"
    )
