"""Pods' lives under traffic: probes decide who gets it, and a pod that is told to end has time to finish."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import trio
from trio.testing import MockClock

from emulator.api.messages import Object
from emulator.runtime.cluster.cluster import Cluster, Place
from tests.scenarios.world import CONFIG, apply, get, pod, vip

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


SICK = """
---
apiVersion: v1
kind: Pod
metadata: {name: sick, labels: {app: sick}}
spec:
  nodeName: node-a
  terminationGracePeriodSeconds: 5
  containers:
  - name: liveness
    image: registry.k8s.io/e2e-test-images/agnhost:2.53
    args: [liveness]
    livenessProbe:
      httpGet: {path: /healthz, port: 8080, httpHeaders: [{name: Custom-Header, value: Awesome}]}
      initialDelaySeconds: 3
      periodSeconds: 3
      failureThreshold: 2
"""


async def test_a_container_that_fails_its_liveness_probe_is_restarted_and_told_of(
    cluster: Cluster, autojump_clock: MockClock
) -> None:
    """The example of Kubernetes' documentation: well for ten seconds, then 500."""
    await apply(cluster, SICK)
    with trio.fail_after(40):
        await cluster.wait_for("Pod", lambda pods: pods[0]["status"]["containerStatuses"][0]["restartCount"], "default")
        events = await cluster.wait_for("Event", lambda events: len(events) >= 3, "default")
    told = {event["reason"]: event for event in events}
    assert told["Unhealthy"]["message"] == "Liveness probe failed: HTTP probe failed with statuscode: 500"
    assert told["Unhealthy"]["type"] == "Warning"
    assert told["Unhealthy"]["source"] == {"component": "kubelet", "host": "node-a"}
    assert told["Killing"]["message"] == "Container liveness failed liveness probe, will be restarted"
    last = (await cluster.get("Pod", "sick", "default"))["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (2, "Error"), "a Go program that does not handle SIGTERM"


HEALTHY = """
---
apiVersion: v1
kind: Pod
metadata: {name: NAME, labels: {app: web}}
spec:
  nodeName: NODE
  containers:
  - name: whoami
    image: traefik/whoami
    ports: [{name: http, containerPort: 80}]
    readinessProbe: {httpGet: {path: /health, port: http}, periodSeconds: 2, failureThreshold: 2}
"""
WEB = """
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
"""


async def test_readiness_alone_decides_who_gets_traffic(cluster: Cluster, autojump_clock: MockClock) -> None:
    pods = [HEALTHY.replace("NAME", f"web-{node}").replace("NODE", f"node-{node}") for node in "ab"]
    await apply(cluster, *pods, WEB, pod("client", "node-c"))
    client, address = cluster.pod("client"), await vip(cluster, "web")
    own = (await cluster.get("Pod", "web-a", "default"))["status"]["podIP"]
    assert {await whoami(client, address) for _ in range(20)} == {"web-a", "web-b"}
    assert (await client.exec("curl", "-sf", "-d", "503", f"http://{own}/health")).exit_status == 0
    await trio.sleep(6)
    assert {await whoami(client, address) for _ in range(20)} == {"web-b"}
    conditions = (await cluster.get("Pod", "web-a", "default"))["status"]["conditions"]
    ready = next(condition for condition in conditions if condition["type"] == "Ready")
    assert (ready["status"], ready["message"]) == ("False", "containers with unready status: [whoami]")
    [event] = await cluster.objects("Event", "default")
    assert event["message"] == "Readiness probe failed: HTTP probe failed with statuscode: 503"
    assert (await client.exec("curl", "-sf", "-d", "200", f"http://{own}/health")).exit_status == 0
    await trio.sleep(3)
    assert {await whoami(client, address) for _ in range(20)} == {"web-a", "web-b"}


async def whoami(place: Place, address: str) -> str:
    lines = (await get(place, f"http://{address}/")).splitlines()
    return lines[0].removeprefix("Hostname: ")


PREPARED = """
---
apiVersion: v1
kind: Pod
metadata: {name: prepared, labels: {app: prepared}}
spec:
  nodeName: node-b
  initContainers:
  - {name: wait, image: busybox, command: [sleep, "5"]}
  - {name: ask, image: busybox, command: [sh, -c, "wget -qO- http://web/"]}
  - {name: side, image: traefik/whoami, restartPolicy: Always, args: [--port=81], startupProbe: {tcpSocket: {port: 81}}}
  containers:
  - name: main
    image: curlimages/curl
    command: [sleep, infinity]
    readinessProbe: {exec: {command: [curl, -sf, "http://localhost:81/"]}}
"""


async def test_init_containers_run_in_turn_and_a_sidecar_outlives_the_main_container(
    cluster: Cluster, autojump_clock: MockClock
) -> None:
    began = trio.current_time()
    await cluster.apply(PREPARED)
    await trio.sleep(3)
    assert (await status(cluster))["initContainerStatuses"][0]["state"].keys() == {"running"}
    await trio.sleep(8)
    waiting = (await status(cluster))["initContainerStatuses"][1]
    assert waiting["state"]["waiting"]["reason"] == "CrashLoopBackOff", "there is no Service web to ask"
    await cluster.apply(HEALTHY.replace("NAME", "web-a").replace("NODE", "node-a") + WEB)
    with trio.fail_after(60):
        await cluster.wait_ready()
    assert (await status(cluster))["initContainerStatuses"][1]["state"]["terminated"]["exitCode"] == 0
    assert trio.current_time() - began > 15
    began = trio.current_time()
    await cluster.delete("Pod", "prepared", "default")
    await trio.sleep(10)
    assert await whoami(cluster.pod("prepared"), "localhost:81") == "prepared", "it ends last"
    with trio.fail_after(60):
        await cluster.wait_for("Pod", lambda pods: len(pods) == 1, "default")
    assert 29.9 < trio.current_time() - began < 35, "sleep as process 1 does not heed SIGTERM"


async def status(cluster: Cluster) -> Object:
    found: Object = (await cluster.get("Pod", "prepared", "default"))["status"]
    return found
