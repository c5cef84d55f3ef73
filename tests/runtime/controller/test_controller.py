from ipaddress import IPv4Network

import pytest
import trio

from emulator.api import messages
from emulator.api.cluster_file import ClusterConfig, NodeConfig
from emulator.api.messages import ControlError, Empty, ErrorCode
from emulator.runtime.controller.nodes import LEASE_DURATION
from tests.runtime.lab import SERVICE, become_ready, config_map, deployment, get, lab, objects, ready


def refused(code):
    return pytest.raises(ControlError, check=lambda error: error.code is code)


async def test_a_new_cluster_has_its_namespaces_nodes_and_dns(autojump_clock):
    async with lab() as cluster, cluster.client() as client:
        version = await client.call(messages.VERSION, Empty())
        assert (version.role, version.name, version.epoch) == ("controller", "lab", 1)
        names = [obj["metadata"]["name"] for obj in await objects(client, "ns", None)]
        assert names == ["default", "kube-node-lease", "kube-public", "kube-system"]
        nodes = await objects(client, "Node", None)
        assert [node["spec"]["podCIDR"] for node in nodes] == ["10.244.0.0/24", "10.244.1.0/24"]
        assert [node["status"]["addresses"][0]["address"] for node in nodes] == ["172.18.0.2", "172.18.0.3"]
        assert nodes[0]["metadata"]["labels"] == {
            "beta.kubernetes.io/arch": "amd64",
            "beta.kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "kubernetes.io/hostname": "node-a",
            "kubernetes.io/os": "linux",
            "topology.kubernetes.io/zone": "zone-1",
        }
        dns = await get(client, "Service", "kube-dns", "kube-system")
        assert dns["spec"]["clusterIP"] == "10.96.0.10"


async def test_from_manifests_to_endpoints(autojump_clock):
    async with lab() as cluster, cluster.client() as client:
        for name in ("node-a", "node-b"):
            await cluster.nursery.start(cluster.hold_node, name)
        outcome = await client.call(messages.APPLY, messages.ApplyParams(objects=[deployment(), SERVICE]))
        assert [entry.action.value for entry in outcome.outcomes] == ["created", "created"]
        await trio.sleep(1)
        pods = await objects(client, "Pod")
        assert len(pods) == 3
        assert {pod["spec"]["nodeName"] for pod in pods} == {"node-a", "node-b"}
        for number, pod in enumerate(pods):
            await become_ready(client, pod, f"10.244.0.{number + 2}")
        await trio.sleep(1)
        (slice_,) = await objects(client, "EndpointSlice")
        assert sorted(endpoint["addresses"][0] for endpoint in slice_["endpoints"]) == [
            "10.244.0.2",
            "10.244.0.3",
            "10.244.0.4",
        ]
        web = await get(client, "Deployment", "web")
        assert web["status"]["readyReplicas"] == 3
        overview = await client.call(messages.CONTROLLER_STATUS, Empty())
        service = next(entry for entry in overview.services if entry.name == "web")
        assert (service.ready_endpoints, service.endpoints, service.ports) == (3, 3, "80/TCP")
        assert {
            entry.name.rpartition("-")[0].rpartition("-")[0] for entry in overview.not_ready if entry.kind == "Pod"
        } == {"coredns"}

        await client.call(messages.SCALE, messages.ScaleParams(kind="deploy", name="web", replicas=1))
        await trio.sleep(1)
        terminating = [pod for pod in await objects(client, "Pod") if "deletionTimestamp" in pod["metadata"]]
        assert len(terminating) == 2

        gone = await client.call(messages.DELETE, messages.DeleteParams(kind="Deployment", name="web"))
        assert gone.gone
        await trio.sleep(1)
        assert await objects(client, "ReplicaSet") == []
        assert all("deletionTimestamp" in pod["metadata"] for pod in await objects(client, "Pod"))


