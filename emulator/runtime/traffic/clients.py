"""Which pods and nodes the words for clients mean, and which part of a load each of them has."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from emulator.api.kinds import find_kind
from emulator.api.messages import ControlError, LoadClient, Object
from emulator.api.traffic.traffic import LoadSpec
from emulator.errors import PodwireError
from emulator.runtime.cluster.cluster import Cluster


class ClientPlace(Struct, frozen=True):
    """A pod on its node, or a node itself where `pod` is empty."""

    node: str
    namespace: str
    pod: str

    @property
    def label(self) -> str:
        """What reports call it."""
        return self.pod or f"node/{self.node}"


async def find_clients(cluster: Cluster, words: Sequence[str], namespace: str) -> list[ClientPlace]:
    """Return the clients in the order of the words, each once. PodwireError, ControlError for what there is not."""
    found: dict[ClientPlace, None] = {}
    for word in words:
        found |= dict.fromkeys(await _find(cluster, word, namespace))
    return [*found]


async def _find(cluster: Cluster, word: str, namespace: str) -> list[ClientPlace]:
    kind_word, slash, name = word.rpartition("/")
    if "=" in word:
        return _places(word, await cluster.objects("Pod", namespace, selector=word))
    kind = find_kind(kind_word if slash else "pod")
    if kind is None or not name:
        raise PodwireError(f"{word}: no client; write pod/NAME, KIND/NAME, node/NAME, or labels such as app=web")
    obj = await cluster.get(kind.kind, name, namespace if kind.namespaced else "")
    if kind.kind == "Node":
        return [ClientPlace(name, "", "")]
    if kind.kind == "Pod":
        return _places(word, [obj])
    selector = obj.get("spec", {}).get("selector") or {}
    labels = selector if kind.kind == "Service" else selector.get("matchLabels") or {}
    if not labels:
        raise PodwireError(f"{word}: selects no pods; name pods instead")
    text = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    return _places(word, await cluster.objects("Pod", namespace, selector=text))


def _places(word: str, pods: Sequence[Object]) -> list[ClientPlace]:
    """Return the pods that are on a node and do not go away, in order of their names."""
    running = [
        ClientPlace(pod["spec"]["nodeName"], pod["metadata"]["namespace"], pod["metadata"]["name"])
        for pod in pods
        if pod.get("spec", {}).get("nodeName") and "deletionTimestamp" not in pod["metadata"]
    ]
    if not running:
        raise PodwireError(f"{word}: no pod that runs; see: emulator get pods -A")
    return sorted(running, key=lambda place: place.pod)


def shares(spec: LoadSpec, places: Sequence[ClientPlace], seed: int) -> list[tuple[ClientPlace, LoadClient]]:
    """Divide a load among its clients; those for which no request is left take no part."""
    count = len(places)
    parts = []
    for number, place in enumerate(places):
        requests = _part(spec.requests, count, number)
        if spec.requests and not requests:
            continue
        client = LoadClient(
            pod=place.pod,
            namespace=place.namespace,
            rate=spec.rate / count,
            concurrency=max(1, _part(spec.concurrency, count, number)),
            requests=requests,
            seed=f"{seed}/{spec.name}/{place.label}",
        )
        parts.append((place, client))
    return parts


def _part(whole: int, count: int, number: int) -> int:
    return whole // count + (number < whole % count)


async def wanted(cluster: Cluster, spec: LoadSpec, namespace: str) -> list[ClientPlace]:
    """Return the clients of a load. PodwireError that names the load."""
    try:
        return await find_clients(cluster, spec.clients, namespace)
    except (PodwireError, ControlError) as error:
        raise PodwireError(f"load {spec.name}: {error}") from None
