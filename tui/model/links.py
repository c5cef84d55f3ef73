"""Which processes answer now, and since when one does not: what is known of those is shown as last seen."""

from __future__ import annotations

from msgspec import Struct


class Link(Struct, frozen=True):
    """The way to one process; `reason` says why it is lost, empty while it is there."""

    live: bool
    since: float
    reason: str = ""


class Links:
    """The ways to all processes by name; a name that was never reported is on its way."""

    def __init__(self) -> None:
        self._links: dict[str, Link] = {}

    def up(self, name: str, now: float) -> bool:
        """It answers; return whether that is news."""
        link = self._links.get(name)
        if link is not None and link.live:
            return False
        self._links[name] = Link(True, now)
        return True

    def down(self, name: str, reason: str, now: float) -> None:
        """It does not answer; the time of the first failure stands."""
        link = self._links.get(name)
        since = now if link is None or link.live else link.since
        self._links[name] = Link(False, since, reason)

    def forget(self, name: str) -> None:
        """It is no part of the cluster any longer."""
        self._links.pop(name, None)

    def get(self, name: str) -> Link | None:
        """Return the way to a process, None before its first report."""
        return self._links.get(name)

    def lost(self) -> list[tuple[str, Link]]:
        """Return the names that do not answer, with their links."""
        return [(name, link) for name, link in sorted(self._links.items()) if not link.live]
