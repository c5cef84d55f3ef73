"""What a controller makes of nodes that go, and of namespaces that end; with a kubelet's part played by the test."""

import pytest
import trio

from emulator.api import messages
from emulator.api.messages import ControlError
from emulator.kube.controllers.node_lifecycle import EVICTION_DELAY
from emulator.kube.scheduler.scheduler import ARRIVAL_SECONDS
from emulator.runtime.controller.nodes import LEASE_DURATION
from tests.runtime.lab import SERVICE, become_ready, config_map, deployment, get, lab, objects, ready


async def ready_endpoints(client):
    (slice_,) = await objects(client, "EndpointSlice")
    return {entry["addresses"][0] for entry in slice_["endpoints"] if entry["conditions"]["ready"]}


async def bring_up(client, replicas=4):
    """Apply a Deployment with its Service and make its pods ready; return the pods' addresses by node."""
    await client.call(messages.APPLY, messages.ApplyParams(objects=[deployment(replicas), SERVICE]))
    await trio.sleep(ARRIVAL_SECONDS + 1)
    addresses = {"node-a": set(), "node-b": set()}
    for number, pod in enumerate(await objects(client, "Pod")):
        address = f"10.244.0.{number + 2}"
        await become_ready(client, pod, address)
        addresses[pod["spec"]["nodeName"]].add(address)
    await trio.sleep(1)
    return addresses


async def test_endpoints_of_a_lost_node_are_withdrawn_in_time_and_come_back(autojump_clock):
    async with lab() as cluster, cluster.client() as client:
        await cluster.nursery.start(cluster.hold_node, "node-b")
        async with trio.open_nursery() as process:
            await process.start(cluster.hold_node, "node-a")
            addresses = await bring_up(client)
            assert len(addresses["node-a"]) == len(addresses["node-b"]) == 2
            assert await ready_endpoints(client) == addresses["node-a"] | addresses["node-b"]
            process.cancel_scope.cancel()
        await trio.sleep(LEASE_DURATION + 0.1)
        assert await ready_endpoints(client) == addresses["node-b"]
        overview = await client.call(messages.CONTROLLER_STATUS, messages.Empty())
        lost = {entry.reason for entry in overview.not_ready if entry.namespace == "default" and entry.kind == "Pod"}
        assert lost == {"NodeNotReady"}
        await cluster.nursery.start(cluster.hold_node, "node-a", "2")
        await trio.sleep(0.1)
        assert await ready_endpoints(client) == addresses["node-a"] | addresses["node-b"]


async def test_a_controller_that_was_held_up_does_not_lose_its_nodes(autojump_clock):
    async with lab() as cluster, cluster.client() as client:
        await cluster.nursery.start(cluster.hold_node, "node-a")
        before = (await get(client, "Node", "node-a"))["metadata"]["resourceVersion"]
        autojump_clock.jump(10 * LEASE_DURATION)
        await trio.sleep(10)
        assert (await get(client, "Node", "node-a"))["metadata"]["resourceVersion"] == before


async def test_pods_of_a_node_that_stays_away_are_replaced(autojump_clock):
    async with lab() as cluster, cluster.client() as client:
        await cluster.nursery.start(cluster.hold_node, "node-b")
        async with trio.open_nursery() as process:
            await process.start(cluster.hold_node, "node-a")
            await bring_up(client)
            process.cancel_scope.cancel()
        await trio.sleep(EVICTION_DELAY - 10)
        assert not [pod for pod in await objects(client, "Pod") if "deletionTimestamp" in pod["metadata"]]
        await trio.sleep(20)
        pods = await objects(client, "Pod")
        assert {pod["spec"]["nodeName"] for pod in pods if "deletionTimestamp" in pod["metadata"]} == {"node-a"}
        assert len([pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]) == 4
        assert {pod["spec"]["nodeName"] for pod in pods if "deletionTimestamp" not in pod["metadata"]} == {"node-b"}


async def test_pods_of_a_deleted_node_go_and_the_node_registers_again(autojump_clock):
    async with lab() as cluster, cluster.client() as client:
        async with trio.open_nursery() as process:

            async def hold(*, task_status):
                with pytest.raises(ControlError, match="register it again"):
                    await cluster.hold_node("node-a", task_status=task_status)

            await process.start(hold)
            await bring_up(client)
            await client.call(messages.DELETE, messages.DeleteParams(kind="Node", name="node-a"))
            await trio.sleep(0.1)
            assert all(not pod["spec"].get("nodeName") for pod in await objects(client, "Pod"))
        await cluster.nursery.start(cluster.hold_node, "node-a", "2")
        await trio.sleep(ARRIVAL_SECONDS + 1)  # so long the pods wait for node-b
        assert await ready(client, "node-a") == "True"
        assert all(pod["spec"]["nodeName"] == "node-a" for pod in await objects(client, "Pod"))


async def test_a_namespace_goes_with_all_that_is_in_it(autojump_clock):
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    inside = [deployment(), SERVICE, config_map("a")]
    inside = [obj | {"metadata": obj["metadata"] | {"namespace": "shop"}} for obj in inside]
    async with lab() as cluster, cluster.client() as client:
        await cluster.nursery.start(cluster.hold_node, "node-a")
        await client.call(messages.APPLY, messages.ApplyParams(objects=[namespace, *inside]))
        await trio.sleep(ARRIVAL_SECONDS + 1)  # so long the pods wait for node-b
        result = await client.call(messages.DELETE, messages.DeleteParams(kind="ns", name="shop"))
        assert not result.gone
        await trio.sleep(1)
        for kind in ("Deployment", "ReplicaSet", "Service", "ConfigMap", "EndpointSlice"):
            assert await objects(client, kind, "shop") == []
        pods = await objects(client, "Pod", "shop")
        assert len(pods) == 3  # their kubelet has not confirmed
        assert all("deletionTimestamp" in pod["metadata"] for pod in pods)
        assert (await get(client, "Namespace", "shop"))["status"]["phase"] == "Terminating"
        for pod in pods:
            params = messages.DeleteParams(kind="Pod", namespace="shop", name=pod["metadata"]["name"], grace=0)
            await client.call(messages.DELETE, params)
        await trio.sleep(1)
        names = {obj["metadata"]["name"] for obj in await objects(client, "Namespace", None)}
        assert "shop" not in names
