"""How control leaves a command other than by its end."""

from __future__ import annotations


class Flow(Exception):  # noqa: N818 - none of these is an error
    """`break`, `return` and the like on their way to where they take effect."""


class LoopBreak(Flow):
    """`break N`."""

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels


class LoopContinue(LoopBreak):
    """`continue N`."""


class FunctionReturn(Flow):
    """`return N`."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


class ShellExit(FunctionReturn):
    """`exit N`, or the end that `set -e` makes."""


class Interrupted(ShellExit):
    """Ctrl-C: at a prompt it ends the command, else the script."""


class ShellError(Exception):
    """What ends a script with a message, and at a prompt the line."""

    def __init__(self, message: str, status: int = 2) -> None:
        super().__init__(message)
        self.status = status
