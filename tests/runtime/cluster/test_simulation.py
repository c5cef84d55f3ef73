"""A simulated cluster follows from its seed: in another process, with other hashes, everything happens again."""

import os
import subprocess
import sys

SCENARIO = """
import sys, trio
from trio.testing import MockClock
from emulator.api.cluster_file import ClusterConfig, NodeConfig
from emulator.runtime.cluster.cluster import Cluster
from emulator.runtime.underlay.memory import Conditions

WEB = '''
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: traefik/whoami, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {containers: [{name: curl, image: curlimages/curl}]}
'''

async def main(seed):
    config = ClusterConfig(nodes=tuple(NodeConfig(name) for name in "abc"), seed=seed)
    bad = Conditions(loss=0.02, duplication=0.02, reorder=0.05, delay=0.001, jitter=0.002)
    async with Cluster.start(config, simulate=True, conditions=bad) as cluster:
        await cluster.apply(WEB)
        await cluster.wait_ready()
        for _ in range(10):
            outcome = await cluster.pod("client").exec("curl", "-s", "--max-time", "60", "http://web/")
            print(trio.current_time(), outcome.exit_status, outcome.stdout)
        traced = await cluster.trace("client", "web", port=80)
        for step in traced.steps:
            print(step.number, step.time, step.machine, step.netns, step.kind, step.packet, step.detail)

trio.run(main, int(sys.argv[1]), clock=MockClock(autojump_threshold=0))
"""


def run(seed: int, hash_seed: int) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
    command = [sys.executable, "-c", SCENARIO, str(seed)]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60).stdout


def test_a_seed_replays_exactly() -> None:
    first = run(11, 1)
    assert "Hostname: web-" in first
    assert "un-DNAT" in first
    assert run(11, 2) == first
    assert run(12, 1) != first
