"""What is wrong with a bundle: collected over all of its files, and told at once, one line each."""

from __future__ import annotations

from collections.abc import Sequence

from emulator.errors import PodwireError

MOST = 20
"""So many lines are enough of one bundle."""


MOST_CHARACTERS = 1_000
"""Of one line: what is quoted in it may be any garbage."""


class BundleError(PodwireError):
    """A bundle that cannot be used. `problems` has one line for each thing that is wrong, with its file and place."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems: tuple[str, ...] = tuple(dict.fromkeys(problems))
        shown = list(self.problems[:MOST])
        if len(self.problems) > MOST:
            shown.append(f"and {len(self.problems) - MOST} more")
        super().__init__("\n".join(shown))


class Problems:
    """Collects them while the files are read, and what is to be noted though nothing is wrong."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.notes: list[str] = []
        self.cut: list[str] = []  # wrong too, but what comes before it can be used: told at the end

    def add(self, place: str, message: str) -> None:
        """Note what is wrong at a place, a file, a line or a JSON path, in one line: ipset takes several for some."""
        self.found.append(f"{place}: {'; '.join(message.splitlines())}"[:MOST_CHARACTERS])

    def note(self, message: str) -> None:
        """Say something that the reader of the answers must know."""
        self.notes.append(message)

    def check(self) -> None:
        """Raise BundleError if anything is wrong."""
        if self.found:
            raise BundleError(self.found)
