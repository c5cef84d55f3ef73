"""Pods' lives under traffic: probes decide who gets it, and a pod that is told to end has time to finish."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import trio
from trio.testing import MockClock

from emulator.api.messages import Object
from emulator.runtime.cluster.cluster import Cluster
from tests.scenarios.world import CONFIG, apply, pod, vip

SHOP = """
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 3
  minReadySeconds: 2
  selector: {matchLabels: {app: shop}}
  strategy: {rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      terminationGracePeriodSeconds: 20
      containers:
      - name: whoami
        image: traefik/whoami:VERSION
        ports: [{name: http, containerPort: 80}]
        readinessProbe: {httpGet: {path: /health, port: http}, periodSeconds: 1}
        LIFECYCLE
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {selector: {app: shop}, ports: [{port: 80, targetPort: http}]}
"""
ADVISED = "lifecycle: {preStop: {sleep: {seconds: 5}}}"


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with Cluster.start(CONFIG, simulate=True) as started:
        yield started


@dataclass
class Load:
    """Requests that each take a while, ten at a time, from a pod through the Service; what came of them."""

    cluster: Cluster
    address: str
    outcomes: Counter[str] = field(default_factory=Counter)

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            while True:
                nursery.start_soon(self._request)
                await trio.sleep(0.03)

    async def _request(self) -> None:
        try:
            stream = await self.cluster.pod("client").open_tcp_stream(self.address, 80)
            async with stream:
                await stream.send_all(b"GET /?wait=300ms HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
                said = b""
                while part := await stream.receive_some():
                    said += part
            self.outcomes["ok" if said.startswith(b"HTTP/1.1 200") else "cut off"] += 1
        except (OSError, trio.BrokenResourceError) as error:
            self.outcomes[str(error.__cause__ or error)] += 1


def shop(version: str, lifecycle: str) -> str:
    return SHOP.replace("VERSION", version).replace("LIFECYCLE", lifecycle)


async def update_under_load(cluster: Cluster, lifecycle: str) -> Counter[str]:
    """Roll a Deployment over while it is asked, and count what came of the requests."""
    await apply(cluster, shop("v1.10", lifecycle), pod("client", "node-c"))
    load = Load(cluster, await vip(cluster, "shop"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(load.run)
        await trio.sleep(2)
        await cluster.apply(shop("v1.11", lifecycle))
        with trio.fail_after(120):
            await cluster.wait_for("Pod", _is_rolled_over, "default")
        await trio.sleep(2)
        nursery.cancel_scope.cancel()
    assert load.outcomes["ok"] > 100
    return load.outcomes


def _is_rolled_over(pods: list[Object]) -> bool:
    images = [pod["spec"]["containers"][0]["image"] for pod in pods if pod["metadata"]["labels"]["app"] == "shop"]
    return len(images) == 3 and all(image.endswith("v1.11") for image in images)


async def test_no_request_fails_in_a_rolling_update_as_advised(cluster: Cluster, autojump_clock: MockClock) -> None:
    outcomes = await update_under_load(cluster, ADVISED)
    assert set(outcomes) == {"ok"}, outcomes


async def test_requests_fail_in_a_rolling_update_without_a_pause_before_the_end(
    cluster: Cluster, autojump_clock: MockClock
) -> None:
    outcomes = await update_under_load(cluster, "")
    assert sum(outcomes.values()) - outcomes["ok"] >= 3, outcomes
