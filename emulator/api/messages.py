"""The control protocol: what CLI, TUI and nodes say to controller, nodes and supervisor, as frozen values.

Frames (`codec`) hold maps; `convert` turns them into these types at the edge, and nothing unchecked goes further in.
"""

from __future__ import annotations

import enum
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from emulator.errors import PodwireError

Object = dict[str, Any]
"""A whole Kubernetes object: JSON types only."""

PROTOCOL_VERSION = 1
"""Raised with every change that an older side would misread; the two sides of a connection must be equal in it."""


class ErrorCode(enum.Enum):
    """Why a request failed."""

    NOT_FOUND = "not_found"
    ALREADY_EXISTS = "already_exists"
    CONFLICT = "conflict"  # the object changed since it was read
    INVALID = "invalid"
    UNAVAILABLE = "unavailable"  # not now: try again
    EXPIRED = "expired"  # the revision to watch from is too old: list again
    VERSION_MISMATCH = "version_mismatch"
    UNKNOWN_METHOD = "unknown_method"
    CANCELLED = "cancelled"  # by the client itself
    INTERNAL = "internal"


class ControlError(PodwireError):
    """A request that the other side refused or could not do."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


# --- envelope -------------------------------------------------------------------------------------------------------


class Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From the client: opens the exchange `id`, which its connection has not used before."""

    id: int
    method: str
    params: dict[str, Any] = {}
    protocol: int = PROTOCOL_VERSION


