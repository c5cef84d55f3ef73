"""Endpoints that users write come to kube-proxy as EndpointSlices."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.api.objects.endpointslice import EndpointSlice
from emulator.api.objects.meta import Object
from emulator.api.objects.view import view
from emulator.kube.controllers.endpoints_mirror import MANAGER, EndpointsMirror
from emulator.kube.controllers.endpointslice import EndpointSliceController
from emulator.kube.proxy.service_port import endpoints_by_port
from emulator.kube.reconciler import Key

from .harness import Cluster, service

SUBSETS = [
    {
        "addresses": [{"ip": "192.0.2.1"}, {"ip": "192.0.2.2", "nodeName": "node-a", "hostname": "two"}],
        "notReadyAddresses": [{"ip": "192.0.2.3"}],
        "ports": [{"name": "http", "port": 8080}, {"name": "ask", "port": 8081, "protocol": "UDP"}],
    },
    {"addresses": [{"ip": "192.0.2.4"}, {"ip": "2001:db8::1"}], "ports": [{"name": "http", "port": 9090}]},
]


def cluster() -> Cluster:
    return Cluster([EndpointsMirror(), EndpointSliceController()])


def without_selector(name: str = "db") -> Object:
    made = service(name)
    del made["spec"]["selector"]
    return made


def endpoints(name: str = "db", subsets: Any = SUBSETS, **metadata: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": name, "namespace": "default", **metadata},
        "subsets": subsets,
    }


def slices(where: Cluster) -> list[Object]:
    return [*where.list("EndpointSlice")]


def served(where: Cluster) -> dict[str, list[str]]:
    found = endpoints_by_port(view(slice_, EndpointSlice) for slice_ in slices(where))
    return {name.port: [str(endpoint) for endpoint in ready if endpoint.ready] for name, ready in found.items()}


def test_each_subset_is_a_slice_that_kube_proxy_reads() -> None:
    where = cluster()
    where.put(endpoints())
    where.settle()
    assert slices(where) == [], "there is no Service yet"
    where.put(without_selector())
    where.settle()
    assert served(where) == {
        "http": ["192.0.2.1:8080", "192.0.2.2:8080", "192.0.2.4:9090"],
        "ask": ["192.0.2.1:8081", "192.0.2.2:8081"],
    }
    for slice_ in slices(where):
        labels = slice_["metadata"]["labels"]
        assert labels["endpointslice.kubernetes.io/managed-by"] == MANAGER
        assert labels["kubernetes.io/service-name"] == "db"
        assert slice_["metadata"]["ownerReferences"][0]["kind"] == "Endpoints"
    second = next(e for s in slices(where) for e in s["endpoints"] if e["addresses"] == ["192.0.2.2"])
    assert second == {
        "addresses": ["192.0.2.2"],
        "conditions": {"ready": True},
        "hostname": "two",
        "nodeName": "node-a",
    }


def test_the_slices_follow_their_endpoints() -> None:
    where = cluster()
    where.put(without_selector())
    where.put(endpoints())
    where.settle()
    where.put(endpoints(subsets=SUBSETS[1:]))
    where.settle()
    assert served(where) == {"http": ["192.0.2.4:9090"]}
    where.delete(Key("EndpointSlice", "default", slices(where)[0]["metadata"]["name"]))
    where.settle()
    assert served(where) == {"http": ["192.0.2.4:9090"]}, "made anew"
    where.delete(Key("Endpoints", "default", "db"))
    where.settle()
    assert slices(where) == []


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        {"annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}},
    ],
)
def test_what_asks_not_to_be_mirrored_is_not(metadata: Any) -> None:
    where = cluster()
    where.put(without_selector())
    where.put(endpoints(**metadata))
    where.settle()
    assert slices(where) == []


def test_a_selector_takes_over_from_what_was_written() -> None:
    where = cluster()
    where.put(without_selector())
    where.put(endpoints())
    where.settle()
    where.put(service("db"))
    where.settle()
    assert all(
        slice_["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] != MANAGER for slice_ in slices(where)
    )
