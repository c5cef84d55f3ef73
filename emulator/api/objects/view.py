"""From a whole object to its typed view; the one place where field names and types are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from emulator.api.objects.meta import Object
from emulator.errors import PodwireError

T = TypeVar("T")


class ViewError(PodwireError):
    """An object that has not the shape of its kind; objects that passed `validate` always have it."""


def view(obj: Mapping[str, Any], view_type: type[T]) -> T:
    """Return `obj` as a frozen value of `view_type`; fields that the emulator does not use are left out.

    Raises ViewError, which names the object and the field, if a used field has another type.
    """
    try:
        return msgspec.convert(obj, view_type)
    except msgspec.ValidationError:
        pass  # null stands for "not given" in Kubernetes; that is rare, so it is looked for only now
    try:
        return msgspec.convert(without_nulls(obj), view_type)
    except msgspec.ValidationError as error:
        metadata = obj.get("metadata")
        name = metadata.get("name", "") if isinstance(metadata, Mapping) else ""
        raise ViewError(f"{obj.get('kind', view_type.__name__)} {name!r}: {error}") from None


def without_nulls(obj: Mapping[str, Any]) -> Object:
    """Return a copy of `obj` without the fields whose value is null, as the API server decodes it."""
    root: Object = {}
    pending: list[tuple[Any, Any]] = [(obj, root)]
    while pending:
        source, target = pending.pop()
        entries = source.items() if isinstance(source, Mapping) else enumerate(source)
        for key, value in entries:
            if value is None and isinstance(source, Mapping):
                continue
            copied: Any = value
            if isinstance(value, Mapping):
                copied = {}
            elif isinstance(value, list | tuple):
                copied = []
            if copied is not value:
                pending.append((value, copied))
            if isinstance(target, list):
                target.append(copied)
            else:
                target[key] = copied
    return root
