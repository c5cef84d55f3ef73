"""Pods plugged into a bridge: real packets between their namespaces, and the node's routes."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.api.objects.node import Node
from emulator.api.objects.view import view
from emulator.kernel.kernel import Kernel
from emulator.kernel.link.nic import Nic
from emulator.kernel.netns import Netns
from emulator.kube.cni.bridge import BridgePlugin, NodeNetwork
from emulator.kube.cni.host_local import AddressesExhaustedError, HostLocal
from emulator.kube.cni.portmap import PortMapping
from emulator.packet.address import ipv4_to_int

NETWORK = NodeNetwork(
    "node-a", IPv4Network("10.244.0.0/28"), IPv4Network("10.244.0.0/16"), IPv4Network("172.18.0.0/16")
)


def plugged() -> tuple[Kernel, Netns, BridgePlugin]:
    kernel = Kernel("node-a", random.Random(1))
    root = Netns(kernel, "root")
    uplink = Nic(root, "eth0", 0x02_00_00_00_00_01)
    uplink.set_up()
    root.add_address(uplink, ipv4_to_int("172.18.0.2"), 16)
    root.sysctl.set("net.ipv4.ip_forward", "1")
    return kernel, root, BridgePlugin(kernel, root, uplink, NETWORK)


def settle(kernel: Kernel, until: float) -> None:
    while True:
        while kernel.run(kernel.now):
            pass
        deadline = kernel.next_deadline()
        if deadline is None or deadline > until:
            return
        kernel.run(deadline)


def test_two_pods_answer_each_other_over_the_bridge() -> None:
    kernel, _, plugin = plugged()
    one, _ = plugin.set_up_pod("uid-1", "default", "one")
    _, address = plugin.set_up_pod("uid-2", "default", "two")
    ping = one.sockets.ping()
    ping.send_echo(ipv4_to_int(address), 1, b"payload")
    settle(kernel, 1.0)
    reply = ping.receive()
    assert reply is not None
    assert reply.source == address


def test_a_pods_view_is_what_the_plugin_gives_on_linux() -> None:
    _, root, plugin = plugged()
    netns, address = plugin.set_up_pod("uid-1", "default", "one")
    assert address == "10.244.0.2"
    assert [str(route) for route in netns.fib.routes()] == [
        "default via 10.244.0.1 dev eth0",
        "10.244.0.0/28 dev eth0 proto kernel scope link src 10.244.0.2",
    ]
    (host,) = [link for name, link in root.links.items() if name.startswith("veth")]
    assert host.master is root.links["cbr0"]
    assert host.port is not None
    assert host.port.hairpin


def test_tear_down_leaves_nothing_and_a_pod_can_keep_its_address() -> None:
    kernel, root, plugin = plugged()
    before = set(root.links)
    plugin.set_up_pod("uid-1", "default", "one")
    plugin.tear_down_pod("uid-1")
    assert set(root.links) == before
    assert set(kernel.namespaces) == {"root"}
    _, address = plugin.set_up_pod("uid-2", "default", "two", "10.244.0.9")
    assert address == "10.244.0.9"


def test_exhaustion_leaves_nothing_behind() -> None:
    kernel, _, plugin = plugged()
    for number in range(13):
        plugin.set_up_pod(f"uid-{number}", "default", str(number))
    with pytest.raises(AddressesExhaustedError, match=r"no address is left in 10\.244\.0\.0/28"):
        plugin.set_up_pod("one-more", "default", "x")
    assert "cni-one-more" not in kernel.namespaces


def test_routes_follow_the_nodes() -> None:
    _, root, plugin = plugged()

    def node(name: str, cidr: str, address: str) -> Node:
        status = {"addresses": [{"type": "InternalIP", "address": address}]}
        return view({"metadata": {"name": name}, "spec": {"podCIDR": cidr}, "status": status}, Node)

    here = node("node-a", "10.244.0.0/28", "172.18.0.2")
    plugin.sync_routes([here, node("node-b", "10.244.1.0/24", "172.18.0.3")])
    assert "10.244.1.0/24 via 172.18.0.3 dev eth0" in map(str, root.fib.routes())
    plugin.sync_routes([here, node("node-b", "10.244.1.0/24", "172.18.0.9")])
    routes = list(map(str, root.fib.routes()))
    assert "10.244.1.0/24 via 172.18.0.9 dev eth0" in routes
    assert not any("172.18.0.3" in route for route in routes)


@given(st.lists(st.integers(0, 6), max_size=60))
def test_no_address_is_held_twice_and_released_ones_rest(owners: list[int]) -> None:
    pool = HostLocal(IPv4Network("10.244.0.0/27"))
    held: dict[int, IPv4Address] = {}
    for owner in owners:
        if owner in held:
            pool.release(str(owner))
            released = held.pop(owner)
            other = pool.allocate("other")
            assert other != released
            pool.release("other")
        else:
            held[owner] = pool.allocate(str(owner))
    assert len(set(held.values())) == len(held)
    assert pool.gateway not in held.values()


def rules(root: Netns) -> list[str]:
    """The rules of table nat that the portmap plugin writes."""
    return [line for line in root.netfilter.save("nat").splitlines() if "CNI-" in line]


def test_host_ports_are_the_rules_of_the_portmap_plugin() -> None:
    """As portmap.go documents them; the chain's name is a digest of the network's name and the container's."""
    _, root, plugin = plugged()
    assert rules(root) == []
    ports = [PortMapping("TCP", 80, 8080), PortMapping("UDP", 53, 5353, "172.18.0.2")]
    _, address = plugin.set_up_pod("uid-1", "default", "one", host_ports=ports)
    chain = f"CNI-DN-{hashlib.sha512(b'cbr0uid-1').hexdigest()[:21]}"
    comment = '-m comment --comment "dnat name: \\"cbr0\\" id: \\"uid-1\\""'
    assert [line for line in rules(root) if line.startswith("-A")] == [
        "-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
        "-A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
        '-A POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ',
        f"-A {chain} -s 10.244.0.0/28 -p tcp -m tcp --dport 80 -j CNI-HOSTPORT-SETMARK",
        f"-A {chain} -s 127.0.0.1/32 -p tcp -m tcp --dport 80 -j CNI-HOSTPORT-SETMARK",
        f"-A {chain} -p tcp -m tcp --dport 80 -j DNAT --to-destination {address}:8080",
        f"-A {chain} -s 10.244.0.0/28 -d 172.18.0.2/32 -p udp -m udp --dport 53 -j CNI-HOSTPORT-SETMARK",
        f"-A {chain} -s 127.0.0.1/32 -d 172.18.0.2/32 -p udp -m udp --dport 53 -j CNI-HOSTPORT-SETMARK",
        f"-A {chain} -d 172.18.0.2/32 -p udp -m udp --dport 53 -j DNAT --to-destination {address}:5353",
        f"-A CNI-HOSTPORT-DNAT -p tcp {comment} -m multiport --dports 80 -j {chain}",
        f"-A CNI-HOSTPORT-DNAT -p udp {comment} -m multiport --dports 53 -j {chain}",
        "-A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE",
        '-A CNI-HOSTPORT-SETMARK -m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark 0x2000/0x2000',
    ]
    assert root.sysctl.get("net.ipv4.conf.cbr0.route_localnet") == "1"

    plugin.set_up_pod("uid-2", "default", "two", host_ports=[PortMapping("TCP", 81, 81)])
    plugin.tear_down_pod("uid-1")
    assert not any(chain in line for line in rules(root))
    assert sum("DNAT --to" in line for line in rules(root)) == 1


