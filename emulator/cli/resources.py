"""The words that name objects on the command line: `pods`, `pod web`, `deploy/web svc/web`, `pods,services`, `all`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import click

from emulator.api.kinds import KINDS, Kind, find_kind, suggest

ALL = "all"


class Resource(NamedTuple):
    """One object, or all of a kind where `name` is empty."""

    kind: Kind
    name: str


def kind_named(word: str) -> Kind:
    """Return the kind that a word means. Raises UsageError with the known word that is close."""
    kind = find_kind(word)
    if kind is None:
        close = suggest(word)
        hint = f'; did you mean "{close}"?' if close else '; the kinds are those of Kubernetes, such as "pods"'
        raise click.UsageError(f'the server doesn\'t have a resource type "{word}"{hint}')
    return kind


def parse_resources(words: Sequence[str]) -> list[Resource]:
    """Return what words name, in kubectl's two forms: `KIND[,KIND] [NAME …]` and `KIND/NAME …`."""
    if any("/" in word for word in words):
        return [_slashed(word) for word in words]
    if not words:
        raise click.UsageError('which kind of object? for example "pods", "services" or "all"')
    kinds: list[Kind] = []
    for word in words[0].split(","):
        kinds += [kind for kind in KINDS if kind.in_all] if word.lower() == ALL else [kind_named(word)]
    names = words[1:]
    if not names:
        return [Resource(kind, "") for kind in kinds]
    return [Resource(kind, name) for kind in kinds for name in names]


def _slashed(word: str) -> Resource:
    kind, _, name = word.partition("/")
    if not kind or not name or "/" in name:
        raise click.UsageError(f'"{word}": there is no need for a kind beside KIND/NAME; write either form throughout')
    return Resource(kind_named(kind), name)


def several_kinds(resources: Sequence[Resource]) -> bool:
    """Whether names must be printed with their kinds."""
    return len({resource.kind.resource for resource in resources}) > 1
