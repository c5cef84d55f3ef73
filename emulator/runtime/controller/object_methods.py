"""What clients ask of the controller about objects: each method checked, done in the store, answered once committed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from emulator.api import messages
from emulator.api.custom_kinds import custom_kinds, find_custom
from emulator.api.kinds import find_kind
from emulator.api.messages import (
    ApplyParams,
    ApplyResult,
    ControlError,
    CreateParams,
    DeleteParams,
    DeleteResult,
    Empty,
    ErrorCode,
    GetParams,
    KindsResult,
    ListParams,
    ListResult,
    Object,
    ObjectResult,
    PatchParams,
    ReplaceParams,
    ScaleParams,
    UpdateStatusParams,
    WatchEvent,
    WatchParams,
)
from emulator.api.objects import without_nulls
from emulator.api.service_update import without_stale_fields
from emulator.api.store.apply import apply
from emulator.api.store.history import Reference
from emulator.api.store.merge import merge_patch
from emulator.api.store.normalize import resource_of
from emulator.api.store.store import Store
from emulator.api.validate import validate
from emulator.runtime.control.server import Exchange, Methods
from emulator.runtime.controller.committer import Committer
from emulator.runtime.controller.pages import list_page, result_of
from emulator.runtime.controller.watches import Watches, canonical_kind, predicate

SCALABLE = frozenset({"Deployment", "ReplicaSet", "ReplicationController", "StatefulSet"})

T = TypeVar("T")


class ObjectMethods:
    """The object methods of one controller."""

    def __init__(self, store: Store, committer: Committer, watches: Watches) -> None:
        self._store = store
        self._committer = committer
        self._watches = watches

    def add_to(self, methods: Methods) -> None:
        """Offer all of them."""
        methods.add(messages.GET, self.get)
        methods.add(messages.LIST, self.list)
        methods.add(messages.CREATE, self.create)
        methods.add(messages.APPLY, self.apply)
        methods.add(messages.REPLACE, self.replace)
        methods.add(messages.UPDATE_STATUS, self.update_status)
        methods.add(messages.PATCH, self.patch)
        methods.add(messages.DELETE, self.delete)
        methods.add(messages.SCALE, self.scale)
        methods.add(messages.KINDS, self.kinds)
        methods.add(messages.WATCH, self.watch)

    async def get(self, params: GetParams, _exchange: Exchange[Empty]) -> ObjectResult:
        """Return one object."""
        obj = self._store.need(*self._reference(params.kind, params.namespace, params.name))
        await self._committer.flush()
        return ObjectResult(object=obj)

    async def list(self, params: ListParams, _exchange: Exchange[Empty]) -> ListResult:
        """Return objects by namespace and name, or a page of them."""
        kind = canonical_kind(self._store, params.kind)
        page = list_page(self._store, kind.key, params, predicate(params, kind))
        await self._committer.flush()
        return result_of(page, params)

    async def create(self, params: CreateParams, _exchange: Exchange[Empty]) -> ObjectResult:
        """Store a new object."""
        obj = _checked(params.object)
        return ObjectResult(object=await self._write(lambda: self._store.create(obj), dry_run=params.dry_run))

    async def replace(self, params: ReplaceParams, _exchange: Exchange[Empty]) -> ObjectResult:
        """Write metadata and spec."""
        obj = _checked(params.object)
        return ObjectResult(object=await self._write(lambda: self._store.replace(obj), dry_run=params.dry_run))

    async def apply(self, params: ApplyParams, _exchange: Exchange[Empty]) -> ApplyResult:
        """Apply objects, all or none; what is wrong with any of them is told at once."""
        with _problems() as problems:
            objects = [_check_into(problems, obj) for obj in params.objects]
        outcomes = await self._write(lambda: apply(self._store, objects), dry_run=params.dry_run)
        return ApplyResult(outcomes=tuple(outcomes))

    async def update_status(self, params: UpdateStatusParams, _exchange: Exchange[Empty]) -> ObjectResult:
        """Replace a status."""
        reference = self._reference(params.kind, params.namespace, params.name)

        def write() -> Object:
            return self._store.update_status(
                reference, params.status, resource_version=params.resource_version, uid=params.uid
            )

        return ObjectResult(object=await self._write(write, dry_run=False))

    async def patch(self, params: PatchParams, _exchange: Exchange[Empty]) -> ObjectResult:
        """Apply a merge patch."""
        if params.subresource not in ("", "status"):
            raise ControlError(ErrorCode.INVALID, f'subresource: Invalid value: "{params.subresource}": must be status')
        reference = self._reference(params.kind, params.namespace, params.name)
        if not params.subresource:
            old = self._store.need(*reference)
            _checked(without_stale_fields(merge_patch(old, params.patch), old))

        def write() -> Object:
            return self._store.patch(reference, params.patch, subresource=params.subresource)

        return ObjectResult(object=await self._write(write, dry_run=params.dry_run))

    async def delete(self, params: DeleteParams, _exchange: Exchange[Empty]) -> DeleteResult:
        """Delete an object; `gone` tells whether it went at once."""
        reference = self._reference(params.kind, params.namespace, params.name)

        def write() -> DeleteResult:
            last = self._store.delete(reference, grace=params.grace, uid=params.uid)
            return DeleteResult(object=last, gone=self._store.is_gone(last))

        return await self._write(write, dry_run=params.dry_run)

    async def scale(self, params: ScaleParams, _exchange: Exchange[Empty]) -> ObjectResult:
        """Set a workload's replicas."""
        reference = self._reference(params.kind, params.namespace, params.name)
        if reference.kind not in SCALABLE:
            raise ControlError(ErrorCode.INVALID, f"{resource_of(reference.kind)} cannot be scaled")
        if params.replicas < 0:
            message = f"spec.replicas: Invalid value: {params.replicas}: must be greater than or equal to 0"
            raise ControlError(ErrorCode.INVALID, message)
        now = self._store.need(*reference)["spec"].get("replicas", 1)
        if params.current_replicas is not None and params.current_replicas != now:
            message = f"Expected replicas to be {params.current_replicas}, was {now}"
            raise ControlError(ErrorCode.CONFLICT, message)
        patch = {"spec": {"replicas": params.replicas}}
        return ObjectResult(object=await self._write(lambda: self._store.patch(reference, patch), dry_run=False))

    async def kinds(self, _params: Empty, _exchange: Exchange[Empty]) -> KindsResult:
        """Return the custom kinds."""
        found = tuple(custom_kinds(self._store))
        await self._committer.flush()
        return KindsResult(kinds=found)

    async def watch(self, params: WatchParams, exchange: Exchange[WatchEvent]) -> Empty:
        """Send changes until cancelled."""
        return await self._watches.watch(params, exchange, self._committer)

    def _reference(self, kind: str, namespace: str, name: str) -> Reference:
        """Return what a client names; without a namespace it means `default`, where the kind has one."""
        if "." in kind and find_kind(kind) is None and find_custom(kind, custom_kinds(self._store)) is None:
            return Reference(kind, namespace or "default", name)  # there is no such object, which is what will be told
        known = canonical_kind(self._store, kind)
        return Reference(known.key, (namespace or "default") if known.namespaced else "", name)

    async def _write(self, write: Callable[[], T], *, dry_run: bool) -> T:
        """Do one write, and return its result once it is committed."""
        with self._store.transaction(dry_run=dry_run):
            result = write()
        await self._committer.flush()
        return result


@contextmanager
def _problems() -> Iterator[list[str]]:
    """Collect problems; raises ControlError (INVALID) with all of them at the block's end."""
    problems: list[str] = []
    yield problems
    if problems:
        raise ControlError(ErrorCode.INVALID, "; ".join(problems))


def _checked(obj: Mapping[str, Any]) -> Object:
    with _problems() as problems:
        return _check_into(problems, obj)


def _check_into(problems: list[str], obj: Mapping[str, Any]) -> Object:
    """Return `obj` without nulls, as the API server decodes it; what is wrong with it goes into `problems`."""
    checked = without_nulls(obj)
    metadata = checked.get("metadata")
    name = metadata.get("name", "") if isinstance(metadata, dict) else ""
    problems += [f'{checked.get("kind", "object")} "{name}": {problem}' for problem in validate(checked)]
    return checked
