"""What is wrong with an nft script, told as nft(8) tells it: where, what, and the line with the place marked."""

from __future__ import annotations

from emulator.errors import PodwireError

NO_ENTRY = "No such file or directory"
EXISTS = "File exists"
BUSY = "Device or resource busy"
NOT_SUPPORTED = "Operation not supported"
INVALID = "Invalid argument"
TOO_MANY_LINKS = "Too many links"
NO_SPACE = "Too many open files in system"


class ValueProblem(ValueError):  # noqa: N818 - no error until its place is known
    """A constant that a datatype cannot read; whoever knows the place makes an `NftError` of it."""


class NftError(PodwireError):
    """One error of a script. `line` counts from 1, `first` and `last` are columns from 1; line 0 is no place at all.

    `text` is the line; `file` is empty for a command that came as words, which nft prints without a place.
    """

    def __init__(
        self, message: str, *, line: int = 0, first: int = 0, last: int = 0, text: str = "", file: str = ""
    ) -> None:
        self.message = message
        self.line = line
        self.first = first
        self.last = last
        self.text = text
        self.file = file
        super().__init__(f"line {line}: {message}" if line else message)

    def told(self) -> str:
        """Return what nft prints on standard error."""
        place = f"{self.file}:{self.line}:{self.first}-{self.last}: " if self.file and self.line else ""
        told = f"{place}Error: {self.message}\n"
        if self.line:
            blank = "".join("\t" if letter == "\t" else " " for letter in self.text[: self.first - 1])
            told += f"{self.text}\n{blank}{'^' * max(1, self.last - self.first + 1)}\n"
        return told