async def test_everything_that_was_acknowledged_survives_a_restart(tmp_path, autojump_clock):
    path = tmp_path / "store.sqlite"
    async with lab(path) as cluster, cluster.client() as client:
        await client.call(messages.APPLY, messages.ApplyParams(objects=[deployment(), SERVICE, config_map(x="1")]))
        await trio.sleep(1)
        before = {kind: await objects(client, kind, None) for kind in ("Node", "Pod", "Service", "ReplicaSet", "cm")}
        revision = (await client.call(messages.LIST, messages.ListParams(kind="Pod"))).revision
    assert len(before["Pod"]) == 5
    async with lab(path) as cluster, cluster.client() as client:
        after = {kind: await objects(client, kind, None) for kind in before}
        await trio.sleep(1)
        assert (await client.call(messages.VERSION, Empty())).epoch == 2
        assert (await client.call(messages.LIST, messages.ListParams(kind="Pod"))).revision == revision
    assert after == before


async def test_a_deleted_dns_stays_deleted(tmp_path, autojump_clock):
    path = tmp_path / "store.sqlite"
    async with lab(path) as cluster, cluster.client() as client:
        params = messages.DeleteParams(kind="Deployment", name="coredns", namespace="kube-system")
        await client.call(messages.DELETE, params)
    async with lab(path) as cluster, cluster.client() as client:
        with refused(ErrorCode.NOT_FOUND):
            await get(client, "Deployment", "coredns", "kube-system")


async def test_a_node_that_vanishes_is_not_ready_and_comes_back(autojump_clock):
    async with lab() as cluster, cluster.client() as client:
        assert await ready(client, "node-a") == "False"
        async with trio.open_nursery() as process:
            registered = await process.start(cluster.hold_node, "node-a")
            assert registered.node["metadata"]["annotations"]["podwire/underlay"] == "127.0.0.1:1000"
            assert await ready(client, "node-a") == "True"
            await trio.sleep(60)
            assert await ready(client, "node-a") == "True"
            process.cancel_scope.cancel()
        await trio.sleep(LEASE_DURATION - 1.5)
        assert await ready(client, "node-a") == "True"
        await trio.sleep(1.6)
        assert await ready(client, "node-a") == "Unknown"
        await cluster.nursery.start(cluster.hold_node, "node-a", "2")
        assert await ready(client, "node-a") == "True"
        assert await ready(client, "node-b") == "False"


async def test_a_second_node_of_the_same_name_is_refused_and_the_first_named(autojump_clock):
    async with lab() as cluster:
        await cluster.nursery.start(cluster.hold_node, "node-a", "1", 1000)
        async with cluster.client() as client:
            registration = messages.NodeRegistration(
                name="node-a", instance="2", underlay_host="127.0.0.1", underlay_port=2000, mac="02:00:00:00:00:02"
            )
            with refused(ErrorCode.ALREADY_EXISTS) as caught:
                async with client.stream(messages.REGISTER, registration) as exchange:
                    await exchange.next_event()
            assert "process 7, underlay 127.0.0.1:1000" in str(caught.value)
            with refused(ErrorCode.NOT_FOUND):
                await client.call(messages.RENEW, messages.RenewParams(name="node-a", instance="2"))


async def test_a_restarted_node_process_takes_its_name_over_at_once(autojump_clock):
    async with lab() as cluster, cluster.client() as client:
        async with trio.open_nursery() as process:
            first = await process.start(cluster.hold_node, "node-a", "1")
            process.cancel_scope.cancel()
        second = await cluster.nursery.start(cluster.hold_node, "node-a", "2", 2000)
        assert second.node["spec"]["podCIDR"] == first.node["spec"]["podCIDR"]
        assert second.node["metadata"]["uid"] == first.node["metadata"]["uid"]
        assert second.node["metadata"]["annotations"]["podwire/underlay"] == "127.0.0.1:2000"
        assert await ready(client, "node-a") == "True"


async def test_a_silent_node_loses_its_name(autojump_clock):
    async with lab() as cluster:

        async def silent(*, task_status):
            await cluster.hold_node("node-a", "1", renew=False, task_status=task_status)

        await cluster.nursery.start(silent)
        await trio.sleep(LEASE_DURATION + 0.1)
        await cluster.nursery.start(cluster.hold_node, "node-a", "2")


async def test_nodes_ready_before_a_restart_have_time_to_come_back(tmp_path, autojump_clock):
    path = tmp_path / "store.sqlite"
    async with lab(path) as cluster:
        await cluster.nursery.start(cluster.hold_node, "node-a")
    async with lab(path) as cluster, cluster.client() as client:
        assert await ready(client, "node-a") == "True"
        await trio.sleep(LEASE_DURATION + 0.1)
        assert await ready(client, "node-a") == "Unknown"


