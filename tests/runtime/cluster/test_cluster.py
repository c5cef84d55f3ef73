"""Whole clusters in one process, under trio's mock clock: the same controller and nodes as in the product."""

from itertools import permutations, product

import pytest
import trio
from trio.testing import MockClock

from emulator.api.cluster_file import ClusterConfig, NodeConfig
from emulator.api.messages import ControlError, TraceOutcome
from emulator.apps.environment import ResolveError
from emulator.runtime.cluster.cluster import Cluster
from emulator.runtime.underlay.memory import Conditions

NODES = ("node-a", "node-b", "node-c")
CONFIG = ClusterConfig(name="test", nodes=tuple(NodeConfig(name) for name in NODES), seed=7)

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: traefik/whoami, ports: [{containerPort: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80}]
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  containers:
  - {name: curl, image: curlimages/curl, command: [sleep, infinity]}
"""


@pytest.fixture
def cluster_config() -> ClusterConfig:
    return CONFIG


async def apply(cluster: Cluster, manifest: str) -> None:
    await cluster.apply(manifest)
    await cluster.wait_ready()


async def pod_names(cluster: Cluster, selector: str = "app=web") -> list[str]:
    return [pod["metadata"]["name"] for pod in await cluster.objects("Pod", "default", selector=selector)]


async def answering_pod(cluster: Cluster, url: str = "http://web/", source: str = "client") -> str:
    outcome = await cluster.pod(source).exec("curl", "-s", "--max-time", "60", url)
    assert outcome.exit_status == 0, outcome
    return outcome.stdout.splitlines()[0].removeprefix("Hostname: ")


async def test_a_service_answers_from_each_of_its_pods(cluster: Cluster, autojump_clock: MockClock) -> None:
    await apply(cluster, WEB)
    vip = (await cluster.get("Service", "web", "default"))["spec"]["clusterIP"]
    for url in ("http://web/", f"http://{vip}/", "http://web.default.svc.cluster.local/"):
        assert {await answering_pod(cluster, url) for _ in range(30)} == {*await pod_names(cluster)}


async def test_kubernetes_three_rules_over_every_pair(cluster: Cluster, autojump_clock: MockClock) -> None:
    """Pods reach pods, and nodes reach pods, without NAT; a pod sees the other's own address."""
    manifest = "".join(
        f"""
---
apiVersion: v1
kind: Pod
metadata: {{name: pod-{node}-{index}, labels: {{app: any}}}}
spec:
  nodeName: {node}
  containers:
  - {{name: web, image: traefik/whoami, ports: [{{containerPort: 80}}]}}
"""
        for node, index in product(NODES, (1, 2))
    )
    await apply(cluster, manifest)
    names = await pod_names(cluster, "app=any")
    addresses = {name: await cluster.pod(name).address() for name in names}
    assert len(names) == 6
    assert len({*addresses.values()}) == 6
    for source, target in permutations(names, 2):
        outcome = await cluster.pod(source).exec("curl", "-s", f"http://{addresses[target]}/")
        assert f"IP: {addresses[target]}\n" in outcome.stdout
        assert f"RemoteAddr: {addresses[source]}:" in outcome.stdout
    node_addresses = {node.name: node.address for node in (await cluster.status()).nodes}
    for node, target in product(NODES, names):
        outcome = await cluster.node(node).exec("curl", "-s", f"http://{addresses[target]}/")
        seen = outcome.stdout.partition("RemoteAddr: ")[2].partition(":")[0]
        gateway = addresses[target].rpartition(".")[0] + ".1"
        assert seen in {node_addresses[node], gateway}


async def test_streams_and_datagrams_of_a_pod(cluster: Cluster, autojump_clock: MockClock) -> None:
    await apply(cluster, WEB)
    client = cluster.pod("default/client")
    async with await client.open_tcp_stream("web", 80) as stream:
        await stream.send_all(b"GET / HTTP/1.0\r\nHost: web\r\n\r\n")
        answer = b""
        while data := await stream.receive_some():
            answer += data
    assert b"200 OK" in answer
    pod = await cluster.pod((await pod_names(cluster))[0]).address()
    with pytest.raises(ConnectionRefusedError):
        await client.open_tcp_stream(pod, 81)
    with pytest.raises(ResolveError):
        await client.open_tcp_stream("no-such-service", 80)
    with await client.udp_socket(5000) as left, await cluster.pod("client").udp_socket() as right:
        await right.send_to(b"hello", (await client.address(), 5000))
        payload, source = await left.receive()
        assert (payload, source[1]) == (b"hello", right.local_address[1])
        with pytest.raises(OSError, match="Address already in use"):
            await client.udp_socket(5000)


