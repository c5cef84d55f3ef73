"""What is wrong with a rule or a rule file, told in one line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from emulator.errors import PodwireError


class Unknown(Struct, frozen=True):
    """Something that a rule uses and that is not here: `match u32`, `target TEE`, `option --queue-num`.

    A jump to a chain that is not there is an unknown target: by its name alone nobody can tell.
    """

    kind: Literal["match", "target", "option"]
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class RuleError(PodwireError):
    """A rule, chain or table that cannot be: the message names what and why. iptables ends with status 2."""


class TableError(RuleError):
    """A table that there is not. iptables ends with status 3."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.table = name
        super().__init__(f"table name '{name}' invalid; there are {', '.join(sorted(known))}")


class OtherFamilyError(RuleError):
    """A command for ip6tables (`-6`): iptables ends with status 2 and no word; iptables-restore skips it."""

    def __init__(self) -> None:
        super().__init__("-6 is for ip6tables")


class RefusedError(RuleError):
    """What iptables finds not to be there, or there already, as `nft_strerror` says it. It ends with status 1."""


class KernelError(RuleError):
    """What the kernel refuses, with the name of its error and why. iptables ends with status 4.

    Whoever raises it knows the reason; which `operation` failed, and where, is filled in on the way.
    """

    def __init__(self, reason: str, why: str = "", *, operation: str = "", place: str = "") -> None:
        self.reason = reason
        self.why = why
        self.operation = operation
        self.place = place
        note = f" ({why})" if why else ""
        super().__init__(f"{operation or 'RULE_APPEND'} failed ({reason}): {place}{note}")

    def at(self, operation: str, place: str) -> KernelError:
        """Return it with the operation and the place that it happened at, unless it knows them."""
        return self if self.operation else KernelError(self.reason, self.why, operation=operation, place=place)


class UnknownError(RuleError):
    """A rule that may be right elsewhere, but uses what is not here. It can be loaded as one that is ignored."""

    def __init__(self, unknown: Unknown, message: str) -> None:
        self.unknown = unknown
        super().__init__(message)


class NoChainError(UnknownError):
    """A jump to a chain that is not there, which may be meant as a target that is not here."""


class RestoreError(PodwireError):
    """A line of `iptables-restore` text that cannot be applied: nothing of its table was; tables before it were.

    `unknown` is what it uses that is not here, if that is why: `ignore_unknown` would have let it pass.
    """

    def __init__(self, line: int, cause: RuleError) -> None:
        self.line = line
        self.cause = cause
        self.message = str(cause)
        self.unknown = cause.unknown if isinstance(cause, UnknownError) else None
        super().__init__(f"iptables-restore: line {line} failed: {cause}")
