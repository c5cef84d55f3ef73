"""What commands print: names made safe for terminals, tables as kubectl aligns them, JSON, YAML, notes and errors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from emulator.api.problem import printable

CELL_PADDING = 3
MINIMUM_WIDTH = 6
"""kubectl's tabwriter: cells are at least six wide, their padding included (cli-runtime, printers/tabwriter.go)."""


class Table:
    """Rows in columns; later rows (of a watch) keep the widths of those before, as in kubectl."""

    def __init__(self) -> None:
        self._widths: list[int] = []

    def lines(self, rows: Sequence[Sequence[str]]) -> list[str]:
        """Return rows, a header among them or not, as lines without blanks at their ends."""
        shown = [[printable(cell) for cell in row] for row in rows]
        for row in shown:
            self._widths += [MINIMUM_WIDTH] * (len(row) - len(self._widths))
            for index, cell in enumerate(row):
                self._widths[index] = max(self._widths[index], len(cell) + CELL_PADDING)
        return [
            "".join(cell.ljust(width) for cell, width in zip(row, self._widths, strict=False)).rstrip() for row in shown
        ]


def print_lines(lines: Sequence[str]) -> None:
    """Print lines at once."""
    if lines:
        click.echo("\n".join(lines))


def print_json(value: Any) -> None:
    """Print as kubectl prints JSON: four blanks, sorted keys; what is not ASCII is escaped."""
    click.echo(json.dumps(value, indent=4, sort_keys=True))


def print_yaml(value: Any) -> None:
    """Print one YAML document."""
    from emulator.cli.yaml_text import yaml_text

    click.echo(yaml_text(value), nl=False)


def note(message: str) -> None:
    """Tell the user something beside the data, on standard error."""
    click.echo(message, err=True)


def print_error(message: str, prefix: str = "error: ") -> None:
    """Print one line on standard error for each line of a message."""
    for line in message.split("\n"):
        click.echo(f"{click.style(prefix, fg='red') if prefix else ''}{printable(line)}", err=True)
