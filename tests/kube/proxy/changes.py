"""Changes of Services and EndpointSlices as Hypothesis draws them, for tests that a mode's partial syncs are right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from emulator.api.objects.endpointslice import EndpointSlice
from emulator.api.objects.service import Service
from emulator.api.objects.view import view
from emulator.kube.proxy.tracker import ServiceTracker

Change = Callable[[ServiceTracker], None]

NAMES = ("web", "db", "dns", "api")
NODES = ("node-a", "node-b")
MANY = 997
"""Endpoints of the Service `many` that no rule leads to: with them a cluster is about to be a large one."""


def service(name: str, spec: dict[str, Any], status: dict[str, Any] | None = None) -> Service:
    metadata = {"namespace": "ns", "name": name}
    return view({"metadata": metadata, "spec": spec, "status": status or {}}, Service)


def endpoint_slice(name: str, service_name: str, endpoints: list[dict[str, Any]]) -> EndpointSlice:
    labels = {"kubernetes.io/service-name": service_name}
    ports = [{"name": "a", "port": 8080}, {"name": "b", "port": 53, "protocol": "UDP"}]
    metadata = {"namespace": "ns", "name": name, "labels": labels}
    obj = {"metadata": metadata, "addressType": "IPv4", "ports": ports, "endpoints": endpoints}
    return view(obj, EndpointSlice)


@st.composite
def specs(draw: st.DrawFn, number: int) -> dict[str, Any]:
    kind = draw(st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer"]))
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 53, "protocol": "UDP"}]
    ports = draw(st.sampled_from([ports, ports[:1], ports[1:]]))
    if kind != "ClusterIP":
        ports = [port | {"nodePort": 30000 + number * 100 + int(port["port"])} for port in ports]
    policies = st.sampled_from(["Cluster", "Local"])
    spec = {"type": kind, "clusterIP": f"10.96.0.{number + 1}", "ports": ports}
    spec |= {"externalTrafficPolicy": draw(policies), "internalTrafficPolicy": draw(policies)}
    if draw(st.booleans()):
        spec["externalIPs"] = [f"9.9.9.{number}"]
    if draw(st.booleans()):
        spec["sessionAffinity"] = "ClientIP"
    if kind == "LoadBalancer":
        spec["loadBalancerSourceRanges"] = draw(st.sampled_from([[], ["203.0.113.0/25"], ["172.18.0.0/16"]]))
        spec["healthCheckNodePort"] = 30900 + number
    return spec


@st.composite
def service_changes(draw: st.DrawFn) -> Change:
    number = draw(st.integers(0, len(NAMES) - 1))
    if draw(st.integers(0, 4)) == 0:
        return lambda tracker: tracker.remove_service("ns", NAMES[number])
    spec = draw(specs(number))
    ingress = [{"ip": f"1.2.3.{number}"}] if draw(st.booleans()) else []
    made = service(NAMES[number], spec, {"loadBalancer": {"ingress": ingress}})
    return lambda tracker: tracker.put_service(made)


@st.composite
def slice_changes(draw: st.DrawFn) -> Change:
    owner, suffix = draw(st.sampled_from(NAMES)), draw(st.sampled_from("xy"))
    name = f"{owner}-{suffix}"
    if draw(st.integers(0, 4)) == 0:
        return lambda tracker: tracker.remove_slice("ns", name)
    hosts = draw(st.sets(st.integers(1, 12), max_size=4))
    endpoints = [
        {
            "addresses": [f"10.0.0.{host}"],
            "nodeName": draw(st.sampled_from(NODES)),
            "conditions": draw(
                st.sampled_from(
                    [
                        {},
                        {"ready": False, "serving": False},
                        {"ready": False, "serving": True, "terminating": True},
                    ]
                )
            ),
        }
        for host in sorted(hosts)
    ]
    made = endpoint_slice(name, owner, endpoints)
    return lambda tracker: tracker.put_slice(made)


def put_many(tracker: ServiceTracker) -> None:
    """Make a Service with `MANY` endpoints that are not ready."""
    tracker.put_service(service("many", {"clusterIP": "10.96.0.100", "ports": [{"name": "a", "port": 80}]}))
    waiting = {"ready": False, "serving": False}
    hosts = [f"10.{number // 250 + 1}.{number % 250}.1" for number in range(MANY)]
    endpoints = [{"addresses": [host], "conditions": waiting} for host in hosts]
    metadata = {"namespace": "ns", "name": "many-x", "labels": {"kubernetes.io/service-name": "many"}}
    obj = {"metadata": metadata, "ports": [{"name": "a", "port": 80}], "endpoints": endpoints}
    tracker.put_slice(view(obj, EndpointSlice))


ROUNDS = st.lists(st.lists(service_changes() | slice_changes(), max_size=5), max_size=8)
"""Changes between syncs."""
