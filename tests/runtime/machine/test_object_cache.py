import trio

from emulator.api.objects import Node
from emulator.api.objects.meta import Object
from emulator.api.objects.service import Service
from emulator.runtime.machine.object_cache import ObjectCache


def node(name: str, cidr: str = "") -> Object:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {"podCIDR": cidr}}


async def test_list_then_changes() -> None:
    cache = ObjectCache()
    seen: list[int] = []
    cache.subscribe(("Node",), lambda: seen.append(len(cache.objects("Node"))))
    with trio.move_on_after(0) as scope:
        await cache.wait_synced(("Node",))
    assert scope.cancelled_caught
    cache.replace("Node", [node("a"), node("b")])
    await cache.wait_synced(("Node",))
    cache.put("Node", node("c"))
    cache.remove("Node", node("a"))
    cache.remove("Node", node("never-there"))
    cache.replace("Node", [node("d")])
    assert seen == [2, 3, 2, 2, 1]
    assert [obj["metadata"]["name"] for obj in cache.objects("Node")] == ["d"]


async def test_views_are_made_once_for_each_object_and_follow_changes() -> None:
    cache = ObjectCache()
    cache.replace("Node", [node("a", "10.0.0.0/24"), node("b")])
    first = cache.views("Node", Node)
    cache.put("Node", node("b", "10.0.1.0/24"))
    second = cache.views("Node", Node)
    assert second[0] is first[0]
    assert [view.spec.pod_cidr for view in second] == ["10.0.0.0/24", "10.0.1.0/24"]
    await trio.lowlevel.checkpoint()


class Heard:
    def __init__(self) -> None:
        self.events: list[str] = []

    def put(self, kind: str, obj: Service) -> None:
        self.events.append(f"{kind} {obj.metadata.name} {obj.spec.cluster_ip}")

    def remove(self, kind: str, namespace: str, name: str) -> None:
        self.events.append(f"no {kind} {namespace}/{name}")


def service(name: str, address: str) -> Object:
    return {"kind": "Service", "metadata": {"name": name, "namespace": "ns"}, "spec": {"clusterIP": address}}


async def test_followers_hear_of_each_object_that_is_another_than_before() -> None:
    cache = ObjectCache()
    cache.put("Service", service("a", "10.0.0.1"))
    heard = Heard()
    cache.follow(("Service",), heard)
    cache.put("Service", service("b", "10.0.0.2"))
    cache.replace("Service", [service("b", "10.0.0.2"), service("c", "10.0.0.3")])
    cache.put("Service", service("c", "10.0.0.4"))
    cache.remove("Service", service("b", ""))
    cache.remove("Service", service("never-there", ""))
    assert heard.events == [
        "Service a 10.0.0.1",
        "Service b 10.0.0.2",
        "no Service ns/a",
        "Service c 10.0.0.3",
        "Service c 10.0.0.4",
        "no Service ns/b",
    ]
    assert [view.spec.cluster_ip for view in cache.views("Service", Service)] == ["10.0.0.4"]
    await trio.lowlevel.checkpoint()
