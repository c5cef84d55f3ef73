"""The columns of what makes pods: Deployments, ReplicaSets, StatefulSets, DaemonSets, Jobs."""

from __future__ import annotations

from emulator.api.ages import human_duration, parse_time, since
from emulator.api.messages import Object
from emulator.cli.columns.columns import NONE, Columns, age, labels_text, selector_text


def _containers(obj: Object) -> list[str]:
    """Return the wide cells CONTAINERS and IMAGES."""
    containers = obj.get("spec", {}).get("template", {}).get("spec", {}).get("containers") or ()
    names = ",".join(container["name"] for container in containers)
    return [names, ",".join(container.get("image", "") for container in containers)]


def _counts(obj: Object, *names: str) -> list[str]:
    status = obj.get("status", {})
    return [str(status.get(name, 0)) for name in names]


def _wanted(obj: Object) -> int:
    return int(obj.get("spec", {}).get("replicas", 1))


def _deployment(obj: Object, now: float) -> list[str]:
    ready = f"{obj.get('status', {}).get('readyReplicas', 0)}/{_wanted(obj)}"
    counts = _counts(obj, "updatedReplicas", "availableReplicas")
    selector = selector_text(obj.get("spec", {}).get("selector"))
    return [obj["metadata"]["name"], ready, *counts, age(obj, now), *_containers(obj), selector]


def _replica_set(obj: Object, now: float) -> list[str]:
    counts = _counts(obj, "replicas", "readyReplicas")
    selector = selector_text(obj.get("spec", {}).get("selector"))
    return [obj["metadata"]["name"], str(_wanted(obj)), *counts, age(obj, now), *_containers(obj), selector]


def _stateful_set(obj: Object, now: float) -> list[str]:
    ready = f"{obj.get('status', {}).get('readyReplicas', 0)}/{_wanted(obj)}"
    return [obj["metadata"]["name"], ready, age(obj, now), *_containers(obj)]


def _daemon_set(obj: Object, now: float) -> list[str]:
    counts = _counts(
        obj,
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    )
    spec = obj.get("spec", {})
    nodes = labels_text(spec.get("template", {}).get("spec", {}).get("nodeSelector"))
    selector = selector_text(spec.get("selector"))
    return [obj["metadata"]["name"], *counts, nodes, age(obj, now), *_containers(obj), selector]


def _job(obj: Object, now: float) -> list[str]:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    done = f"{status.get('succeeded', 0)}/{spec.get('completions', 1)}"
    states = [entry["type"] for entry in status.get("conditions") or () if entry.get("status") == "True"]
    started, ended = parse_time(status.get("startTime")), parse_time(status.get("completionTime"))
    duration = "" if started is None else human_duration((now if ended is None else ended) - started)
    state = "Suspended" if spec.get("suspend") else "Running"
    selector = selector_text(spec.get("selector"))
    name = obj["metadata"]["name"]
    return [name, states[0] if states else state, done, duration, age(obj, now), *_containers(obj), selector]


def _cron_job(obj: Object, now: float) -> list[str]:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    last = status.get("lastScheduleTime")
    return [
        obj["metadata"]["name"],
        spec.get("schedule", ""),
        spec.get("timeZone") or NONE,
        str(bool(spec.get("suspend"))),
        str(len(status.get("active") or ())),
        since(last, now) if last else NONE,
        age(obj, now),
    ]


_IMAGES = ("CONTAINERS", "IMAGES")
DEPLOYMENT = Columns(("NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"), (*_IMAGES, "SELECTOR"), _deployment)
REPLICA_SET = Columns(("NAME", "DESIRED", "CURRENT", "READY", "AGE"), (*_IMAGES, "SELECTOR"), _replica_set)
STATEFUL_SET = Columns(("NAME", "READY", "AGE"), _IMAGES, _stateful_set)
DAEMON_SET = Columns(
    ("NAME", "DESIRED", "CURRENT", "READY", "UP-TO-DATE", "AVAILABLE", "NODE SELECTOR", "AGE"),
    (*_IMAGES, "SELECTOR"),
    _daemon_set,
)
JOB = Columns(("NAME", "STATUS", "COMPLETIONS", "DURATION", "AGE"), (*_IMAGES, "SELECTOR"), _job)
CRON_JOB = Columns(("NAME", "SCHEDULE", "TIMEZONE", "SUSPEND", "ACTIVE", "LAST SCHEDULE", "AGE"), (), _cron_job)
