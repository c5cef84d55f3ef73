"""Matches, targets and set types by name, each imported when first named, as the kernel loads modules.

A cluster's start would import some seventy of them, of which kube-proxy's rules use ten.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Generic, TypeVar, cast

E = TypeVar("E")


class Extensions(Mapping[str, type[E]], Generic[E]):
    """`package` has a module for each name, and in it the class of that name.

    `places` is name to (module, class), in the order in which they are listed.
    """

    def __init__(self, package: str, places: Mapping[str, tuple[str, str]]) -> None:
        self._package = package
        self._places = places
        self._loaded: dict[str, type[E]] = {}

    def __getitem__(self, name: str) -> type[E]:
        found = self._loaded.get(name)
        if found is None:
            module, attribute = self._places[name]
            found = cast("type[E]", getattr(import_module(f"{self._package}.{module}"), attribute))
            self._loaded[name] = found
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def loaded(self) -> list[type[E]]:
        """Return those that something has named by now."""
        return [*self._loaded.values()]