async def test_exec_streams_input_and_gives_the_exit_status(cluster: Cluster, autojump_clock: MockClock) -> None:
    await apply(cluster, WEB)
    unknown = await cluster.pod("client").exec("no-such-command")
    assert (unknown.exit_status, unknown.stdout) == (127, "")
    assert "executable file not found in $PATH" in unknown.stderr
    with pytest.raises(ControlError, match='"ghost" not found'):
        await cluster.pod("ghost").exec("ping", "-c", "1", "127.0.0.1")


async def test_trace_tells_the_way_there_and_back_across_nodes(cluster: Cluster, autojump_clock: MockClock) -> None:
    await apply(cluster, WEB)
    client_node = await cluster.pod("client").node_name()
    remote = next(
        pod
        for pod in await cluster.objects("Pod", "default", selector="app=web")
        if pod["spec"]["nodeName"] != client_node
    )
    traced = await cluster.trace("client", remote["status"]["podIP"], port=80)
    assert traced.result.outcome is TraceOutcome.REPLIED
    steps = [step for step in traced.steps if not step.packet.startswith("ARP")]
    assert [step.kind for step in steps].count("underlay") == 2
    assert [step.number for step in steps] == sorted({step.number for step in steps})
    assert {step.machine for step in steps} == {client_node, remote["spec"]["nodeName"]}
    through_vip = await cluster.trace("client", "web", port=80)
    rewrites = [step.detail["kind"] for step in through_vip.steps if step.kind == "nat"]
    assert rewrites[0] == "DNAT"
    assert "un-DNAT" in rewrites
    refused = await cluster.trace("client", remote["status"]["podIP"], port=81)
    assert refused.result.outcome is TraceOutcome.REFUSED
    pinged = await cluster.trace("node/node-a", remote["status"]["podIP"], protocol="icmp")
    assert pinged.result.outcome is TraceOutcome.REPLIED


async def test_scaling_moves_the_endpoints(cluster: Cluster, autojump_clock: MockClock) -> None:
    await apply(cluster, WEB)
    await cluster.scale("Deployment", "web", 1)
    with trio.fail_after(60):
        await cluster.wait_for("Pod", lambda pods: len(pods) == 1, selector="app=web")
    await cluster.wait_ready()
    await trio.sleep(1)  # of the mock clock: each node hears of the endpoints that went by itself, as in Kubernetes
    (left,) = await pod_names(cluster)
    assert {await answering_pod(cluster) for _ in range(10)} == {left}


async def test_second_program_on_one_port_fails_plainly(cluster: Cluster, autojump_clock: MockClock) -> None:
    await cluster.apply("""
apiVersion: v1
kind: Pod
metadata: {name: two}
spec:
  containers:
  - {name: one, image: nginx}
  - {name: two, image: httpd}
""")
    with trio.fail_after(60):
        (pod,) = await cluster.wait_for("Pod", lambda pods: "address already in use" in str(pods), "default")
    states = {status["name"]: status for status in pod["status"]["containerStatuses"]}
    assert [states["one"]["ready"], states["two"]["ready"]] == [True, False]
    inside = await cluster.pod("two").exec("curl", "-s", "http://localhost/")
    assert "Welcome to nginx!" in inside.stdout


async def test_killed_node_comes_back_with_its_pods(cluster: Cluster, autojump_clock: MockClock) -> None:
    await apply(cluster, WEB)
    assert cluster.simulation is not None
    before = {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in await cluster.objects("Pod", "default")}
    others = [name for name in NODES if name != await cluster.pod("client").node_name()]
    cluster.simulation.kill_node(others[0])
    await trio.sleep(0.5)
    cluster.simulation.start_node(others[0])
    await cluster.wait_ready()
    after = {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in await cluster.objects("Pod", "default")}
    assert after == before
    await trio.sleep(2)
    assert {await answering_pod(cluster) for _ in range(30)} == {*await pod_names(cluster)}


