"""The rows of the pods page: as `kubectl get pods -o wide -A` prints them."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from emulator.api.ages import parse_time
from emulator.api.messages import Object
from emulator.api.objects import Pod, view
from emulator.api.pod_status import PodSummary, summarize

NONE = "<none>"


class PodRow(Struct, frozen=True):
    """One pod. `created` is wall-clock time."""

    key: tuple[str, str]
    summary: PodSummary
    address: str
    node: str
    created: float
    is_ready: bool
    stale: bool

    @property
    def ready(self) -> str:
        """Ready containers of all."""
        return f"{self.summary.ready}/{self.summary.total}"


def pod_row(pod: Object, away: Iterable[str]) -> PodRow:
    """Put a pod's row together; it is stale while its node does not answer."""
    typed = view(pod, Pod)
    return PodRow(
        key=(typed.metadata.namespace, typed.metadata.name),
        summary=summarize(pod),
        address=typed.status.pod_ip or NONE,
        node=typed.spec.node_name or NONE,
        created=parse_time(typed.metadata.creation_timestamp) or 0.0,
        is_ready=typed.status.is_ready,
        stale=typed.spec.node_name in away,
    )


def details(pod: Object) -> list[tuple[str, str]]:
    """Return what is known of a pod, as (name, value)."""
    typed = view(pod, Pod)
    status = typed.status
    lines = [
        ("namespace", typed.metadata.namespace),
        ("status", summarize(pod).status),
        ("address", status.pod_ip or NONE),
        ("node", f"{typed.spec.node_name or NONE} {status.host_ip}".rstrip()),
        ("labels", ", ".join(f"{key}={value}" for key, value in sorted(typed.metadata.labels.items())) or NONE),
    ]
    if status.reason or status.message:
        lines.append(("reason", f"{status.reason} {status.message}".strip()))
    ports = {c.name: [f"{p.container_port}/{p.protocol}" for p in c.ports] for c in typed.spec.containers}
    for entry in status.container_statuses:
        lines.append((f"container {entry.name}", f"{entry.image} {' '.join(ports.get(entry.name, ()))}".rstrip()))
        lines.append(("  state", f"{_state(pod, entry.name)}, restarted {entry.restart_count} times"))
    for condition in status.conditions:
        reason = f" {condition.reason}: {condition.message}" if condition.reason else ""
        lines.append((f"condition {condition.type}", f"{condition.status}{reason}"))
    return lines


def _state(pod: Object, container: str) -> str:
    """Return `running`, or what the container waits for or ended with."""
    for entry in pod.get("status", {}).get("containerStatuses") or ():
        if entry["name"] == container:
            for word, state in (entry.get("state") or {}).items():
                reason = " ".join(str(state[key]) for key in ("reason", "message") if (state or {}).get(key))
                return f"{word} {reason}".rstrip()
    return "unknown"
