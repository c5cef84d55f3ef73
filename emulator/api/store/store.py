"""The cluster's objects, as the API server keeps them: versions, generations, deletion, owners, history for watches.

Pure: time and randomness are arguments, and whoever subscribes carries the events on (to the database, to watchers, to
controllers). Stored objects are shared with readers and never changed in place.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from emulator.api.custom_kinds import kind_in
from emulator.api.messages import ControlError, ErrorCode, EventType, Object
from emulator.api.store.admission import Admit
from emulator.api.store.history import History, Reference, StoreEvent
from emulator.api.store.index import Index, IndexEntries
from emulator.api.store.merge import merge_patch
from emulator.api.store.normalize import grace_of, normalized, not_found, owner_uids, reference_of, resource_of, rfc3339

KEPT_NAMESPACES = frozenset({"default", "kube-public", "kube-system"})
NAME_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"

# What only the store writes.
_SYSTEM_METADATA = (
    "uid",
    "creationTimestamp",
    "generation",
    "resourceVersion",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)


class RandomBits(Protocol):
    """Where uids and generated names come from; `random.Random(seed)` is one."""

    def getrandbits(self, k: int, /) -> int:
        """Return an integer of `k` random bits."""


Listener = Callable[[Sequence[StoreEvent]], None]


class Store:
    """All objects of one cluster, and the recent events.

    `clock()` is wall-clock time in seconds. `subscribe`d listeners get the events of each operation (of a
    transaction: of all that it wrote) once it has wholly succeeded; they must not write to the store.
    """

    def __init__(
        self,
        *,
        random: RandomBits,
        clock: Callable[[], float],
        admit: Admit | None = None,
        history: int = 10_000,
    ) -> None:
        self.revision = 0
        self._random = random
        self._clock = clock
        self._admit = admit
        self._objects: dict[str, dict[str, dict[str, Object]]] = {}
        self._by_uid: dict[str, Reference] = {}
        self._dependents: dict[str, dict[Reference, None]] = {}
        self._indexes: dict[str, dict[Index, IndexEntries]] = {}
        self._listeners: dict[object, Listener] = {}
        self._pending: list[StoreEvent] = []
        self._depth = 0
        self._history = History(history)

    # --- reading

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """Return one object or None."""
        return self._objects.get(kind, {}).get(namespace, {}).get(name)

    def need(self, kind: str, namespace: str, name: str) -> Object:
        """Return one object. Raises ControlError (NOT_FOUND)."""
        obj = self.get(kind, namespace, name)
        if obj is None:
            raise not_found(kind, name)
        return obj

    def list(self, kind: str, namespace: str | None = None) -> list[Object]:
        """Return the objects of a kind, of one namespace or of all, in no particular order."""
        if namespace is not None:
            return [*self.spaces(kind).get(namespace, {}).values()]
        return [obj for space in self.spaces(kind).values() for obj in space.values()]

    def spaces(self, kind: str) -> Mapping[str, Mapping[str, Object]]:
        """Return the objects of a kind by namespace and name: the store's own, to be read at once."""
        return self._objects.get(kind, {})

    def find(self, index: Index, value: Hashable) -> Sequence[Object]:
        """Return the objects that have `value` in `index`, in no particular order."""
        spaces = self._objects.get(index.kind, {})
        return [spaces[space][name] for _, space, name in self._entries(index).references(value)]

    def count(self, index: Index, value: Hashable) -> int:
        """Return how many objects have `value` in `index`."""
        return self._entries(index).count(value)

    def kinds(self) -> Iterator[str]:
        """Return the keys of the kinds of which there are objects."""
        return (key for key, spaces in self._objects.items() if any(spaces.values()))

    def everything(self) -> Iterator[Object]:
        """Return all objects of all kinds."""
        for spaces in self._objects.values():
            for space in spaces.values():
                yield from space.values()

    def by_uid(self, uid: str) -> Object | None:
        """Return the object with this uid or None."""
        reference = self._by_uid.get(uid)
        return None if reference is None else self.get(*reference)

    def events_since(self, revision: int, kind: str) -> Sequence[StoreEvent]:
        """Return every event of a kind after `revision`. Raises ControlError (EXPIRED) if some are forgotten."""
        return self._history.since(revision, kind)

    def oldest_revision(self, kind: str) -> int:
        """Return the revision from which on all events of a kind are known."""
        return self._history.oldest_revision(kind)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with all further events, until the returned function is called."""
        token = object()
        self._listeners[token] = listener

        def unsubscribe() -> None:
            self._listeners.pop(token, None)

        return unsubscribe

    # --- starting

    def load(self, objects: Iterable[Object], revision: int) -> None:
        """Take over what a database kept; no events. Watches can resume from `revision`, not from before."""
        for obj in objects:
            self._set(reference_of(obj), obj)
        self.revision = revision
        self._history.restart(revision)

    # --- writing

    @contextmanager
    def transaction(self, *, dry_run: bool = False) -> Iterator[None]:
        """Make what is written inside one: on an exception, and always with `dry_run`, nothing of it remains."""
        mark = len(self._pending)
        revision = self.revision
        self._depth += 1
        done = False
        try:
            yield
            done = not dry_run
        finally:
            self._depth -= 1
            if not done:
                self._undo(mark, revision)
        if self._depth == 0 and self._pending:
            self._publish()

    def create(self, obj: Object) -> Object:
        """Store a new object (its status is the controllers' business and left out) and return it as stored."""
        with self.transaction():
            obj = self._prepare(obj)
            reference = reference_of(obj)
            if self.get(*reference) is not None:
                message = f'{resource_of(reference.kind)} "{reference.name}" already exists'
                raise ControlError(ErrorCode.ALREADY_EXISTS, message)
            self._check_namespace(reference)
            obj = self._admitted(obj, None)
            obj["metadata"] |= {
                "uid": self._new_uid(),
                "creationTimestamp": rfc3339(self._clock()),
                "generation": 1,
            }
            if obj["kind"] == "Namespace" and obj.get("apiVersion") == "v1":
                obj.setdefault("status", {"phase": "Active"})
            stored = self._put(EventType.ADDED, reference, obj)
            owners = obj["metadata"].get("ownerReferences")
            if owners and not self._has_owner(stored):
                self._delete(reference, stored, None)
            return stored

    def replace(self, obj: Object) -> Object:
        """Write metadata and spec of an object that exists; its status stays. Returns it as stored.

        Raises ControlError: NOT_FOUND, or CONFLICT if `metadata` has a resourceVersion or uid that is not the stored
        one.
        """
        with self.transaction():
            obj = self._prepare(obj)
            reference = reference_of(obj)
            old = self.need(*reference)
            metadata = obj["metadata"]
            self._check_current(old, metadata.get("resourceVersion", ""), metadata.get("uid", ""))
            return self._update(reference, old, obj)

    def patch(self, reference: Reference, patch: Mapping[str, Any], *, subresource: str = "") -> Object:
        """Apply a JSON merge patch to metadata and spec, or, with subresource `status`, to the status."""
        with self.transaction():
            old = self.need(*reference)
            patched = merge_patch(old, patch)
            asked = patch.get("metadata")
            asked = asked if isinstance(asked, Mapping) else {}
            if subresource == "status":
                status = patched.get("status", {})
                if not isinstance(status, Mapping):
                    raise ControlError(ErrorCode.INVALID, "status: Invalid value: a map is expected")
                return self.update_status(reference, status, resource_version=asked.get("resourceVersion", ""))
            obj = self._prepare(patched)
            if reference_of(obj) != reference:
                raise ControlError(ErrorCode.INVALID, "a patch cannot change kind, namespace or name")
            self._check_current(old, asked.get("resourceVersion", ""), asked.get("uid", ""))
            return self._update(reference, old, obj)

    def update_status(
        self, reference: Reference, status: Mapping[str, Any], *, resource_version: str = "", uid: str = ""
    ) -> Object:
        """Replace the status, nothing else. Raises ControlError: NOT_FOUND, or CONFLICT as `replace` does."""
        with self.transaction():
            old = self.need(*reference)
            self._check_current(old, resource_version, uid)
            if old.get("status", {}) == status:
                return old
            obj = {**old, "metadata": dict(old["metadata"]), "status": dict(status)}
            return self._put(EventType.MODIFIED, reference, obj)

    def delete(self, reference: Reference, *, grace: int | None = None, uid: str = "") -> Object:
        """Delete an object, at once or, where something must confirm, by marking it; see `is_gone`.

        A pod on a node stays for its grace period until its kubelet deletes it with `grace=0`; a namespace until it is
        empty and deleted again; an object with finalizers until they are removed. Dependents follow (background).
        """
        with self.transaction():
            old = self.need(*reference)
            self._check_current(old, "", uid)
            if reference.kind == "Namespace" and reference.name in KEPT_NAMESPACES:
                message = f'namespaces "{reference.name}" is forbidden: this namespace may not be deleted'
                raise ControlError(ErrorCode.INVALID, message)
            return self._delete(reference, old, grace)

    def is_gone(self, obj: Object) -> bool:
        """Whether this very object (not one of the same name) no longer exists."""
        return obj["metadata"]["uid"] not in self._by_uid

    # --- how

    def _prepare(self, obj: Object) -> Object:
        """Return a normalized copy, named if only a prefix was given."""
        metadata = obj.get("metadata")
        if isinstance(metadata, Mapping) and metadata.get("generateName") and not metadata.get("name"):
            obj = {**obj, "metadata": {**metadata, "name": f"{metadata['generateName']}{self._suffix()}"}}
        return normalized(obj, kind_in(self, obj))

    def _admitted(self, obj: Object, old: Object | None) -> Object:
        """Return what admission makes of `obj`, as a copy writable in its top level and metadata."""
        if self._admit is not None:
            obj = self._admit(self, obj, old)
        metadata = {key: value for key, value in obj["metadata"].items() if key not in _SYSTEM_METADATA}
        return {**obj, "metadata": metadata}

    def _update(self, reference: Reference, old: Object, obj: Object) -> Object:
        """Store the new metadata and spec of `old`; the system's fields and the status stay."""
        obj = self._admitted(obj, old)
        obj.pop("status", None)
        if "status" in old:
            obj["status"] = old["status"]
        before = old["metadata"]
        obj["metadata"] |= {key: before[key] for key in _SYSTEM_METADATA if key in before}
        if obj == old:
            return old
        if any(obj.get(key) != old.get(key) for key in (obj.keys() | old.keys()) - {"metadata", "status"}):
            obj["metadata"]["generation"] = before.get("generation", 0) + 1
        stored = self._put(EventType.MODIFIED, reference, obj)
        if "deletionTimestamp" in before and before.get("finalizers") and not obj["metadata"].get("finalizers"):
            return self._delete(reference, stored, before.get("deletionGracePeriodSeconds"))
        return stored

    def _delete(self, reference: Reference, old: Object, grace: int | None) -> Object:
        """Mark the object, or remove it if nothing must confirm; return its last form."""
        metadata = old["metadata"]
        terminating = "deletionTimestamp" in metadata
        seconds = grace_of(old, grace)
        if reference.kind == "Namespace":
            waits = not terminating or any(True for _ in self._contents(reference.name))
        else:
            waits = bool(metadata.get("finalizers")) or seconds > 0
        if not waits:
            return self._remove(reference, old)
        if terminating and seconds >= metadata.get("deletionGracePeriodSeconds", 0):
            return old
        marked = {**metadata, "deletionTimestamp": rfc3339(self._clock() + seconds)}
        marked |= {"deletionGracePeriodSeconds": seconds, "generation": metadata.get("generation", 0) + 1}
        obj = {**old, "metadata": marked}
        if reference.kind == "Namespace":
            obj["status"] = {**old.get("status", {}), "phase": "Terminating"}
        return self._put(EventType.MODIFIED, reference, obj)

    def _remove(self, reference: Reference, old: Object) -> Object:
        """Remove the object, then delete what only it owned."""
        uid = old["metadata"]["uid"]
        last = self._put(EventType.DELETED, reference, {**old, "metadata": dict(old["metadata"])})
        for dependent in [*self._dependents.get(uid, ())]:
            obj = self.get(*dependent)
            if obj is not None and not self._has_owner(obj):
                self._delete(dependent, obj, None)
        return last

    def _put(self, kind: EventType, reference: Reference, obj: Object) -> Object:
        """Write `obj` (whose metadata must be a dict of its own) under the next revision and note the event."""
        self.revision += 1
        obj["metadata"]["resourceVersion"] = str(self.revision)
        previous = self.get(*reference)
        self._set(reference, None if kind is EventType.DELETED else obj)
        self._pending.append(StoreEvent(kind, reference, self.revision, obj, previous))
        return obj

    def _set(self, reference: Reference, obj: Object | None) -> None:
        """Make `obj` what is stored under `reference` (None: nothing), in every index."""
        space = self._objects.setdefault(reference.kind, {}).setdefault(reference.namespace, {})
        old = space.pop(reference.name, None) if obj is None else space.get(reference.name)
        if old is not None:
            self._by_uid.pop(old["metadata"]["uid"], None)
            for owner in owner_uids(old):
                dependents = self._dependents.get(owner, {})
                dependents.pop(reference, None)
                if not dependents:
                    self._dependents.pop(owner, None)
        if obj is not None:
            space[reference.name] = obj
            self._by_uid[obj["metadata"]["uid"]] = reference
            for owner in owner_uids(obj):
                self._dependents.setdefault(owner, {})[reference] = None
        for entries in self._indexes.get(reference.kind, {}).values():
            entries.change(reference, old, obj)

    def _entries(self, index: Index) -> IndexEntries:
        """Return what an index holds; the first call for it reads all objects of its kind."""
        known = self._indexes.setdefault(index.kind, {})
        entries = known.get(index)
        if entries is None:
            entries = known[index] = IndexEntries(index)
            for obj in self.list(index.kind):
                entries.change(reference_of(obj), None, obj)
        return entries

    def _undo(self, mark: int, revision: int) -> None:
        for event in reversed(self._pending[mark:]):
            self._set(event.reference, event.previous)
        del self._pending[mark:]
        self.revision = revision

    def _publish(self) -> None:
        events, self._pending = self._pending, []
        self._history.add(events)
        for listener in [*self._listeners.values()]:
            listener(events)

    def _check_namespace(self, reference: Reference) -> None:
        if not reference.namespace:
            return
        namespace = self.get("Namespace", "", reference.namespace)
        if namespace is None:
            raise not_found("Namespace", reference.namespace)
        if "deletionTimestamp" in namespace["metadata"]:
            text = f"unable to create new content in namespace {reference.namespace} because it is being terminated"
            message = f'{resource_of(reference.kind)} "{reference.name}" is forbidden: {text}'
            raise ControlError(ErrorCode.INVALID, message)

    def _check_current(self, old: Object, resource_version: str, uid: str) -> None:
        metadata = old["metadata"]
        name = f'{resource_of(reference_of(old).kind)} "{metadata["name"]}"'
        if uid and uid != metadata["uid"]:
            why = f"the object with uid {uid} is gone, another has its name"
            raise ControlError(ErrorCode.CONFLICT, f"Operation cannot be fulfilled on {name}: {why}")
        if resource_version and resource_version != metadata["resourceVersion"]:
            why = "the object has been modified; please apply your changes to the latest version and try again"
            raise ControlError(ErrorCode.CONFLICT, f"Operation cannot be fulfilled on {name}: {why}")

    def _has_owner(self, obj: Object) -> bool:
        return any(uid in self._by_uid for uid in owner_uids(obj))

    def _contents(self, namespace: str) -> Iterator[Object]:
        for spaces in self._objects.values():
            if namespace in spaces:
                yield from spaces[namespace].values()

    def _new_uid(self) -> str:
        bits = self._random.getrandbits(128)
        bits = bits & ~(0xF << 76) & ~(0x3 << 62) | (4 << 76) | (2 << 62)  # version 4, RFC 9562
        text = f"{bits:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def _suffix(self) -> str:
        return "".join(NAME_ALPHABET[self._random.getrandbits(32) % len(NAME_ALPHABET)] for _ in range(5))