async def test_lost_node_loses_its_endpoints_within_the_lease(cluster: Cluster, autojump_clock: MockClock) -> None:
    await apply(cluster, WEB)
    assert cluster.simulation is not None
    web = await cluster.objects("Pod", "default", selector="app=web")
    client_node = await cluster.pod("client").node_name()
    lost = next(pod["spec"]["nodeName"] for pod in web if pod["spec"]["nodeName"] != client_node)
    stay = {pod["metadata"]["name"] for pod in web if pod["spec"]["nodeName"] != lost}
    cluster.simulation.kill_node(lost)
    await trio.sleep(6)
    assert {await answering_pod(cluster) for _ in range(20)} <= stay


async def test_loss_and_disorder_below_hurt_no_request(autojump_clock: MockClock) -> None:
    bad = Conditions(loss=0.1, duplication=0.05, reorder=0.1, delay=0.001, jitter=0.005)
    async with Cluster.start(CONFIG, simulate=True, conditions=bad) as cluster:
        await apply(cluster, WEB)
        vip = (await cluster.get("Service", "web", "default"))["spec"]["clusterIP"]  # two lost questions end a lookup
        for _ in range(10):
            outcome = await cluster.pod("client").exec("curl", "-s", "--max-time", "60", f"http://{vip}/")
            assert outcome.exit_status == 0, outcome


async def test_service_without_endpoints_refuses_at_once(cluster: Cluster, autojump_clock: MockClock) -> None:
    await apply(cluster, WEB)
    await cluster.scale("Deployment", "web", 0)
    with trio.fail_after(60):
        await cluster.wait_for("Pod", lambda pods: not pods, selector="app=web")
    await trio.sleep(1)
    start = trio.current_time()
    with pytest.raises(ConnectionRefusedError):
        await cluster.pod("client").open_tcp_stream("web", 80)
    assert trio.current_time() - start < 0.5


async def test_address_outside_the_cluster_is_unreachable(cluster: Cluster, autojump_clock: MockClock) -> None:
    await apply(cluster, WEB)
    with pytest.raises(OSError, match="Network is unreachable"):  # says the internet's router
        await cluster.pod("client").open_tcp_stream("192.0.2.1", 80)
    with pytest.raises(OSError, match="No route to host"):  # says the node: nobody answers its ARP
        await cluster.node("node-a").open_tcp_stream("172.18.200.1", 80)


async def test_udp_client_follows_the_endpoints(cluster: Cluster, autojump_clock: MockClock) -> None:
    """A client that keeps its port reaches the new endpoint after the old one went: its entries are cleared."""
    await cluster.apply("""
apiVersion: apps/v1
kind: Deployment
metadata: {name: echo}
spec:
  replicas: 1
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      containers:
      - name: echo
        image: registry.k8s.io/e2e-test-images/agnhost:2.53
        args: [netexec, --http-port=8080, --udp-port=8081]
---
apiVersion: v1
kind: Service
metadata: {name: echo}
spec:
  selector: {app: echo}
  ports: [{port: 81, protocol: UDP, targetPort: 8081}]
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {containers: [{name: curl, image: curlimages/curl}]}
""")
    await cluster.wait_ready()
    with await cluster.pod("client").udp_socket(4000) as client:

        async def ask() -> str:
            with trio.move_on_after(2):
                await client.send_to(b"hostname\n", ("echo", 81))
                return (await client.receive())[0].decode()
            return ""

        (before,) = await pod_names(cluster, "app=echo")
        assert await ask() == before
        await cluster.delete("Pod", before, "default", grace=0)
        with trio.fail_after(60):
            await cluster.wait_for("Pod", lambda pods: before not in str(pods) and len(pods) == 1, selector="app=echo")
        await cluster.wait_ready()
        (after,) = await pod_names(cluster, "app=echo")
        await trio.sleep(0.5)
        assert await ask() == after
