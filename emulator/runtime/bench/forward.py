"""Real processes: what a pod on one node gets through a VIP to a pod on another, as packets, bytes and requests."""

from __future__ import annotations

import os
from collections.abc import Callable

import msgspec
from msgspec import Struct

from emulator.runtime.bench.cluster import BenchCluster, BenchError, bench_cluster, cluster_file
from emulator.runtime.bench.kernel_path import measure_kernel
from emulator.runtime.bench.node_cost import NodeCost, measure_node_cost
from emulator.runtime.bench.traffic import Transfer

VIP = "10.96.80.81"
SERVICES = (10, 1_000)
"""With the rules of how many Services a packet's cost is measured."""

_AT_ONCE = 8
_POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{bench: {name}}}}}
spec: {{nodeName: {node}, containers: [{{name: bench, image: podwire/bench}}]}}
---
"""
MANIFEST = (
    _POD.format(name="sender", node="node-1")
    + _POD.format(name="receiver", node="node-2")
    + f"""
apiVersion: v1
kind: Service
metadata: {{name: receiver}}
spec:
  clusterIP: {VIP}
  selector: {{bench: receiver}}
  ports:
    - {{name: http, port: 80}}
    - {{name: udp, port: 7000, protocol: UDP}}
    - {{name: tcp, port: 7001}}
"""
)


class ForwardPlan(Struct, frozen=True, kw_only=True):
    """How much is sent: UDP packets of `size` bytes of payload, bytes over TCP, HTTP requests; 0 leaves one out.

    `cost_packets` are those of each measurement inside one process; `kernel` measures this machine's kernel as well.
    """

    packets: int
    size: int
    bytes: int
    requests: int
    cost_packets: int
    kernel: bool


class ForwardReport(Struct, frozen=True, kw_only=True):
    """What was measured, and the machine's load average before; None for what was left out."""

    size: int
    load: float
    udp: Transfer | None
    tcp: Transfer | None
    http: Transfer | None
    kernel: Transfer | None
    costs: tuple[NodeCost, ...]


def measure_forward(plan: ForwardPlan, say: Callable[[str], None]) -> ForwardReport:
    """Run all of it, one after the other; `say` hears how it goes. Raises BenchError."""
    load = os.getloadavg()[0]
    udp, tcp, http = _through_processes(plan, say)
    kernel = None
    if plan.kernel and plan.packets:
        say("this machine's kernel …")
        kernel = measure_kernel(plan.packets, plan.size)
    costs = []
    for services in SERVICES if plan.cost_packets else ():
        say(f"a packet's cost with the rules of {services} Services …")
        costs.append(measure_node_cost(services, plan.cost_packets))
    return ForwardReport(size=plan.size, load=load, udp=udp, tcp=tcp, http=http, kernel=kernel, costs=tuple(costs))


def _through_processes(
    plan: ForwardPlan, say: Callable[[str], None]
) -> tuple[Transfer | None, Transfer | None, Transfer | None]:
    if not (plan.packets or plan.bytes or plan.requests):
        return None, None, None
    say("starting two nodes …")
    with bench_cluster(cluster_file(2), MANIFEST) as cluster:
        cluster.start()
        say("UDP through a VIP …")
        udp = _load(cluster, f"udp?to={VIP}:7000&count={plan.packets}&size={plan.size}") if plan.packets else None
        say("TCP through a VIP …")
        tcp = _load(cluster, f"tcp?to={VIP}:7001&count={plan.bytes}") if plan.bytes else None
        say("HTTP requests through a VIP …")
        path = f"http?to={VIP}:80&count={plan.requests}&at_once={_AT_ONCE}"
        http = _load(cluster, path) if plan.requests else None
        cluster.stop()
    return udp, tcp, http


def _load(cluster: BenchCluster, path: str) -> Transfer:
    """Have the sender's pod make a load, asked for as a user would."""
    answer = cluster.run("exec", "sender", "--", "curl", "-s", f"http://127.0.0.1/{path}")
    try:
        return msgspec.json.decode(answer, type=Transfer)
    except msgspec.DecodeError:
        raise BenchError(f"the sender could not make its load: {answer.strip()}") from None
