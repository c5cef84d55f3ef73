"""Lists in pages, as the API server gives them: each page of one list shows the objects at the revision of its first.

A token (`continue`) names that revision and the last object given. Older objects are had from the store's history; when
that has forgotten too much, the list is over and has to be begun anew.
Source: apiserver/pkg/storage/continue.go and etcd3/store.go (GetList).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec
from msgspec import Struct

from emulator.api.codec import MAX_FRAME, encode_value
from emulator.api.messages import ControlError, ErrorCode, ListParams, ListResult, Object
from emulator.api.store.store import Store

PAGE_BYTES = MAX_FRAME // 2
"""What the objects of a page may take: a page of large ones is cut shorter than was asked for."""

Key = tuple[str, str]
"""Namespace and name: the order of lists."""

Spaces = Mapping[str, Mapping[str, Object]]
"""Objects of one kind by namespace and name."""

Selects = Callable[[Object], bool]

_BEGINNING: Key = ("", "")


class _Token(Struct, frozen=True):
    """Where a list goes on. `start` is the last object that was given."""

    revision: int
    start: Key


class Page(NamedTuple):
    """A part of a list, and what is needed for the next. `remaining` is how many may come, 0 at the list's end."""

    items: list[Object]
    revision: int
    token: str
    remaining: int


def key_of(obj: Object) -> Key:
    """Return an object's place in a list."""
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def list_page(store: Store, kind: str, params: ListParams, selects: Selects) -> Page:
    """Return the page that is asked for. Raises ControlError: INVALID for a token or limit that is none, EXPIRED."""
    if params.limit < 0:
        raise ControlError(ErrorCode.INVALID, f"limit: Invalid value: {params.limit}: must be 0 or more")
    token = _decode(params.continue_) if params.continue_ else _Token(store.revision, _BEGINNING)
    spaces = _spaces_at(store, kind, token.revision)
    keys = _keys_after(token.start, spaces, params.namespace)
    items, left = _selected((spaces[space][name] for space, name in keys), selects, params.limit)
    if params.limit:
        bounded = _bounded(items)
        left = left or len(bounded) < len(items)
        items = bounded
    next_token = _encode(_Token(token.revision, key_of(items[-1]))) if left else ""
    return Page(items, token.revision, next_token, len(keys) - len(items) if left else 0)


def result_of(page: Page, params: ListParams) -> ListResult:
    """Return what the client gets. With selectors the API server does not count what is left, and neither do we."""
    counted = not params.label_selector and not params.field_selector
    return ListResult(
        items=page.items,
        revision=str(page.revision),
        continue_=page.token,
        remaining=page.remaining if counted else None,
    )


def _bounded(items: list[Object]) -> list[Object]:
    """Return as many of the first as fit in a frame, at least one."""
    while len(items) > 1 and len(encode_value({"items": items})) > PAGE_BYTES:
        items = items[: len(items) // 2]
    return items


def _selected(objects: Iterable[Object], selects: Selects, limit: int) -> tuple[list[Object], bool]:
    """Return the first objects that are meant, at most `limit` (0: all), and whether there are more."""
    items: list[Object] = []
    for obj in objects:
        if selects(obj):
            if limit and len(items) == limit:
                return items, True
            items.append(obj)
    return items, False


def _keys_after(start: Key, spaces: Spaces, namespace: str | None) -> list[Key]:
    """Return the places behind `start`, in order. Objects are not looked at: a list of 20,000 has 40 pages."""
    first, last = start
    wanted = sorted(spaces) if namespace is None else [namespace] if namespace in spaces else []
    keys: list[Key] = []
    for space in wanted:
        if space >= first:
            names = spaces[space]
            keys += [(space, name) for name in sorted(names if space > first else (n for n in names if n > last))]
    return keys


def _spaces_at(store: Store, kind: str, revision: int) -> Spaces:
    """Return the objects as they were at a revision: today's, with what has happened since undone, last first."""
    try:
        events = store.events_since(revision, kind)
    except ControlError:
        raise ControlError(
            ErrorCode.EXPIRED, "The provided continue parameter is too old to display a consistent list; list again"
        ) from None
    spaces = store.spaces(kind)
    if not events:
        return spaces
    then = {space: dict(objects) for space, objects in spaces.items()}
    for event in reversed(events):
        _, space, name = event.reference
        if event.previous is None:
            then.setdefault(space, {}).pop(name, None)
        else:
            then.setdefault(space, {})[name] = event.previous
    return then


def _encode(token: _Token) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(token)).decode().rstrip("=")


def _decode(text: str) -> _Token:
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(data, type=_Token)
    except (binascii.Error, ValueError, msgspec.DecodeError, msgspec.ValidationError):
        raise ControlError(ErrorCode.INVALID, "continue key is not valid: list again") from None
