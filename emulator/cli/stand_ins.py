"""What of a workload is not the real thing here, told by `apply` and `start` so that nobody takes it for that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from emulator.api.app_annotation import app_of
from emulator.api.messages import Object
from emulator.api.problem import printable
from emulator.apps.images import can_pass, ignores, module_for, runs_to_its_end
from emulator.cli.manifests import described, kind_of_object

_POD_MAKERS = frozenset({"Deployment", "ReplicaSet", "ReplicationController", "StatefulSet", "DaemonSet"})
_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
_LONGEST = 40
"""Characters of a command that are shown."""


def stand_in_notes(objects: Sequence[Object]) -> list[str]:
    """Return one line for each Pod and workload of which something stands in, or is without effect."""
    lines: list[str] = []
    for obj in objects:
        pod = _pod(obj)
        annotations = (pod.get("metadata") or {}).get("annotations") or {}
        parts = list(dict.fromkeys(_parts(pod.get("spec") or {}, annotations)))
        if parts:
            lines.append(printable(f"{described(obj)}: {'; '.join(parts)}"))
    return lines


def _pod(obj: Object) -> Object:
    """The pod, or the template of pods, that an object has; empty if it makes none."""
    key = kind_of_object(obj).key  # of custom kinds with the group: theirs may be named alike
    if key == "Pod":
        return obj
    if key not in _POD_MAKERS:
        return {}
    template: Object = (obj.get("spec") or {}).get("template") or {}
    return template


def _parts(spec: Object, annotations: Mapping[str, str]) -> Iterator[str]:
    init = spec.get("initContainers") or []
    sidecars = [container for container in init if container.get("restartPolicy") == "Always"]
    containers = [*sidecars, *(spec.get("containers") or [])]
    names = [container["name"] for container in spec.get("containers") or []]
    for container in containers:
        if not app_of(annotations, names, container["name"]):
            yield from _program(container)
    skipped = [
        container["name"] for container in init if container not in sidecars and not runs_to_its_end(*_line(container))
    ]
    if skipped:
        yield f"init containers that cannot run here count as completed: {', '.join(skipped)}"
    passed = [
        f"{container['name']} {name}"
        for container in containers
        for name in _PROBES
        if container.get(name) and not can_pass(*_line(container), container[name])
    ]
    if passed:
        yield f"probes that cannot run here count as passed: {', '.join(passed)}"


def _line(container: Object) -> tuple[str, Sequence[str], Sequence[str]]:
    """An image, its command and its arguments."""
    return container["image"], container.get("command") or [], container.get("args") or []


def _program(container: Object) -> Iterator[str]:
    image, command, args = _line(container)
    if module_for(image, command, args) == "generic":
        what = "answers on its declared ports" if container.get("ports") else "answers where Services lead to it"
        yield f"image {image}: {what} in place of the real program"
    if ignores(image, command, args):
        words = " ".join(" ".join(map(str, [*command, *args])).split())
        shown = words if len(words) <= _LONGEST else f"{words[: _LONGEST - 1]}…"
        yield f"the command of container {container['name']} is not run: {shown}"