class Input(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From the client: bytes of standard input; None ends it."""

    id: int
    input: bytes | None


class Cancel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From the client: end the exchange; the server still answers with a result or an error."""

    id: int
    cancel: bool


class ErrorBody(Struct, frozen=True, kw_only=True):
    """What went wrong; the message is one line for the user."""

    code: ErrorCode
    message: str


class Response(Struct, frozen=True, kw_only=True):
    """From the server: exactly one of `event`, `result` and `error` is set; the latter two end the exchange."""

    id: int
    event: Any = UNSET
    result: Any = UNSET
    error: ErrorBody | UnsetType = UNSET


ClientMessage = Request | Input | Cancel

S = TypeVar("S")


def convert(value: Any, message_type: type[S]) -> S:
    """Return decoded data as a value of `message_type`. Raises ControlError (INVALID), which names the field."""
    try:
        return msgspec.convert(value, message_type, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise ControlError(ErrorCode.INVALID, f"{message_type.__name__}: {error}") from None


def plain(value: Struct) -> dict[str, Any]:
    """Return a message as the map that a frame holds."""
    result: dict[str, Any] = msgspec.to_builtins(value, builtin_types=(bytes,))
    return result


def client_message(value: dict[str, Any]) -> ClientMessage:
    """Return what a client sent. Raises ControlError (INVALID)."""
    if "method" in value:
        return convert(value, Request)
    if "input" in value:
        return convert(value, Input)
    return convert(value, Cancel)


class Empty(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """No parameters, or nothing to say."""


P = TypeVar("P", bound=Struct)
R = TypeVar("R", bound=Struct)
E = TypeVar("E", bound=Struct)


class Method(Generic[P, E, R]):
    """One method of the protocol: its name and the types of its parameters, events and result."""

    __slots__ = ("event", "name", "params", "result")

    def __init__(self, name: str, params: type[P], event: type[E], result: type[R]) -> None:
        self.name = name
        self.params = params
        self.event = event
        self.result = result


# --- every socket ---------------------------------------------------------------------------------------------------


class VersionResult(Struct, frozen=True, kw_only=True):
    """Who answers: `role` is controller, node or supervisor; `epoch` differs after each start of the process."""

    protocol: int
    version: str
    role: str
    name: str
    epoch: int = 0
    pid: int = 0


VERSION = Method("version", Empty, Empty, VersionResult)


# --- controller: objects --------------------------------------------------------------------------------------------


class ObjectResult(Struct, frozen=True, kw_only=True):
    """One object, as it is stored now."""

    object: Object


class GetParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names one object; `namespace` is empty for kinds that have none."""

    kind: str
    name: str
    namespace: str = ""


class ListParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which objects; no namespace (None) means all. Selectors are written as kubectl's `-l` and `--field-selector`."""

    kind: str
    namespace: str | None = None
    label_selector: str = ""
    field_selector: str = ""


class ListResult(Struct, frozen=True, kw_only=True):
    """The objects by namespace and name, and the revision at which they were so: watch from there."""

    items: list[Object]
    revision: str


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
WATCH = Method("watch", WatchParams, WatchEvent, Empty)


# --- controller: nodes and overview ---------------------------------------------------------------------------------


class NodeRegistration(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A node process that wants to be the node `name`; the exchange stays open as long as it is.

    `instance` differs for each process. While another instance holds the name, it is refused.
    """

    name: str
    instance: str
    underlay_host: str
    underlay_port: int
    mac: str  # of the NIC on the node network
    pid: int = 0
    zone: str = ""
    labels: dict[str, str] = {}


class Registered(Struct, frozen=True, kw_only=True):
    """The node is in: its Node object has the pod CIDR and address it got; renew every `renew_interval` seconds."""

    node: Object
    epoch: int
    lease_duration: float
    renew_interval: float


class RenewParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sign of life of a registered node."""

    name: str
    instance: str


class RenewResult(Struct, frozen=True, kw_only=True):
    """The controller's epoch: another one than at registration means that it was restarted."""

    epoch: int


class NodeOverview(Struct, frozen=True, kw_only=True):
    """One node, at a glance."""

    name: str
    ready: bool
    address: str
    pod_cidr: str
    zone: str
    pods: int
    ready_pods: int


class ServiceOverview(Struct, frozen=True, kw_only=True):
    """One Service, at a glance; `ports` as kubectl prints them."""

    namespace: str
    name: str
    type: str
    cluster_ip: str
    ports: str
    ready_endpoints: int
    endpoints: int


class WorkloadOverview(Struct, frozen=True, kw_only=True):
    """One Deployment, StatefulSet or DaemonSet, at a glance."""

    kind: str
    namespace: str
    name: str
    ready: int
    wanted: int


class NotReady(Struct, frozen=True, kw_only=True):
    """One thing that is not as it should be, and why."""

    kind: str
    namespace: str
    name: str
    reason: str
    message: str = ""


class ClusterOverview(Struct, frozen=True, kw_only=True):
    """The cluster at a glance; `ready` when all nodes and pods are."""

    cluster: str
    epoch: int
    revision: str
    ready: bool
    nodes: tuple[NodeOverview, ...]
    services: tuple[ServiceOverview, ...]
    workloads: tuple[WorkloadOverview, ...]
    pods: int
    ready_pods: int
    not_ready: tuple[NotReady, ...]


REGISTER = Method("register", NodeRegistration, Registered, Empty)
RENEW = Method("renew", RenewParams, Empty, RenewResult)
CONTROLLER_STATUS = Method("status", Empty, Empty, ClusterOverview)


# --- node -----------------------------------------------------------------------------------------------------------


class UnderlayCounters(Struct, frozen=True, kw_only=True):
    """What crossed the underlay; `lost` datagrams are gaps in the sequence, `refused` are counted by fault."""

    sent_datagrams: int = 0
    sent_frames: int = 0
    sent_bytes: int = 0
    received_datagrams: int = 0
    received_frames: int = 0
    received_bytes: int = 0
    lost: int = 0
    refused: dict[str, int] = {}


class NodeStatusResult(Struct, frozen=True, kw_only=True):
    """A node process from inside. `controller_connected` False: it forwards by what it knew last."""

    name: str
    pid: int
    uptime: float
    controller_connected: bool
    pods: int
    flows: int
    drops: dict[str, int] = {}
    faults: int = 0
    underlay: UnderlayCounters = UnderlayCounters()


class ExecParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A command in a pod, or in the node's own namespace when `pod` is empty."""

    command: tuple[str, ...]
    namespace: str = "default"
    pod: str = ""
    container: str = ""
    stdin: bool = False  # input will come; without it standard input is empty


class OutputStream(enum.Enum):
    """Where a program wrote."""

    STDOUT = "stdout"
    STDERR = "stderr"


class ExecOutput(Struct, frozen=True, kw_only=True):
    """What the command wrote."""

    stream: OutputStream
    data: bytes


class ExecResult(Struct, frozen=True, kw_only=True):
    """The command ended."""

    exit_status: int


class LogsParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which container's log; `tail` lines at most (None: all that is kept), then what comes if `follow`."""

    pod: str
    namespace: str = "default"
    container: str = ""
    tail: int | None = None
    follow: bool = False
    previous: bool = False


class LogLine(Struct, frozen=True, kw_only=True):
    """One line; `time` is RFC 3339."""

    time: str
    text: str


class TraceStartParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Send one traced packet from a pod (or the node when `pod` is empty) to an address or a name.

    `protocol` is tcp, udp or icmp. `trace` is the identity under which every machine records steps.
    """

    trace: int
    destination: str
    protocol: str = "tcp"
    port: int = 0
    namespace: str = "default"
    pod: str = ""
    timeout: float = 3.0


class TraceOutcome(enum.Enum):
    """How a traced packet fared, as its sender saw it."""

    REPLIED = "replied"
    REFUSED = "refused"  # a TCP reset or an ICMP error came back
    TIMEOUT = "timeout"
    FAILED = "failed"  # it was not sent


class TraceStartResult(Struct, frozen=True, kw_only=True):
    """The reply came, or time ran out; `address` is what `destination` resolved to."""

    outcome: TraceOutcome
    address: str
    message: str = ""


class TraceCollectParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The trace whose steps on this machine are wanted, until the client cancels."""

    trace: int


class TraceStep(Struct, frozen=True, kw_only=True):
    """One decision about a traced packet; `kind` and `detail` as in `kernel/trace.py`."""

    trace: int
    number: int
    time: float
    machine: str
    netns: str
    kind: str
    packet: str
    detail: dict[str, str | int] = {}


class FlowVerdict(enum.Enum):
    """What became of a flow's packets."""

    FORWARDED = "forwarded"
    DROPPED = "dropped"


class FlowTuple(Struct, frozen=True, kw_only=True):
    """Source and destination; the ports are 0 where the protocol has none."""

    source: str
    destination: str
    source_port: int = 0
    destination_port: int = 0


class FlowRecord(Struct, frozen=True, kw_only=True):
    """One connection that a node tracks, or one kind of packet that it drops.

    `original` is as the first packet came in, `reply` as answers come in before NAT is undone: without NAT it is the
    original turned round. `identity` is stable on its node while the flow lives; times are seconds.
    """

    identity: str
    node: str
    netns: str
    protocol: str
    original: FlowTuple
    reply: FlowTuple
    verdict: FlowVerdict
    drop_reason: str = ""
    state: str = ""  # TCP state as conntrack names it; ASSURED, UNREPLIED for others
    packets: int = 0
    bytes: int = 0
    reply_packets: int = 0
    reply_bytes: int = 0
    first_seen: float = 0.0  # wall clock
    age: float = 0.0


class FlowsWatchParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Begin with every flow there is, then send changes, at most every `interval` seconds."""

    interval: float = 0.5


class FlowsEvent(Struct, frozen=True, kw_only=True):
    """Flows that are new or changed, and the identities of those that ended."""

    changed: tuple[FlowRecord, ...] = ()
    ended: tuple[str, ...] = ()


NODE_STATUS = Method("status", Empty, Empty, NodeStatusResult)
EXEC = Method("exec", ExecParams, ExecOutput, ExecResult)
LOGS = Method("logs", LogsParams, LogLine, Empty)
TRACE_START = Method("trace.start", TraceStartParams, Empty, TraceStartResult)
TRACE_COLLECT = Method("trace.collect", TraceCollectParams, TraceStep, Empty)
FLOWS_WATCH = Method("flows.watch", FlowsWatchParams, FlowsEvent, Empty)


# --- supervisor -----------------------------------------------------------------------------------------------------


class ProcessStatus(Struct, frozen=True, kw_only=True):
    """One process of the cluster; `state` is starting, running, restarting or stopped."""

    name: str
    role: str
    pid: int
    state: str
    restarts: int = 0
    uptime: float = 0.0
    last_exit: str = ""


class SupervisorStatusResult(Struct, frozen=True, kw_only=True):
    """The processes of a cluster; `ready` once all nodes and pods were."""

    cluster: str
    pid: int
    ready: bool
    uptime: float
    state_directory: str
    processes: tuple[ProcessStatus, ...] = field(default=())


SUPERVISOR_STATUS = Method("status", Empty, Empty, SupervisorStatusResult)
STOP = Method("stop", Empty, Empty, Empty)
