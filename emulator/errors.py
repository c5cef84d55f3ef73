"""What a user can meet: one root, and each message says what is wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Sequence


class PodwireError(Exception):
    """The root of every error that Podwire raises on purpose; its text is one line for the user."""


class WireError(PodwireError):
    """Bytes that are not what their protocol says they must be."""


class ManifestError(PodwireError):
    """Manifests or a cluster file that cannot be used; nothing of them was applied.

    `problems` has one line for each thing that is wrong, with its file, line and path.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems: tuple[str, ...] = tuple(problems)
        super().__init__("\n".join(self.problems))
