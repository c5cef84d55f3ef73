"""Lists in pages, as the API server gives them: each page of one list shows the objects at the revision of its first.

A token (`continue`) names that revision and the last object given. Older objects are had from the store's history; when
that has forgotten too much, the list is over and has to be begun anew.
Source: apiserver/pkg/storage/continue.go and etcd3/store.go (GetList).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
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

Selects = Callable[[Object], bool]


class _Token(Struct, frozen=True):
    """Where a list goes on. `start` is the last object that was given."""

    revision: int
    start: Key


class Page(NamedTuple):
    """A part of a list, and what is needed for the next."""

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
    if params.continue_:
        token = _decode(params.continue_)
        objects = _objects_at(store, kind, params.namespace, token.revision)
        found = [obj for obj in objects if key_of(obj) > token.start and selects(obj)]
        revision = token.revision
    else:
        found = [obj for obj in store.list(kind, params.namespace) if selects(obj)]
        revision = store.revision
    found.sort(key=key_of)
    items = _bounded(found[: params.limit]) if params.limit else found
    remaining = len(found) - len(items)
    next_token = _encode(_Token(revision, key_of(items[-1]))) if remaining else ""
    return Page(items, revision, next_token, remaining)


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


def _objects_at(store: Store, kind: str, namespace: str | None, revision: int) -> list[Object]:
    """Return the objects as they were at a revision: today's, with what has happened since undone, last first."""
    try:
        events = store.events_since(revision, kind)
    except ControlError:
        raise ControlError(
            ErrorCode.EXPIRED, "The provided continue parameter is too old to display a consistent list; list again"
        ) from None
    if not events:
        return store.list(kind, namespace)
    objects = {key_of(obj): obj for obj in store.list(kind, namespace)}
    for event in reversed(events):
        key = (event.reference.namespace, event.reference.name)
        if namespace is not None and event.reference.namespace != namespace:
            continue
        if event.previous is None:
            objects.pop(key, None)
        else:
            objects[key] = event.previous
    return [*objects.values()]


def _encode(token: _Token) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(token)).decode().rstrip("=")


def _decode(text: str) -> _Token:
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(data, type=_Token)
    except (binascii.Error, ValueError, msgspec.DecodeError, msgspec.ValidationError):
        raise ControlError(ErrorCode.INVALID, "continue key is not valid: list again") from None
