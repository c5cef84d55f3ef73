"""What the scenarios share: three nodes, pods of known names, addresses and places, and questions to ask them."""

import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

import trio

from emulator.api.cluster_file import ClusterConfig, NodeConfig
from emulator.api.messages import Object
from emulator.runtime.cluster.cluster import Cluster, Place
from emulator.runtime.cluster.remote_sockets import RemoteUdp

NODES = ("node-a", "node-b", "node-c")
CONFIG = ClusterConfig(name="scenario", nodes=tuple(NodeConfig(name, f"zone-{name[-1]}") for name in NODES), seed=3)
HTTP, UDP = 8080, 8081
"""The ports of `agnhost netexec`."""


def pod(name: str, node: str, app: str = "") -> str:
    """A pod of `agnhost netexec` on a node."""
    return f"""
---
apiVersion: v1
kind: Pod
metadata:
  name: {name}
  labels: {{app: {app or name}}}
spec:
  nodeName: {node}
  containers:
  - name: netexec
    image: registry.k8s.io/e2e-test-images/agnhost:2.53
    args: [netexec, --http-port={HTTP}, --udp-port={UDP}]
    ports:
    - {{name: http, containerPort: {HTTP}}}
    - {{name: ask, containerPort: {UDP}, protocol: UDP}}
"""


def service(name: str, app: str, *, address: str = "", spec: str = "") -> str:
    """A Service of such pods: TCP port 80 and UDP port 81, both to ports that the pods name."""
    cluster_ip = f"\n  clusterIP: {address}" if address else ""
    return f"""
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  selector: {{app: {app}}}{cluster_ip}
  {spec}
  ports:
  - {{name: http, port: 80, targetPort: http}}
  - {{name: ask, port: 81, targetPort: ask, protocol: UDP}}
"""


async def apply(cluster: Cluster, *manifests: str) -> None:
    """Apply and wait until everything is ready, and known to every kube-proxy."""
    await cluster.apply("".join(manifests))
    await cluster.wait_ready()
    await settle()


async def settle() -> None:
    """Let what is on its way between controller and nodes arrive; the mock clock makes nothing of it."""
    await trio.sleep(1)


async def get(place: Place, url: str, *options: str) -> str:
    """The body that curl gets."""
    outcome = await place.exec("curl", "-sS", "--max-time", "30", *options, url)
    assert outcome.exit_status == 0, (url, outcome)
    return outcome.stdout


async def host_of(place: Place, address: str, port: int = 80) -> str:
    """Which pod answers."""
    return await get(place, f"http://{address}:{port}/hostname")


async def client_address(place: Place, address: str, port: int = 80) -> str:
    """The address that the server sees."""
    return (await get(place, f"http://{address}:{port}/clientip")).rpartition(":")[0]


async def ask(socket: RemoteUdp, question: str, address: str, port: int) -> str:
    """One datagram and its answer. trio.TooSlowError without one."""
    with trio.fail_after(30):
        await socket.send_to(question.encode(), (address, port))
        return (await socket.receive())[0].decode()


async def addresses(cluster: Cluster, selector: str = "") -> dict[str, str]:
    """Each pod's address, in namespace default."""
    pods = await cluster.objects("Pod", "default", selector=selector)
    return {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in pods}


async def node_addresses(cluster: Cluster) -> dict[str, str]:
    return {node.name: node.address for node in (await cluster.status()).nodes}


async def vip(cluster: Cluster, name: str, namespace: str = "default") -> str:
    address: str = (await cluster.get("Service", name, namespace))["spec"]["clusterIP"]
    return address


async def output(place: Place, *command: str) -> str:
    """What a command that succeeds prints."""
    outcome = await place.exec(*command)
    assert outcome.exit_status == 0, (command, outcome)
    return outcome.stdout


Tuple = Mapping[str, str]


async def connections(cluster: Cluster, node: str, protocol: str = "") -> list[tuple[Tuple, Tuple]]:
    """Original and reply direction of what a node's conntrack holds."""
    command = ["conntrack", "-L"] + (["-p", protocol] if protocol else [])
    found = []
    for line in (await output(cluster.node(node), *command)).splitlines():
        fields = re.findall(r"(src|dst|sport|dport|type|code|id)=(\S+)", line)
        half = len(fields) // 2
        found.append((dict(fields[:half]), dict(fields[half:])))
    return found


def is_translated(original: Tuple, reply: Tuple) -> bool:
    """Whether the connection has NAT: its replies do not come as the original turned round."""
    pairs = [("src", "dst"), ("dst", "src")]
    if "sport" in original:
        pairs += [("sport", "dport"), ("dport", "sport")]
    return any(original[one] != reply[other] for one, other in pairs)


def named(objects: Iterable[Object]) -> set[str]:
    return {obj["metadata"]["name"] for obj in objects}


@asynccontextmanager
async def socket_of(cluster: Cluster, name: str, port: int = 0) -> AsyncIterator[RemoteUdp]:
    with await cluster.pod(name).udp_socket(port) as socket:
        yield socket
