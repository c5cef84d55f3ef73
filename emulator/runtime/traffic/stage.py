"""What traffic needs before its first request, and what is taken away after the last: a namespace and its objects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio

from emulator.api.manifest import in_namespace, read_manifests
from emulator.api.messages import ApplyAction, ControlError, ErrorCode, Object
from emulator.api.traffic.traffic import Scenario
from emulator.errors import PodwireError
from emulator.runtime.cluster.cluster import Cluster
from emulator.runtime.traffic.changes import is_rolled_out
from emulator.runtime.traffic.report import Report
from emulator.runtime.traffic.run import Plan, Run
from emulator.runtime.traffic.surroundings import Surroundings, surroundings

READY_WITHIN = 60.0
REMOVED_WITHIN = 60.0
SETTLE = 0.5
"""Seconds between the last pod's readiness and the first request: what every kube-proxy needs to hear of it."""

_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")


async def run_scenario(cluster: Cluster, scenario: Scenario, *, remove: bool = True) -> Report:
    """Set the stage of a traffic file, run it, and clear the stage whatever happened, if `remove`. PodwireError."""
    plan = Plan(
        name=scenario.name,
        namespace=scenario.namespace,
        seed=scenario.seed,
        loads=scenario.loads,
        phases=scenario.phases,
        assertions=scenario.assertions,
        description=scenario.description,
    )
    async with stage(cluster, scenario.namespace, [str(path) for path in scenario.manifests], remove=remove):
        return await Run(cluster, plan).run()


@asynccontextmanager
async def stage(
    cluster: Cluster, namespace: str, manifests: Sequence[str], *, remove: bool = True
) -> AsyncIterator[None]:
    """Have a namespace with the objects of some manifests, ready, for the block.

    What was not there before goes again, if `remove`.

    Raises ManifestError, ControlError; PodwireError where something does not come up.
    """
    items = in_namespace(read_manifests(manifests), None if namespace == "default" else namespace)
    around = surroundings.get() or Surroundings()
    made = await _make_namespace(cluster, namespace)
    created: list[Object] = []
    try:
        if items:
            around.say(f"applying {len(items)} objects in namespace {namespace}")
            objects = [item.object for item in items]
            outcomes = await cluster.apply(objects)
            created = [
                obj for obj, outcome in zip(objects, outcomes, strict=True) if outcome.action is ApplyAction.CREATED
            ]
            await wait_ready(cluster, namespace)
            await trio.sleep(SETTLE)
        yield
    finally:
        made, created = made and remove, created if remove else []
        with trio.CancelScope(shield=True), trio.move_on_after(REMOVED_WITHIN) as scope:
            if made or created:
                around.say(f"removing what was made in namespace {namespace}")
            await _clear(cluster, namespace if made else "", created)
        if scope.cancelled_caught:
            around.say(f"not all of namespace {namespace} was gone after {REMOVED_WITHIN:g} s")


async def _make_namespace(cluster: Cluster, name: str) -> bool:
    """Make a namespace; False if it was there. One that goes away is waited for."""
    try:
        found = await cluster.get("Namespace", name)
    except ControlError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
    else:
        if not found["metadata"].get("deletionTimestamp"):
            return False
        await _wait_gone(cluster, "Namespace", name)
    await cluster.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}])
    return True


async def wait_ready(cluster: Cluster, namespace: str) -> None:
    """Wait until all workloads and pods of a namespace are ready. PodwireError that tells what is not."""
    late = f"something in namespace {namespace}"
    with trio.move_on_after(READY_WITHIN):
        for kind in _WORKLOADS:
            late = f"a {kind} in namespace {namespace}"
            await cluster.wait_for(kind, lambda objects: all(map(is_rolled_out, objects)), namespace)
        late = f"a pod in namespace {namespace}"
        await cluster.wait_for("Pod", lambda pods: all(map(_is_ready, pods)), namespace)
        return
    raise PodwireError(f"{late} is not ready after {READY_WITHIN:g} s; see: emulator get pods -n {namespace}")


def _is_ready(pod: Object) -> bool:
    status = pod.get("status", {})
    if status.get("phase") == "Succeeded" or "deletionTimestamp" in pod["metadata"]:
        return True
    conditions = status.get("conditions") or ()
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


async def _clear(cluster: Cluster, namespace: str, created: Sequence[Object]) -> None:
    """Delete a namespace with all in it, and of the objects those that are in none of it; wait until they are gone."""
    for obj in reversed(created):
        metadata = obj["metadata"]
        if namespace and metadata.get("namespace") == namespace:
            continue
        await _delete(cluster, obj["kind"], metadata["name"], metadata.get("namespace", ""))
    if namespace:
        await _delete(cluster, "Namespace", namespace, "")
        await _wait_gone(cluster, "Namespace", namespace)


async def _delete(cluster: Cluster, kind: str, name: str, namespace: str) -> None:
    try:
        await cluster.delete(kind, name, namespace)
    except ControlError as error:
        if error.code is not ErrorCode.NOT_FOUND:  # a phase may have deleted it
            raise


async def _wait_gone(cluster: Cluster, kind: str, name: str) -> None:
    await cluster.wait_for(kind, lambda objects: all(obj["metadata"]["name"] != name for obj in objects))
