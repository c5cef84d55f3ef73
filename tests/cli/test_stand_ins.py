"""What `apply` and `start` say of workloads that are not the real thing here."""

from __future__ import annotations

from typing import Any

from emulator.cli.stand_ins import stand_in_notes


def pod(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}


def workload(kind: str, **spec: Any) -> dict[str, Any]:
    template = {"metadata": {}, "spec": spec}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "w"}, "spec": {"template": template}}


def test_a_built_in_image_that_runs_as_written_needs_no_note() -> None:
    container = {"name": "a", "image": "nginx", "ports": [{"containerPort": 80}]}
    waiting = {"name": "b", "image": "busybox", "command": ["sleep", "infinity"]}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
    assert stand_in_notes([pod(containers=[container, waiting]), service]) == []


def test_one_line_a_workload_says_all() -> None:
    container = {
        "name": "redis",
        "image": "redis:7",
        "args": ["--appendonly", "yes"],
        "ports": [{"containerPort": 6379, "hostPort": 16379}],
        "livenessProbe": {"exec": {"command": ["redis-cli", "ping"]}},
    }
    init = [{"name": "chown", "image": "busybox"}, {"name": "side", "image": "nginx", "restartPolicy": "Always"}]
    assert stand_in_notes([workload("StatefulSet", containers=[container], initContainers=init)]) == [
        "statefulset.apps/w: image redis:7: answers on its declared ports in place of the real program; "
        "the command of container redis is not run: --appendonly yes; "
        "init containers that cannot run here count as completed: chown; "
        "probes that cannot run here count as passed: redis livenessProbe"
    ]


def test_silent_images_and_long_commands() -> None:
    container = {"name": "c", "image": "example.com/worker", "command": ["sh", "-c", "work 1\n" * 100]}
    (line,) = stand_in_notes([pod(containers=[container], hostNetwork=True)])
    assert "image example.com/worker: answers where Services lead to it in place of the real program" in line
    assert "not run: sh -c work 1 work 1 work 1 work 1 work …" in line
    assert "hostNetwork" not in line  # it works: the pod has its node's address
