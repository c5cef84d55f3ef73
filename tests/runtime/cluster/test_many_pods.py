"""150 pods at once, on a clock that also runs while the cluster computes: nobody is given up for being busy."""

import logging

import trio
from trio.testing import MockClock

from emulator.api.cluster_file import ClusterConfig, NodeConfig
from emulator.runtime.cluster.cluster import Cluster

RATE = 1.0
"""Simulated seconds a real one: computing takes its time, only idle time is skipped. One process is all machines."""

NODES = ("node-a", "node-b", "node-c")
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 150
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: traefik/whoami, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""
GIVEN_UP = ("gave no sign of life", "the controller is away")


def test_no_lease_is_lost_when_150_pods_come_at_once(caplog):
    config = ClusterConfig(name="many", nodes=tuple(NodeConfig(name) for name in NODES), seed=7)

    async def main():
        async with Cluster.start(config, simulate=True) as cluster:
            await cluster.apply(WEB)
            await cluster.wait_ready(within=600)
            await trio.sleep(20)

    with caplog.at_level(logging.WARNING):
        trio.run(main, clock=MockClock(rate=RATE, autojump_threshold=0))
    assert not [record.message for record in caplog.records if any(text in record.getMessage() for text in GIVEN_UP)]
