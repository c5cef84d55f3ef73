"""The elements of the maps that service ports share: who has which, and what to tell nft when that changes.

kube-proxy compares all of them in each sync (`nftElementStorage`); here a port that did not change is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from emulator.kube.proxy.nftables.fixed import TABLE
from emulator.kube.proxy.nftables.service import ElementKey, ElementValue
from emulator.kube.proxy.service_port import ServicePortName

_Claims = tuple[tuple[ServicePortName, ElementValue], ...]
"""In order of the names: the first one has the key."""


class ElementChanges(Struct, frozen=True):
    """Commands for nft. `deleted` go before `added`, which are by the service port that has the element now."""

    deleted: list[str]
    added: dict[ServicePortName, list[str]]


class Elements:
    """Every key with the service ports that claim it; of several, the first by name has it.

    The ports of one Service have its ClusterIP in common, and nothing forbids two Services the same external IP.
    """

    def __init__(self) -> None:
        self._claims: dict[ElementKey, _Claims] = {}
        self._before: dict[ElementKey, ElementValue | None] = {}  # what nft has, of each key touched since

    def claim(self, port: ServicePortName, elements: Iterable[tuple[ElementKey, ElementValue]]) -> None:
        """Let `port` have these, in place of what it had for the same keys."""
        for key, value in elements:
            others = [claim for claim in self._touch(key) if claim[0] != port]
            self._claims[key] = tuple(sorted((*others, (port, value)), key=lambda claim: claim[0]))

    def release(self, port: ServicePortName, keys: Iterable[ElementKey]) -> None:
        """Let `port` have them no longer."""
        for key in keys:
            others = tuple(claim for claim in self._touch(key) if claim[0] != port)
            if others:
                self._claims[key] = others
            else:
                del self._claims[key]

    def take_changes(self) -> ElementChanges:
        """Return what makes nft have what is claimed now; an element with another value is deleted and added."""
        changes = ElementChanges([], {})
        for key, before in self._before.items():
            claims = self._claims.get(key)
            now = claims[0][1] if claims else None
            if now == before:
                continue
            if before is not None:
                changes.deleted.append(_delete(key))
            if claims:
                changes.added.setdefault(claims[0][0], []).append(_add(key, claims[0][1]))
        self._before.clear()
        return changes

    def _touch(self, key: ElementKey) -> _Claims:
        claims = self._claims.get(key, ())
        self._before.setdefault(key, claims[0][1] if claims else None)
        return claims


def _delete(key: ElementKey) -> str:
    container, name = key
    return f"delete element {TABLE} {container} {{ {name} }}"


def _add(key: ElementKey, value: ElementValue) -> str:
    container, name = key
    comment = f' comment "{value.comment}"' if value.comment else ""
    verdict = f" : {value.verdict}" if value.verdict else ""
    return f"add element {TABLE} {container} {{ {name}{comment}{verdict} }}"
