"""Manifests of real projects, and more in their style: all applies, all pods get ready, all Services answer."""

import ssl
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from emulator.api.manifest import read_manifests
from emulator.api.messages import Object
from emulator.runtime.cluster.cluster import Cluster, Place
from tests.scenarios.world import ask, pod, settle

HERE = Path(__file__).parent
PUBLISHED = HERE.parent / "data" / "manifests"
FILES = [PUBLISHED / "guestbook.yaml", PUBLISHED / "online-boutique.yaml", *sorted((HERE / "manifests").glob("*.yaml"))]
READY = {
    "Deployment": ("readyReplicas", "replicas"),
    "StatefulSet": ("readyReplicas", "replicas"),
    "DaemonSet": ("numberReady", "desiredNumberScheduled"),
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_everything_applies_gets_ready_and_answers(
    cluster: Cluster, autojump_clock: MockClock, path: Path
) -> None:
    objects = [item.object for item in read_manifests([path])]
    outcomes = await cluster.apply(objects)
    assert len(outcomes) == len(objects)
    await cluster.apply(pod("client", "node-a"))
    await cluster.wait_ready()
    await settle()
    for obj in objects:
        if obj["kind"] in READY:
            await _check_workload(cluster, obj)
    services = [obj for obj in objects if obj["kind"] == "Service" and obj["spec"].get("type") != "ExternalName"]
    assert services
    for service in services:
        await _check_service(cluster, service)


async def _check_workload(cluster: Cluster, obj: Object) -> None:
    metadata = obj["metadata"]
    now = await cluster.get(obj["kind"], metadata["name"], metadata.get("namespace", "default"))
    ready, wanted = READY[obj["kind"]]
    count = now["status"].get(ready, 0)
    assert count == (now["status"] if obj["kind"] == "DaemonSet" else now["spec"])[wanted] > 0, metadata["name"]


async def _check_service(cluster: Cluster, service: Object) -> None:
    """Each of its ports answers a pod of another namespace, by the Service's full name."""
    namespace, name = service["metadata"].get("namespace", "default"), service["metadata"]["name"]
    now = await cluster.get("Service", name, namespace)
    slices = await cluster.objects("EndpointSlice", namespace, selector=f"kubernetes.io/service-name={name}")
    numbers = {port["name"]: port["port"] for slice_ in slices for port in slice_["ports"]}
    endpoints = [endpoint for slice_ in slices for endpoint in slice_["endpoints"] if endpoint["conditions"]["ready"]]
    assert endpoints, f"{namespace}/{name} has no ready endpoint"
    headless = now["spec"]["clusterIP"] == "None"
    host = f"{name}.{namespace}.svc.cluster.local"
    for port in now["spec"]["ports"]:
        number = numbers[port.get("name", "")] if headless else port["port"]
        secure = 443 in (port["port"], numbers[port.get("name", "")]) or port.get("name", "").startswith("https")
        await _check_port(cluster.pod("client"), host, number, port.get("protocol", "TCP"), secure=secure)


async def _check_port(client: Place, host: str, port: int, protocol: str, *, secure: bool = False) -> None:
    """Any answer to a line of HTTP, or to a datagram; what names no built-in program says which pod it is."""
    if protocol == "UDP":
        with await client.udp_socket() as socket:
            assert await ask(socket, "hello", host, port)
        return
    with trio.fail_after(30):
        async with await client.open_tcp_stream(host, port) as plain:
            stream = await _with_tls(plain) if secure else plain
            await stream.send_all(f"GET / HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
            assert await stream.receive_some(), f"{host}:{port} closed without an answer"


async def _with_tls(plain: trio.abc.Stream) -> trio.abc.Stream:
    """Speak TLS, taking any certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    stream = trio.SSLStream(plain, context)
    await stream.do_handshake()
    return stream


def test_all_files_are_there() -> None:
    assert len(FILES) >= 7
    assert all(path.is_file() for path in FILES)


async def test_ordered_pods_have_stable_names_of_their_own(cluster: Cluster, autojump_clock: MockClock) -> None:
    """A StatefulSet's pods start in order and are found by `POD.SERVICE`; claims are templates, and kept."""
    await cluster.apply([item.object for item in read_manifests([HERE / "manifests" / "replicated-database.yaml"])])
    await cluster.apply(pod("client", "node-a"))
    await cluster.wait_ready()
    await settle()
    pods = sorted(await cluster.objects("Pod", "ledger"), key=lambda found: str(found["metadata"]["name"]))
    assert [found["metadata"]["name"] for found in pods] == ["ledger-0", "ledger-1", "ledger-2"]
    started = [found["metadata"]["creationTimestamp"] for found in pods]
    assert started == sorted(started)
    for found in pods:
        name = f"{found['metadata']['name']}.ledger.ledger.svc.cluster.local"
        outcome = await cluster.pod("client").exec("dig", "+short", name)
        assert outcome.stdout.split() == [found["status"]["podIP"]]


async def test_agents_on_the_hosts_network_answer_at_the_nodes_addresses(
    cluster: Cluster, autojump_clock: MockClock
) -> None:
    await cluster.apply([item.object for item in read_manifests([HERE / "manifests" / "node-agent.yaml"])])
    await cluster.apply(pod("client", "node-a"))
    await cluster.wait_ready()
    agents = await cluster.objects("Pod", "observe", selector="k8s-app=agent")
    nodes = {node.name: node.address for node in (await cluster.status()).nodes}
    assert {found["spec"]["nodeName"]: found["status"]["podIP"] for found in agents} == nodes
    for address in nodes.values():
        await _check_port(cluster.pod("client"), address, 9100, "TCP")
