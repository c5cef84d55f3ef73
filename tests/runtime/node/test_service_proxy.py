"""kube-proxy's loads: a storm of changes is not one load each."""

from __future__ import annotations

import io
import random
import time

import trio

from emulator.api.objects.meta import Object
from emulator.kernel.kernel import Kernel
from emulator.kernel.netns import Netns
from emulator.kube.proxy.iptables import IptablesProxy
from emulator.kube.proxy.settings import ProxyNode, ProxySettings
from emulator.runtime.logging import open_log
from emulator.runtime.machine import Machine
from emulator.runtime.node.object_cache import ObjectCache
from emulator.runtime.node.service_proxy import WATCHED, ServiceProxy
from emulator.runtime.underlay.memory import MemoryNetwork


class SlowProxy(IptablesProxy):
    """Rules that take 20 ms to make, as those of thousands of Services do."""

    loads = 0

    def sync(self, services, now):
        self.loads += 1
        time.sleep(0.02)
        if len(services.ports) == 100:
            self.complete.set()
        return super().sync(services, now)


def service(number: int) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"s{number}", "namespace": "default"},
        "spec": {"clusterIP": f"10.96.0.{number}", "ports": [{"port": 80}]},
    }


async def test_changes_gather_while_a_load_is_paid_for(nursery):
    kernel = Kernel("node-a", random.Random(1), 0.0)
    root = Netns(kernel, "root")
    cache = ObjectCache()
    for kind in WATCHED:
        cache.replace(kind, [])
    underlay = MemoryNetwork(random.Random(1)).attach("node-a", 1, ("127.0.0.1", 1))
    machine = Machine(kernel, underlay, open_log("node-a", io.StringIO()), 0.0)
    rules = SlowProxy(ProxyNode("node-a"), ProxySettings())
    rules.complete = trio.Event()
    proxy = ServiceProxy(machine, root, rules, cache)
    nursery.start_soon(proxy.run)
    await proxy.synced.wait()
    for number in range(1, 101):
        cache.put("Service", service(number))
        await trio.lowlevel.checkpoint()
    with trio.fail_after(5):
        await rules.complete.wait()
    assert rules.loads <= 5
    assert root.netfilter.save("filter").count("has no endpoints") == 100
