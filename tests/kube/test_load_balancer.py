"""Addresses of load balancers: assigned, asked for, clashing, released, and what others wrote left as it is."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import pytest

from emulator.api.objects.meta import Object
from emulator.kube.controllers.load_balancer import PENDING, LoadBalancerController
from emulator.kube.reconciler import Key

from .harness import Cluster, service

NETWORKS = [IPv4Network(text) for text in ("10.244.0.0/16", "10.96.0.0/16", "172.18.0.0/16")]


def cluster(pool: str = "203.0.113.0/24", seed: int = 0) -> Cluster:
    return Cluster([LoadBalancerController(IPv4Network(pool), NETWORKS)], seed)


def balancer(name: str = "web", **spec: Any) -> Object:
    return service(name, type="LoadBalancer", **spec)


def key(name: str = "web") -> Key:
    return Key("Service", "default", name)


def ingress(where: Cluster, name: str = "web") -> list[Object]:
    status = where.objects[key(name)].get("status", {})
    return list(status.get("loadBalancer", {}).get("ingress") or [])


def pending(where: Cluster, name: str = "web") -> str:
    status = where.objects[key(name)].get("status", {})
    found = [entry["message"] for entry in status.get("conditions") or () if entry["type"] == PENDING]
    return found[0] if found else ""


def test_an_address_of_the_pool_is_assigned_as_a_vip_and_kept() -> None:
    where = cluster()
    where.put(balancer())
    where.put(service("inside"))
    where.put(service("ported", type="NodePort"))
    where.settle()
    [entry] = ingress(where)
    assert entry["ipMode"] == "VIP"
    assert entry["ip"] in {str(address) for address in IPv4Network("203.0.113.0/24").hosts()}
    assert "status" not in where.objects[key("inside")]
    assert "status" not in where.objects[key("ported")]
    where.put(balancer(ports=[{"port": 81}]))
    where.settle()
    assert ingress(where) == [entry]


@pytest.mark.parametrize("seed", range(5))
def test_each_address_is_one_services_and_those_that_wait_get_what_is_given_back(seed: int) -> None:
    where = cluster("203.0.113.0/30", seed)
    for name in ("a", "b", "c"):
        where.put(balancer(name))
    where.settle()
    served = {name: ingress(where, name)[0]["ip"] for name in "abc" if ingress(where, name)}
    assert sorted(served.values()) == ["203.0.113.1", "203.0.113.2"]
    [waiting] = {"a", "b", "c"} - served.keys()
    assert pending(where, waiting) == "no address is left in 203.0.113.0/30; delete a Service first"
    gone, stays = sorted(served)
    where.delete(key(gone))
    where.settle()
    assert ingress(where, waiting)[0]["ip"] == served[gone]
    assert pending(where, waiting) == ""
    assert ingress(where, stays)[0]["ip"] == served[stays]


def test_a_type_change_releases_the_address() -> None:
    where = cluster("203.0.113.7/32")
    where.put(balancer("a"))
    where.settle()
    where.put(balancer("b"))
    where.settle()
    assert (ingress(where, "a")[0]["ip"], ingress(where, "b")) == ("203.0.113.7", [])
    where.put(service("a", type="NodePort"))
    where.settle()
    assert where.objects[key("a")]["status"] == {"loadBalancer": {}}
    assert ingress(where, "b")[0]["ip"] == "203.0.113.7"


def test_an_address_that_is_asked_for_is_given_if_it_is_nobodys() -> None:
    where = cluster()
    where.put(balancer("a", loadBalancerIP="203.0.113.9"))
    where.put(balancer("far", loadBalancerIP="192.0.2.1"))
    where.settle()
    assert ingress(where, "a") == [{"ip": "203.0.113.9", "ipMode": "VIP"}]
    assert ingress(where, "far")[0]["ip"] == "192.0.2.1"
    where.put(balancer("b", loadBalancerIP="203.0.113.9"))
    where.settle()
    assert ingress(where, "b") == []
    assert pending(where, "b") == ("spec.loadBalancerIP: 203.0.113.9 belongs to Service default/a; choose another")
    where.put(balancer("a", loadBalancerIP="203.0.113.10"))
    for request in where.requeues:  # the manager does this
        assert request.after == 0
    where.settle()
    assert ingress(where, "a")[0]["ip"] == "203.0.113.10"
    assert [request.key for request in where.requeues] == [key("b")]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("10.96.0.7", "is of the cluster's own 10.96.0.0/16"),
        ("172.18.0.2", "is of the cluster's own 172.18.0.0/16"),
        ("224.0.0.1", "is no host's"),
        ("2001:db8::1", "is no IPv4 address"),
    ],
)
def test_an_address_that_cannot_be_a_load_balancers(address: str, said: str) -> None:
    where = cluster()
    where.put(balancer(loadBalancerIP=address))
    where.settle()
    assert ingress(where) == []
    assert said in pending(where)
    where.put(balancer())
    where.settle()
    assert ingress(where)
    assert pending(where) == ""


def test_what_others_implement_or_wrote_is_left_alone() -> None:
    where = cluster()
    where.put(balancer("theirs", loadBalancerClass="example.com/lb"))
    where.put(balancer("written"))
    written = {"loadBalancer": {"ingress": [{"ip": "198.51.100.7", "ipMode": "Proxy"}]}}
    where.set_status(key("written"), written)
    where.settle()
    assert "status" not in where.objects[key("theirs")]
    assert where.objects[key("written")]["status"] == written
    named = {"loadBalancer": {"ingress": [{"hostname": "lb.example.com"}]}}
    where.set_status(key("written"), named)
    where.settle()
    assert where.objects[key("written")]["status"] == named
