"""A controller under test, in this process, with clients over memory streams."""

import logging
from contextlib import asynccontextmanager

import trio

from emulator.api import messages
from emulator.api.cluster_file import ClusterConfig, NodeConfig
from emulator.runtime.control.client import open_client
from emulator.runtime.control.memory_listener import MemoryListener
from emulator.runtime.controller.controller import run_controller

CONFIG = ClusterConfig(name="lab", nodes=(NodeConfig("node-a", "zone-1"), NodeConfig("node-b")))
LOGGER = logging.Logger("test", logging.CRITICAL)


class Lab:
    """A controller on a database, and clients of it."""

    def __init__(self, listener, nursery):
        self.listener = listener
        self.nursery = nursery

    @asynccontextmanager
    async def client(self):
        async with open_client(await self.listener.connect()) as client:
            yield client

    async def hold_node(self, name, instance="1", port=1000, *, renew=True, task_status=trio.TASK_STATUS_IGNORED):
        """Be a node's process until cancelled."""
        registration = messages.NodeRegistration(
            name=name, instance=instance, underlay_host="127.0.0.1", underlay_port=port, mac="02:00:00:00:00:01", pid=7
        )
        async with self.client() as client, client.stream(messages.REGISTER, registration) as exchange:
            task_status.started(await exchange.next_event())
            while renew:
                await client.call(messages.RENEW, messages.RenewParams(name=name, instance=instance))
                await trio.sleep(1)
            await trio.sleep_forever()


@asynccontextmanager
async def lab(path=None, config=CONFIG, **options):
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:

        def clock():
            return 1_000_000_000.0 + trio.current_time()

        async def run(task_status):
            await run_controller(
                config, [listener], path, clock=clock, logger=LOGGER, task_status=task_status, **options
            )

        await nursery.start(run)
        yield Lab(listener, nursery)
        nursery.cancel_scope.cancel()


def config_map(name="a", **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data}


def deployment(replicas=3):
    labels = {"app": "web"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "c", "image": "nginx", "ports": [{"containerPort": 80}]}]},
            },
        },
    }


SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
}


async def objects(client, kind, namespace="default"):
    return (await client.call(messages.LIST, messages.ListParams(kind=kind, namespace=namespace))).items


async def get(client, kind, name, namespace=""):
    return (await client.call(messages.GET, messages.GetParams(kind=kind, name=name, namespace=namespace))).object


async def become_ready(client, pod, address):
    """Do a kubelet's part."""
    conditions = [{"type": kind, "status": "True"} for kind in ("PodScheduled", "ContainersReady", "Ready")]
    status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": conditions}
    reference = {"name": pod["metadata"]["name"], "namespace": pod["metadata"]["namespace"]}
    params = messages.UpdateStatusParams(kind="Pod", status=status, uid=pod["metadata"]["uid"], **reference)
    await client.call(messages.UPDATE_STATUS, params)


async def ready(client, name):
    node = await get(client, "Node", name)
    return next(entry["status"] for entry in node["status"]["conditions"] if entry["type"] == "Ready")
