"""A small cluster's objects, and questions to a name server over them, written as dig writes records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import trio

from emulator.api.objects.endpointslice import EndpointSlice
from emulator.api.objects.service import Service
from emulator.api.objects.view import view
from emulator.apps.dns.client import exchange
from emulator.apps.dns.text import data_text, record_type
from emulator.kube.addons import COREFILE
from emulator.kube.service_directory import ServiceIndex
from emulator.packet import dns
from emulator.packet.dns_record import OPT, Question, Record, type_name
from tests.apps.conftest import ADDRESSES, WALL, Lab


class Directory(ServiceIndex):
    """The index itself, which hears of objects from the test."""

    synced = True

    def __init__(self) -> None:
        super().__init__(lambda: WALL)

    async def wait_synced(self) -> None:
        await trio.lowlevel.checkpoint()


def service(name: str, namespace: str = "testns", **spec: Any) -> Service:
    return view({"metadata": {"name": name, "namespace": namespace}, "spec": spec}, Service)


def endpoints(
    service: str, *found: dict[str, Any], ports: Any = (), family: str = "IPv4", index: int = 1
) -> EndpointSlice:
    labels = {"kubernetes.io/service-name": service}
    return view(
        {
            "metadata": {"name": f"{service}-{index}", "namespace": "testns", "labels": labels},
            "addressType": family,
            "ports": list(ports),
            "endpoints": list(found),
        },
        EndpointSlice,
    )


def endpoint(address: str, **others: Any) -> dict[str, Any]:
    return {"addresses": [address], **others}


HTTP = {"name": "http", "port": 80, "protocol": "TCP"}
OTHER = {"name": "other", "port": 53, "protocol": "UDP"}
NOT_READY = {"conditions": {"ready": False}}


def directory() -> Directory:
    """The objects of CoreDNS's own tests of its kubernetes plugin, and some more."""
    made = Directory()
    for namespace in ("testns", "kube-system"):
        made.put("Namespace", {"metadata": {"name": namespace}})
    for each in (
        service("svc1", clusterIP="10.0.0.1", ports=[HTTP]),
        service("two", clusterIP="10.0.0.2", ports=[HTTP, OTHER]),
        service("svc6", clusterIP="1234:abcd::1", clusterIPs=["1234:abcd::1"], ports=[HTTP]),
        service("dual", clusterIP="10.0.0.3", clusterIPs=["10.0.0.3", "10::3"], ports=[HTTP]),
        service("hdls1", clusterIP="None", ports=[HTTP]),
        service("portless", clusterIP="None"),
        service("empty", clusterIP="None", ports=[HTTP]),
        service("external", type="ExternalName", externalName="ext.interwebs.test"),
        service("to-service", type="ExternalName", externalName="svc1.testns.svc.cluster.local"),
        service("to-nothing", type="ExternalName", externalName="nope.testns.svc.cluster.local."),
        service("to-self", type="ExternalName", externalName="to-self.testns.svc.cluster.local"),
        service("to-address", type="ExternalName", externalName="1.2.3.4"),
        service("ring-a", type="ExternalName", externalName="ring-b.testns.svc.cluster.local"),
        service("ring-b", type="ExternalName", externalName="ring-a.testns.svc.cluster.local"),
        service("kube-dns", "kube-system", clusterIP="10.96.0.10", ports=[OTHER]),
    ):
        made.put("Service", each)
    ready = [
        endpoint("172.0.0.2"),
        endpoint("172.0.0.3"),
        endpoint("172.0.0.4", hostname="dup-name"),
        endpoint("172.0.0.5", hostname="dup-name"),
        endpoint("172.0.0.6", **NOT_READY),
    ]
    for slice_ in (
        endpoints("svc1", endpoint("172.0.1.1", hostname="one"), endpoint("172.0.1.2"), ports=[HTTP]),
        endpoints("hdls1", *ready, ports=[HTTP]),
        endpoints("hdls1", endpoint("5678:abcd::1"), endpoint("5678:abcd::2"), ports=[HTTP], family="IPv6", index=2),
        endpoints("portless", endpoint("172.0.0.20")),
        endpoints("empty", endpoint("172.0.0.30", **NOT_READY), ports=[HTTP]),
    ):
        made.put("EndpointSlice", slice_)
    labels = {"kubernetes.io/service-name": "kube-dns"}
    own: dict[str, Any] = {"name": "kube-dns-1", "namespace": "kube-system", "labels": labels}
    made.put("EndpointSlice", view({"metadata": own, "endpoints": [endpoint(ADDRESSES["dns"])]}, EndpointSlice))
    return made


async def start(
    lab: Lab, corefile: str = COREFILE, *, files: Mapping[str, str] | None = None, pod: str = "dns"
) -> Directory:
    """Run CoreDNS with a Corefile."""
    made = directory()
    statuses = await lab.start(
        "coredns", pod, directory=made, files={"/etc/coredns/Corefile": corefile, **(files or {})}
    )
    assert not statuses, lab.logs[pod]
    return made


async def query(
    lab: Lab, name: str, kind: str, *, tcp: bool = False, udp_size: int = 4096, pod: str = "dns"
) -> dns.Message:
    number = record_type(kind)
    assert number is not None
    options = (Record(".", OPT, 0, b"", udp_size),) if udp_size else ()
    message = dns.Message(7, (Question(name, number),), recursion_desired=True, additionals=options)
    with trio.fail_after(30):
        return await exchange(lab.networks["client"], (ADDRESSES[pod], 53), message, tcp=tcp)


def written(record: Record) -> str:
    return f"{record.name} {record.ttl} {type_name(record.type)} {data_text(record)}"


def answers(message: dns.Message) -> list[str]:
    return sorted(written(record) for record in message.answers)


def additionals(message: dns.Message) -> list[str]:
    return sorted(written(record) for record in message.additionals if record.type != OPT)