def test_host_ports_outlive_a_user_who_flushes_the_table() -> None:
    _, root, plugin = plugged()
    plugin.set_up_pod("uid-1", "default", "one", host_ports=[PortMapping("TCP", 80, 80)])
    root.netfilter.restore("*nat\nCOMMIT\n")
    plugin.tear_down_pod("uid-1")
    plugin.set_up_pod("uid-2", "default", "two", host_ports=[PortMapping("TCP", 80, 80)])
    assert sum("DNAT --to" in line for line in rules(root)) == 1


@pytest.mark.kernel
def test_iptables_takes_the_rules_of_host_ports_and_saves_the_same() -> None:
    _, root, plugin = plugged()
    many = [PortMapping("TCP", number, 80) for number in range(2000, 2020)]
    plugin.set_up_pod("uid-1", "default", "one", host_ports=[*many, PortMapping("SCTP", 9, 9)])
    text, name = root.netfilter.save("nat"), f"pwo-portmap-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        inside = ["ip", "netns", "exec", name]
        subprocess.run([*inside, "iptables-restore"], input=text, text=True, check=True)
        real = subprocess.run(
            [*inside, "iptables-save", "-t", "nat"], capture_output=True, text=True, check=True
        ).stdout
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)
    assert sorted(_rules_of(real)) == sorted(_rules_of(text))


def _rules_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("-A")]
