"""The words that name objects on the command line: `pods`, `pod web`, `deploy/web svc/web`, `pods,services`, `all`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import click

from emulator.api.custom_kinds import find_custom
from emulator.api.kinds import KINDS, Kind, find_kind, suggest
from emulator.api.messages import KINDS as KINDS_METHOD
from emulator.api.messages import Empty
from emulator.cli.session import Session
from emulator.errors import PodwireError

ALL = "all"


class Resource(NamedTuple):
    """One object, or all of a kind where `name` is empty."""

    kind: Kind
    name: str


def kind_named(word: str, session: Session | None = None) -> Kind:
    """Return the kind that a word means. Raises UsageError with the known word that is close.

    With `session` the custom kinds of its cluster count too.
    """
    kind = find_kind(word) or (find_custom(word, custom_kinds_of(session)) if session is not None else None)
    if kind is None:
        close = suggest(word)
        hint = f'; did you mean "{close}"?' if close else '; the kinds are those of Kubernetes, such as "pods"'
        raise click.UsageError(f'the server doesn\'t have a resource type "{word}"{hint}')
    return kind


def custom_kinds_of(session: Session) -> Sequence[Kind]:
    """Return the custom kinds of the cluster; none where it cannot be asked."""
    try:
        with session.controller() as client:
            return client.call(KINDS_METHOD, Empty()).kinds
    except PodwireError:
        return ()


def parse_resources(words: Sequence[str], session: Session | None = None) -> list[Resource]:
    """Return what words name, in kubectl's two forms: `KIND[,KIND] [NAME …]` and `KIND/NAME …`."""
    if any("/" in word for word in words):
        return [_slashed(word, session) for word in words]
    if not words:
        raise click.UsageError('which kind of object? for example "pods", "services" or "all"')
    kinds: list[Kind] = []
    for word in words[0].split(","):
        kinds += _all(session) if word.lower() == ALL else [kind_named(word, session)]
    names = words[1:]
    if not names:
        return [Resource(kind, "") for kind in kinds]
    return [Resource(kind, name) for kind in kinds for name in names]


def _all(session: Session | None) -> list[Kind]:
    custom = custom_kinds_of(session) if session is not None else ()
    return [kind for kind in (*KINDS, *custom) if kind.in_all]


def _slashed(word: str, session: Session | None) -> Resource:
    kind, _, name = word.partition("/")
    if not kind or not name or "/" in name:
        raise click.UsageError(f'"{word}": there is no need for a kind beside KIND/NAME; write either form throughout')
    return Resource(kind_named(kind, session), name)


def several_kinds(resources: Sequence[Resource]) -> bool:
    """Whether names must be printed with their kinds."""
    return len({resource.kind.resource for resource in resources}) > 1
