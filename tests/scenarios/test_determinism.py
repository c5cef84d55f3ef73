"""A simulated cluster follows from its seed: the same names, addresses, MACs and packets, faults included."""

import trio
from trio.testing import MockClock

from emulator.api.messages import TraceStep
from emulator.runtime.cluster.cluster import Cluster
from emulator.runtime.underlay.memory import Conditions
from tests.scenarios.world import CONFIG, NODES, apply, host_of, output, pod, service, settle, socket_of, vip

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: netexec, image: registry.k8s.io/e2e-test-images/agnhost, args: [netexec],
         ports: [{name: http, containerPort: 8080}, {name: ask, containerPort: 8081, protocol: UDP}]}
"""


async def story(seed: int) -> list[object]:
    """All that a user could see of a cluster whose wires are bad and one of whose nodes dies."""
    bad = Conditions(loss=0.02, duplication=0.02, reorder=0.02, delay=0.001, jitter=0.001)
    told: list[object] = []
    async with Cluster.start(CONFIG, simulate=True, seed=seed, conditions=bad) as cluster:
        await apply(cluster, WEB, service("web", "web"), pod("client", "node-a"))
        for kind in ("Pod", "Service", "EndpointSlice", "Node"):
            told += await cluster.objects(kind)
        told += [await host_of(cluster.pod("client"), "web") for _ in range(5)]
        assert cluster.simulation is not None
        cluster.simulation.kill_node("node-b")
        await trio.sleep(1)
        cluster.simulation.start_node("node-b")
        await cluster.wait_ready()
        await settle()
        address = await vip(cluster, "web")
        for source in ("client", *(f"node/{node}" for node in NODES)):
            told += [_without_identity(step) for step in (await cluster.trace(source, address, port=80)).steps]
        async with socket_of(cluster, "client") as socket:
            told.append(socket.local_address)
        for node in NODES:
            commands = (
                ("ip", "addr"),
                ("ip", "neigh"),
                ("bridge", "fdb"),
                ("conntrack", "-L"),
                ("iptables-save", "-c"),
            )
            told += [await output(cluster.node(node), *command) for command in commands]
        told.append(trio.current_time())
    return told


def _without_identity(step: TraceStep) -> tuple[object, ...]:
    """The number that tells traces apart is drawn by whoever asks, not by the cluster."""
    return step.number, step.time, step.machine, step.netns, step.kind, step.packet, sorted(step.detail.items())


def tell(seed: int) -> list[object]:
    """Run a story from the beginning of time: sequence numbers and timestamps follow the clock."""
    return trio.run(story, seed, clock=MockClock(autojump_threshold=0))


def test_a_seed_tells_one_story() -> None:
    first, second = tell(1), tell(1)
    assert len(first) == len(second) > 100
    for one, two in zip(first, second, strict=True):
        assert one == two


def test_another_seed_tells_another() -> None:
    assert (tell(1) == tell(2)) is False
