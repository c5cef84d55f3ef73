"""What is wrong with a rule or a rule file, told in one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from emulator.errors import PodwireError


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something that a rule uses and that is not here: `match u32`, `target TEE`, `option --queue-num`.

    A jump to a chain that is not there is an unknown target: by its name alone nobody can tell.
    """

    kind: Literal["match", "target", "option"]
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class RuleError(PodwireError):
    """A rule, chain or table that cannot be: the message names what and why."""


class UnknownError(RuleError):
    """A rule that may be right elsewhere, but uses what is not here. It can be loaded as one that is ignored."""

    def __init__(self, unknown: Unknown, message: str) -> None:
        self.unknown = unknown
        super().__init__(message)


class RestoreError(PodwireError):
    """A line of `iptables-restore` text that cannot be applied.

    `unknown` is what it uses that is not here, if that is why: `ignore_unknown` would have let it pass.
    """

    def __init__(self, line: int, message: str, unknown: Unknown | None = None) -> None:
        self.line = line
        self.message = message
        self.unknown = unknown
        super().__init__(f"iptables-restore: line {line} failed: {message}")
