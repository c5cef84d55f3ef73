"""What tests of apps stand on: a simulated cluster with a directory of the user's modules."""

import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from msgspec.structs import replace

from emulator.api import messages
from emulator.api.cluster_file import ClusterConfig, NodeConfig
from emulator.api.messages import LogsParams
from emulator.runtime.cluster.cluster import Cluster

CONFIG = ClusterConfig(name="apps", nodes=(NodeConfig("node-a"), NodeConfig("node-b")))


def pod(name: str, app: str, *, node: str = "node-a", **spec: Any) -> dict[str, Any]:
    containers = [{"name": "main", "image": "example.com/mine", "ports": [{"containerPort": 8080}]}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}, "annotations": {"podwire/app": app}},
        "spec": {"nodeName": node, "containers": containers, **spec},
    }


class Apps:
    """A cluster, and the directory of its apps."""

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self.cluster = cluster
        self.directory = directory

    def write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(textwrap.dedent(text))

    async def status_when(self, name: str, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The status of a pod's only container, once it is as wanted."""

        def statuses(pods: Any) -> list[Any]:
            mine = [pod.get("status", {}) for pod in pods if pod["metadata"]["name"] == name]
            return [container for status in mine for container in status.get("containerStatuses", [])]

        with trio.fail_after(100):
            pods = await self.cluster.wait_for("Pod", lambda pods: any(map(condition, statuses(pods))))
        return statuses(pods)[0]

    async def run(self, name: str, app: str, **spec: Any) -> dict[str, Any]:
        """Run an app once; return how it ended, with its log."""
        await self.cluster.apply([pod(name, app, restartPolicy="Never", **spec)])
        status = await self.status_when(name, lambda status: status["state"].get("terminated"))
        return {**status["state"]["terminated"], "log": await self.log(name)}

    async def log(self, name: str, container: str = "") -> list[str]:
        node = await self.cluster.pod(name).node_name()
        params = LogsParams(namespace="default", pod=name, container=container)
        async with self.cluster.connect_node(node) as client, client.stream(messages.LOGS, params) as exchange:
            return [line.text async for line in exchange]

    async def log_to_its_end(self, name: str) -> list[str]:
        """Delete a pod of node-a that runs; return what its log has from then on, until it has ended."""
        lines: list[str] = []

        async def follow() -> None:
            params = LogsParams(namespace="default", pod=name, follow=True)
            async with self.cluster.connect_node("node-a") as client, client.stream(messages.LOGS, params) as exchange:
                lines.extend([line.text async for line in exchange])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(follow)
            await trio.sleep(1)
            await self.cluster.delete("Pod", name, "default")
        return lines


@pytest.fixture
async def apps(tmp_path: Path) -> AsyncIterator[Apps]:
    async with Cluster.start(replace(CONFIG, app_path=(tmp_path,)), simulate=True) as cluster:
        yield Apps(cluster, tmp_path)
