"""What is asked of a node: its state, commands in pods, logs, traces and flows."""

from __future__ import annotations

import enum

from msgspec import Struct

from emulator.api.messages.envelope import Empty, Method


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
    flow_limit: int = 0  # nf_conntrack_max; 0: none
    drops: dict[str, int] = {}
    faults: int = 0
    underlay: UnderlayCounters = UnderlayCounters()
    proxy_mode: str = ""  # that kube-proxy runs in


class ExecParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A command in a pod, or in the node's own namespace when `pod` is empty."""

    command: tuple[str, ...]
    namespace: str = "default"
    pod: str = ""
    container: str = ""
    stdin: bool = False  # input will come; without it standard input is empty
    tty: bool = False  # somebody types: a shell shows its prompt, and Ctrl-C is for what runs in it
    key: str = ""  # a secret by which EXEC_INTERRUPT may name it


class ExecInterruptParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ctrl-C for the command with this key, by another connection: it does not wait behind input that nobody reads."""

    key: str


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
    """Which container's log; `tail` lines at most (None: all that is kept), then what comes if `follow`.

    `since`: only lines of the last so many seconds. With `all_containers` those of the pod one after the other, or, if
    they are followed, as they come.
    """

    pod: str
    namespace: str = "default"
    container: str = ""
    tail: int | None = None
    follow: bool = False
    previous: bool = False
    since: float | None = None
    all_containers: bool = False


class LogLine(Struct, frozen=True, kw_only=True):
    """One line; `time` is RFC 3339, `container` is told where all of a pod's are asked for."""

    time: str
    text: str
    container: str = ""


class TraceStartParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Send one traced packet from a pod (or the node when `pod` is empty) to an address or a name.

    `protocol` is tcp, udp or icmp. `trace` is the identity under which every machine records steps; `considered`: also
    those of rules that do not match.
    """

    trace: int
    destination: str
    protocol: str = "tcp"
    port: int = 0
    namespace: str = "default"
    pod: str = ""
    timeout: float = 5.0  # ARP that nobody answers fails after 3
    considered: bool = False


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
    """The trace whose steps on this machine are wanted, until the client cancels; without `follow`, those there are."""

    trace: int
    follow: bool = True


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
    """What became of a flow, by the last that is known of it."""

    FORWARDED = "forwarded"
    DROPPED = "dropped"  # here, in silence
    REJECTED = "rejected"  # by a rule, or by an ICMP error of somebody on the way
    REFUSED = "refused"  # by the destination: a TCP reset or port unreachable was the only answer


class FlowTuple(Struct, frozen=True, kw_only=True):
    """Source and destination; the ports are 0 where the protocol has none."""

    source: str
    destination: str
    source_port: int = 0
    destination_port: int = 0


class FlowRecord(Struct, frozen=True, kw_only=True):
    """One flow of a node: a connection that it tracks, or one that it dropped or that was refused.

    `original` is as the first packet came in, `reply` as answers come in before NAT is undone: without NAT it is the
    original turned round. `identity` is stable on its node while the flow lives; times are seconds. `reason` belongs
    to verdicts other than FORWARDED: a DropReason, TCP_RESET or the name of an ICMP error.
    """

    identity: str
    node: str
    netns: str
    protocol: str
    original: FlowTuple
    reply: FlowTuple
    verdict: FlowVerdict
    reason: str = ""
    explanation: str = ""  # the reason in words
    state: str = ""  # TCP state as conntrack names it; ASSURED, UNREPLIED for others
    packets: int = 0
    bytes: int = 0
    reply_packets: int = 0
    reply_bytes: int = 0
    dropped: int = 0  # packets that ended on this node
    first_seen: float = 0.0  # wall clock
    age: float = 0.0


class FlowsWatchParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Begin with every flow there is, then send changes, at most every `interval` seconds."""

    interval: float = 0.5


class FlowsEvent(Struct, frozen=True, kw_only=True):
    """Flows that are new or changed, and the identities of those that ended."""

    changed: tuple[FlowRecord, ...] = ()
    ended: tuple[str, ...] = ()


class ProxySync(Struct, frozen=True, kw_only=True):
    """kube-proxy has brought a node's rules up to date, for the `number`th time, in so many seconds.

    `changed` service ports were another than before; `ports` names them, if they are few.
    """

    mode: str
    number: int
    changed: int
    ports: tuple[str, ...]
    seconds: float


NODE_STATUS = Method("status", Empty, Empty, NodeStatusResult)
EXEC = Method("exec", ExecParams, ExecOutput, ExecResult)
EXEC_INTERRUPT = Method("exec.interrupt", ExecInterruptParams, Empty, Empty)
LOGS = Method("logs", LogsParams, LogLine, Empty)
TRACE_START = Method("trace.start", TraceStartParams, Empty, TraceStartResult)
TRACE_COLLECT = Method("trace.collect", TraceCollectParams, TraceStep, Empty)
FLOWS_WATCH = Method("flows.watch", FlowsWatchParams, FlowsEvent, Empty)
PROXY_WATCH = Method("proxy.watch", Empty, ProxySync, Empty)
