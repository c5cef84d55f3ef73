"""How long a cluster takes until it is ready, until a pod has an answer through a VIP, and until nothing is left."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Mapping

from msgspec import Struct

from emulator.runtime.bench.cluster import (
    BenchCluster,
    BenchError,
    bench_cluster,
    cluster_file,
    compile_ahead,
    node_names,
    processor_seconds,
)
from emulator.runtime.bench.memory import ProcessMemory, read_memory
from emulator.runtime.bench.spread import Spread

VIP = "10.96.80.80"

_LAST_MOMENT = 2.0  # seconds that a process has to end after `emulator stop` has

MANIFEST = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, labels: {{app: web}}}}
spec:
  replicas: 3
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers:
        - name: whoami
          image: traefik/whoami:v1.11
          ports: [{{name: http, containerPort: 80}}]
          readinessProbe: {{httpGet: {{path: /health, port: http}}, periodSeconds: 5}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec:
  clusterIP: {VIP}
  selector: {{app: web}}
  ports: [{{name: http, port: 80, targetPort: http}}]
---
apiVersion: v1
kind: Pod
metadata: {{name: client}}
spec:
  containers: [{{name: curl, image: "curlimages/curl:8.16.0", command: [sleep, infinity]}}]
"""
"""The objects of configs/web.yaml, with a VIP that is known before."""


class StartReport(Struct, frozen=True, kw_only=True):
    """Seconds from the start of the process `emulator start --detach`, and the memory once all is ready and asked.

    `ready`: it has returned; `answered`: `emulator exec client -- curl` on the Service's VIP has printed an answer as
    well; `processor`: processor time that the cluster's processes have used by then; `stopped`: seconds from
    `emulator stop` until all processes have ended; `left` names what has not. `load` is the machine's load average
    before: the times of a busy machine say little. `processes` are of the last run, as are `node_pss` and
    `node_private` (mebibytes of each node), which are None where the system does not tell.
    """

    nodes: int
    runs: int
    load: float
    ready: Spread
    answered: Spread
    processor: Spread
    stopped: Spread
    processes: tuple[ProcessMemory, ...]
    node_pss: Spread | None
    node_private: Spread | None
    left: tuple[str, ...]


class _Run(Struct, frozen=True, kw_only=True):
    """One start and one end."""

    ready: float
    answered: float
    processor: float
    stopped: float
    memory: tuple[ProcessMemory, ...]
    left: tuple[str, ...]


def measure_start(nodes: int, runs: int, say: Callable[[str], None]) -> StartReport:
    """Start and stop a cluster `runs` times; `say` hears how it goes. Raises BenchError."""
    load = os.getloadavg()[0]
    compile_ahead()
    done: list[_Run] = []
    for number in range(1, runs + 1):
        say(f"{nodes} nodes, run {number} of {runs} …")
        with bench_cluster(cluster_file(nodes), MANIFEST) as cluster:
            done.append(_run(cluster))
        say(f"  ready {done[-1].ready:.2f} s, answered {done[-1].answered:.2f} s, stopped {done[-1].stopped:.2f} s")
    memory = done[-1].memory
    of_nodes = [each for each in memory if each.name in set(node_names(nodes))]
    return StartReport(
        nodes=nodes,
        runs=runs,
        load=load,
        ready=Spread.of(run.ready for run in done),
        answered=Spread.of(run.answered for run in done),
        processor=Spread.of(run.processor for run in done),
        stopped=Spread.of(run.stopped for run in done),
        processes=memory,
        node_pss=Spread.of(each.pss for each in of_nodes) if of_nodes else None,
        node_private=Spread.of(each.private for each in of_nodes) if of_nodes else None,
        left=tuple(sorted({line for run in done for line in run.left})),
    )


def _run(cluster: BenchCluster) -> _Run:
    began = time.monotonic()
    cluster.start()
    ready = time.monotonic() - began
    answer = cluster.run("exec", "client", "--", "curl", "-s", f"http://{VIP}/")
    answered = time.monotonic() - began
    if "Hostname: web-" not in answer:
        raise BenchError(f"curl got another answer than the Service's: {answer[:200]!r}")
    processes = cluster.processes()
    used = sum(processor_seconds(pid) for pid in processes.values())
    memory = [read_memory(name, pid) for name, pid in processes.items()]
    stopped, left = _stop(cluster, processes)
    return _Run(
        ready=ready,
        answered=answered,
        processor=used,
        stopped=stopped,
        memory=tuple(each for each in memory if each is not None),
        left=left,
    )


def _stop(cluster: BenchCluster, processes: Mapping[str, int]) -> tuple[float, tuple[str, ...]]:
    """Stop it; return the seconds until all of its processes have ended, and what is left."""
    ends = {name: os.pidfd_open(pid) for name, pid in processes.items()}
    try:
        began = time.monotonic()
        cluster.stop()
        deadline = time.monotonic() + _LAST_MOMENT
        left = [f"process {name}" for name, end in ends.items() if not _has_ended(end, deadline)]
        stopped = time.monotonic() - began
    finally:
        for end in ends.values():
            os.close(end)
    if cluster.state_directory.exists():
        left.append(str(cluster.state_directory))
    return stopped, tuple(left)


def _has_ended(process: int, deadline: float) -> bool:
    """Wait until a process has ended, at most until the deadline."""
    ready, _, _ = select.select([process], [], [], max(0.0, deadline - time.monotonic()))
    return bool(ready)
