"""What is asked of the controller about objects: read, write, apply, watch."""

from __future__ import annotations

import enum
from typing import Any

from msgspec import Struct, field

from emulator.api.kinds import Kind
from emulator.api.messages.envelope import Empty, Method, Object


class ObjectResult(Struct, frozen=True, kw_only=True):
    """One object, as it is stored now."""

    object: Object


class GetParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names one object; `namespace` is empty for kinds that have none."""

    kind: str
    name: str
    namespace: str = ""


class ListParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which objects; no namespace (None) means all. Selectors are written as kubectl's `-l` and `--field-selector`.

    With a `limit` (0: none) the answer has at most so many, and a token if there are more: the same parameters with it
    as `continue` give the next ones, as they were at the first answer's revision. EXPIRED: that is too long ago.
    """

    kind: str
    namespace: str | None = None
    label_selector: str = ""
    field_selector: str = ""
    limit: int = 0
    continue_: str = field(default="", name="continue")


class ListResult(Struct, frozen=True, kw_only=True):
    """The objects by namespace and name, and the revision at which they were so: watch from there.

    `continue` is empty at the list's end; `remaining` is how many come after these (None: not counted).
    """

    items: list[Object]
    revision: str
    continue_: str = field(default="", name="continue")
    remaining: int | None = None


class CreateParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new object; with `dry_run` it is checked and filled in, not stored."""

    object: Object
    dry_run: bool = False


class ReplaceParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Metadata and spec as they shall be; a `metadata.resourceVersion` that is not the stored one is a CONFLICT."""

    object: Object
    dry_run: bool = False


class UpdateStatusParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An object's whole status; `resource_version` as in `ReplaceParams`, empty: whatever is stored."""

    kind: str
    name: str
    namespace: str = ""
    status: dict[str, Any]
    resource_version: str = ""
    uid: str = ""


class PatchParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A JSON merge patch (RFC 7386); `subresource` is empty or `status`."""

    kind: str
    name: str
    namespace: str = ""
    patch: dict[str, Any]
    subresource: str = ""
    dry_run: bool = False


class DeleteParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall go: `grace` seconds (None: the object's own), `uid` if only that very object is meant."""

    kind: str
    name: str
    namespace: str = ""
    grace: int | None = None
    uid: str = ""
    dry_run: bool = False


class DeleteResult(Struct, frozen=True, kw_only=True):
    """The object as it was last; `gone` False: it stays, terminating, until its kubelet or children confirm."""

    object: Object
    gone: bool


class ScaleParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A workload's wanted replicas, if it has `current_replicas` now (None: in any case)."""

    kind: str
    name: str
    namespace: str = ""
    replicas: int
    current_replicas: int | None = None


class ApplyParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Objects as the user wrote them; all are applied or none."""

    objects: list[Object]
    dry_run: bool = False


class ApplyAction(enum.Enum):
    """What `apply` did, in kubectl's words."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"


class ApplyOutcome(Struct, frozen=True, kw_only=True):
    """What became of one object of an `apply`."""

    kind: str
    namespace: str
    name: str
    action: ApplyAction
    object: Object


class ApplyResult(Struct, frozen=True, kw_only=True):
    """One outcome for each object, in their order."""

    outcomes: tuple[ApplyOutcome, ...]


class KindsResult(Struct, frozen=True, kw_only=True):
    """The custom kinds of the cluster, one version of each."""

    kinds: tuple[Kind, ...]


class EventType(enum.Enum):
    """What happened to a watched object; BOOKMARK only says how far the watch has come."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


class WatchParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which objects, and from when: every change after `revision`, without gap.

    Without a revision the watch begins with ADDED for each object there is, then one BOOKMARK.
    """

    kind: str
    namespace: str | None = None
    label_selector: str = ""
    field_selector: str = ""
    revision: str = ""


class WatchEvent(Struct, frozen=True, kw_only=True):
    """A change, and the revision to resume from after it. A BOOKMARK's object is empty.

    An object that begins or ceases to match the selectors is ADDED or DELETED.
    """

    type: EventType
    object: Object
    revision: str


LIST = Method("list", ListParams, Empty, ListResult)
GET = Method("get", GetParams, Empty, ObjectResult)
CREATE = Method("create", CreateParams, Empty, ObjectResult)
APPLY = Method("apply", ApplyParams, Empty, ApplyResult)
REPLACE = Method("replace", ReplaceParams, Empty, ObjectResult)
UPDATE_STATUS = Method("update_status", UpdateStatusParams, Empty, ObjectResult)
PATCH = Method("patch", PatchParams, Empty, ObjectResult)
DELETE = Method("delete", DeleteParams, Empty, DeleteResult)
SCALE = Method("scale", ScaleParams, Empty, ObjectResult)
KINDS = Method("kinds", Empty, Empty, KindsResult)
WATCH = Method("watch", WatchParams, WatchEvent, Empty)
