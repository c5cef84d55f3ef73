"""A node for IPVS mode: a namespace of ours, and beside it a strict model of what `ipvsadm` lines do.

The model says how many connections real servers have, and is held against the namespace after each sync.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from emulator.api.objects.endpointslice import EndpointSlice
from emulator.api.objects.service import Service
from emulator.api.objects.view import view
from emulator.kernel.kernel import Kernel
from emulator.kernel.link.veth import pair
from emulator.kernel.netns import Netns
from emulator.kube.proxy.apply import apply_writes
from emulator.kube.proxy.ipvs.ipvs import IpvsProxy
from emulator.kube.proxy.ipvs.netns import NetnsNode
from emulator.kube.proxy.ipvs.node import DUMMY
from emulator.kube.proxy.ipvs.servers import ServerState
from emulator.kube.proxy.ipvs.service import Frontend, Scheduling
from emulator.kube.proxy.ipvs.sets import SETS
from emulator.kube.proxy.proxier import Writes
from emulator.kube.proxy.settings import ProxyNode, ProxySettings
from emulator.kube.proxy.tracker import ServiceTracker
from emulator.packet.address import ipv4_to_int

NODE = ProxyNode(name="node-a", addresses=("172.18.0.2",), pod_cidr="10.244.0.0/24")
BRIDGE_ADDRESS = "10.244.0.1"
_PROTOCOLS = {"-t": "tcp", "-u": "udp", "--sctp-service": "sctp"}


def service(spec: dict[str, Any], *ingress: str, name: str = "svc1") -> Service:
    status = {"loadBalancer": {"ingress": [{"ip": ip} for ip in ingress]}}
    metadata = {"namespace": "ns1", "name": name}
    return view({"metadata": metadata, "spec": spec, "status": status if ingress else {}}, Service)


def slice_of(
    *endpoints: tuple[str, str], port: int = 80, protocol: str = "TCP", of: str = "svc1", **conditions: bool
) -> EndpointSlice:
    """Endpoints given as address and node."""
    obj = {
        "metadata": {"namespace": "ns1", "name": f"{of}-x", "labels": {"kubernetes.io/service-name": of}},
        "addressType": "IPv4",
        "ports": [{"name": "p80", "port": port, "protocol": protocol}],
        "endpoints": [{"addresses": [ip], "nodeName": node, "conditions": conditions} for ip, node in endpoints],
    }
    return view(obj, EndpointSlice)


def spec(**given: Any) -> dict[str, Any]:
    """A Service's spec with one port, `p80`; `node_port` and `protocol` are the port's."""
    port = {"name": "p80", "port": 80, "protocol": given.pop("protocol", "TCP")}
    if "node_port" in given:
        port["nodePort"] = given.pop("node_port")
    return {"clusterIP": "172.30.0.41", "ports": [port], **given}


class ModelNode(NetnsNode):
    """`node-a` with the addresses of NODE on eth0 and BRIDGE_ADDRESS on cbr0."""

    def __init__(self) -> None:
        kernel = Kernel("node-a", random.Random(1), 0.0)
        self.netns = Netns(kernel, "root")
        peer = Netns(kernel, "peer")
        for number, (link, address, length) in enumerate(
            (("eth0", NODE.addresses[0], 16), ("cbr0", BRIDGE_ADDRESS, 24))
        ):
            near, _ = pair(self.netns, link, peer, link, 2 * number + 1, 2 * number + 2)
            self.netns.add_address(near, ipv4_to_int(address), length)
        super().__init__(self.netns)
        self.virtual: dict[Frontend, tuple[Scheduling, dict[str, int]]] = {}
        self.connected: dict[tuple[Frontend, str], tuple[int, int]] = {}
        self.said: list[str] = []  # all ipvsadm lines

    def servers(self) -> Mapping[Frontend, ServerState]:
        return {key: ServerState(scheduling, dict(weights)) for key, (scheduling, weights) in self.virtual.items()}

    def connections(self, frontend: Frontend, backend: str) -> tuple[int, int]:
        assert backend in self.virtual[frontend][1]
        return self.connected.get((frontend, backend), (0, 0))

    def apply(self, writes: Writes) -> None:
        """Do everything that a sync asks for."""
        apply_writes(self.netns, writes)
        for line in writes.ipvsadm.splitlines():
            self.said.append(line)
            self._command(line.split())
        assert super().servers() == self.servers()

    def _command(self, words: list[str]) -> None:
        if words == ["-C"]:
            self.virtual.clear()
        if words[0] in ("-C", "--set"):
            return
        address, port = words[2].split(":")
        frontend = Frontend(address, int(port), _PROTOCOLS[words[1]])
        options = dict(zip(words[3::2], words[4::2], strict=False)) if words[0] in ("-A", "-E") else {}
        scheduling = Scheduling(
            options.get("-s", "wlc"),
            int(options.get("-p", 0)),
            tuple(options["-b"].split(",")) if "-b" in options else (),
        )
        if words[0] == "-A":
            assert frontend not in self.virtual
            self.virtual[frontend] = (scheduling, {})
            return
        _, weights = self.virtual[frontend]
        if words[0] == "-E":
            self.virtual[frontend] = (scheduling, weights)
        elif words[0] == "-D":
            del self.virtual[frontend]
        else:
            assert words[3] == "-r"
            assert (words[4] in weights) is (words[0] != "-a")
            if words[0] == "-d":
                del weights[words[4]]
            else:
                assert words[5:7] == ["-m", "-w"]
                weights[words[4]] = int(words[7])

    def state(self) -> dict[str, Any]:
        """All that kube-proxy writes, in a form that does not depend on the way there."""
        return {
            "servers": {key: (scheduling, weights) for key, (scheduling, weights) in self.virtual.items()},
            "sets": {each.name: sorted(self.elements(each.name)) for each in SETS},
            "bound": sorted(self.bound_addresses()),
            "iptables": [line for line in self.netns.netfilter.save().splitlines() if not line.startswith("#")],
        }


class Bed:
    """A node with its proxier and its Services."""

    def __init__(self, settings: ProxySettings | None = None, node: ProxyNode = NODE) -> None:
        self.node = ModelNode()
        self.services = ServiceTracker()
        self.proxy = IpvsProxy(node, settings or ProxySettings(), self.node)

    def put(self, service: Service, *slices: EndpointSlice) -> Bed:
        self.services.put_service(service)
        for slice_ in slices:
            self.services.put_slice(slice_)
        return self

    def sync(self, now: float = 0.0) -> Writes:
        """Sync, and have the node do it."""
        writes = self.proxy.sync(self.services, now)
        self.node.apply(writes)
        return writes

    def elements(self, name: str) -> list[str]:
        return sorted(self.node.elements(name))

    def servers(self) -> dict[str, dict[str, int]]:
        """Weights of real servers, by "tcp 10.0.0.1:80"."""
        return {
            f"{key.protocol} {key.address}:{key.port}": dict(weights) for key, (_, weights) in self.node.virtual.items()
        }

    def rules(self, table: str, chain: str) -> list[str]:
        return [
            line.removeprefix(f"-A {chain} ")
            for line in self.node.netns.netfilter.save(table).splitlines()
            if line.startswith(f"-A {chain} ")
        ]

    def link(self) -> Any:
        return self.node.netns.links.get(DUMMY)