async def test_nodes_beyond_the_addresses_are_refused(autojump_clock):
    config = ClusterConfig(pod_cidr=IPv4Network("10.244.0.0/23"), nodes=(NodeConfig("a"), NodeConfig("b")))
    async with lab(config=config) as cluster:
        with pytest.raises(ExceptionGroup) as caught:
            async with trio.open_nursery() as process:
                await process.start(cluster.hold_node, "one-more")
        assert caught.group_contains(ControlError, match=r"no addresses are left in pod_cidr 10\.244\.0\.0/23")


# --- requests


async def test_problems_are_told_together_and_nothing_is_applied(autojump_clock):
    async with lab() as cluster, cluster.client() as client:
        bad = config_map("Not_A_Name") | {"bogus": 1}
        with refused(ErrorCode.INVALID) as caught:
            await client.call(messages.APPLY, messages.ApplyParams(objects=[config_map("good"), bad, {"kind": 3}]))
        for words in ("bogus", "metadata.name", "apiVersion"):
            assert words in str(caught.value)
        assert await objects(client, "ConfigMap") == []


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        (messages.GET, messages.GetParams(kind="Pod", name="x"), ErrorCode.NOT_FOUND),
        (messages.GET, messages.GetParams(kind="Bogus", name="x"), ErrorCode.INVALID),
        (messages.LIST, messages.ListParams(kind="Pod", label_selector="=="), ErrorCode.INVALID),
        (messages.CREATE, messages.CreateParams(object=config_map("x") | {"data": 3}), ErrorCode.INVALID),
        (messages.PATCH, messages.PatchParams(kind="cm", name="x", patch={}), ErrorCode.NOT_FOUND),
        (messages.PATCH, messages.PatchParams(kind="ns", name="default", patch={"x": 1}), ErrorCode.INVALID),
        (messages.PATCH, messages.PatchParams(kind="cm", name="x", patch={}, subresource="scale"), ErrorCode.INVALID),
        (messages.SCALE, messages.ScaleParams(kind="Pod", name="x", replicas=1), ErrorCode.INVALID),
        (messages.SCALE, messages.ScaleParams(kind="deploy", name="x", replicas=-1), ErrorCode.INVALID),
        (messages.SCALE, messages.ScaleParams(kind="deploy", name="x", replicas=1), ErrorCode.NOT_FOUND),
        (messages.WATCH, messages.WatchParams(kind="Pod", revision="-1"), ErrorCode.INVALID),
        (messages.WATCH, messages.WatchParams(kind="Pod", revision="999999"), ErrorCode.EXPIRED),
    ],
)
async def test_bad_requests(method, params, code, autojump_clock):
    async with lab() as cluster, cluster.client() as client:
        with refused(code) as caught:
            await client.call(method, params)
        assert "\n" not in str(caught.value)


async def test_writes_of_clients(autojump_clock):
    async with lab() as cluster, cluster.client() as client:
        created = (await client.call(messages.CREATE, messages.CreateParams(object=config_map(x="1")))).object
        replaced = await client.call(messages.REPLACE, messages.ReplaceParams(object=created | {"data": {"x": "2"}}))
        assert replaced.object["data"] == {"x": "2"}
        with refused(ErrorCode.CONFLICT):
            await client.call(messages.REPLACE, messages.ReplaceParams(object=created))
        patch = messages.PatchParams(kind="ConfigMap", name="a", patch={"data": {"x": None, "y": "3"}})
        assert (await client.call(messages.PATCH, patch)).object["data"] == {"y": "3"}
        for dry_run, left in ((True, 1), (False, 0)):
            result = await client.call(messages.DELETE, messages.DeleteParams(kind="cm", name="a", dry_run=dry_run))
            assert result.gone
            assert len(await objects(client, "ConfigMap")) == left


async def test_lists_select(autojump_clock):
    async with lab() as cluster, cluster.client() as client:
        for name in ("a", "b"):
            obj = config_map(name)
            obj["metadata"]["labels"] = {"app": name}
            await client.call(messages.CREATE, messages.CreateParams(object=obj))
        for selector in ({"label_selector": "app=b"}, {"field_selector": "metadata.name=b"}):
            found = await client.call(messages.LIST, messages.ListParams(kind="configmaps", **selector))
            assert [obj["metadata"]["name"] for obj in found.items] == ["b"]
