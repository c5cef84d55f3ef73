"""The namespaces outside the nodes, and what becomes of packets between them."""

import errno
from ipaddress import IPv4Address, IPv4Network
from random import Random

from msgspec.structs import replace

from emulator.api.cloud_section import NODE, CloudConfig, HostConfig
from emulator.api.cluster_file import ClusterConfig
from emulator.api.objects.meta import ObjectMeta
from emulator.api.objects.node import Node, NodeAddress, NodeSpec, NodeStatus
from emulator.cloud.cloud import Cloud
from emulator.kernel.drop import DropReason
from emulator.kernel.kernel import Kernel
from emulator.kernel.netns import Netns

CONFIG = replace(ClusterConfig(), cloud=CloudConfig(hosts=(HostConfig("laptop", NODE), HostConfig("shop.test"))))


def made(config: ClusterConfig = CONFIG) -> Cloud:
    return Cloud(Kernel("cloud", Random(1), 0.0), config)


def node(name: str, address: str, cidr: str) -> Node:
    return Node(
        metadata=ObjectMeta(name=name),
        spec=NodeSpec(pod_cidr=cidr),
        status=NodeStatus(addresses=(NodeAddress(type="InternalIP", address=address),)),
    )


def routes(netns: Netns) -> list[str]:
    return [str(route).strip() for route in netns.fib.routes()]


def exchange(cloud: Cloud, source: str, destination: str) -> tuple[str, int]:
    """Send a datagram from one namespace to another's address; return who it seems to be from, and the TTL left."""
    netns = cloud.namespaces[source]
    target = next(host for host in cloud.hosts.values() if str(host.address) == destination)
    server = cloud.namespaces[target.name].sockets.udp()
    server.bind(("0.0.0.0", 7000))
    client = netns.sockets.udp()
    client.bind(("0.0.0.0", 0))
    client.send_to(b"who am I?", (destination, 7000))
    netns.kernel.run(1.0, 1_000)
    datagram = server.receive()
    assert datagram is not None
    server.send_to(b"answer", datagram.source)
    netns.kernel.run(1.0, 1_000)
    answer = client.receive()
    assert answer is not None
    assert answer.source == (destination, 7000)
    return datagram.source[0], datagram.ttl


def test_private_hosts_are_seen_by_the_public_address() -> None:
    cloud = made()
    shop = str(cloud.hosts["shop.test"].address)
    assert exchange(cloud, "laptop", shop) == ("198.51.100.2", 62)  # gateway and router took one each


def test_hosts_of_the_internet_see_each_other() -> None:
    cloud = made()
    assert exchange(cloud, "shop.test", "1.1.1.1") == (str(cloud.hosts["shop.test"].address), 63)


def test_nobody_on_the_internet_reaches_private_addresses() -> None:
    cloud = made()
    socket = cloud.namespaces["shop.test"].sockets.connect(("172.18.255.254", 7000))
    cloud.namespaces["shop.test"].kernel.run(1.0, 1_000)
    assert isinstance(socket.error, OSError)
    assert socket.error.errno == errno.ENETUNREACH
    assert {*cloud.namespaces["internet"].drops} == {DropReason.IP_INNOROUTES}


def test_the_gateway_follows_where_the_pods_are() -> None:
    cloud = made()
    own = routes(cloud.namespaces["gateway"])
    cloud.sync_nodes([node("a", "172.18.0.2", "10.244.0.0/24"), node("b", "172.18.0.3", "10.244.1.0/24")])
    expected = {"10.244.0.0/24 via 172.18.0.2 dev eth0", "10.244.1.0/24 via 172.18.0.3 dev eth0"}
    assert {*routes(cloud.namespaces["gateway"])} - {*own} == expected
    cloud.sync_nodes([node("b", "172.18.0.4", "10.244.1.0/24"), node("new", "", "")])
    assert {*routes(cloud.namespaces["gateway"])} - {*own} == {"10.244.1.0/24 via 172.18.0.4 dev eth0"}


def test_each_link_has_a_mac_of_its_own_that_stays() -> None:
    cloud, again = made(), made()
    links = [link for netns in cloud.namespaces.values() for link in netns.links.values() if not link.loopback]
    assert len({link.mac for link in links}) == len(links)
    assert all(link.mac >> 40 & 3 == 2 for link in links)  # locally administered, of one station
    assert again.macs == cloud.macs
    assert len(cloud.macs) == 2  # the gateway and the laptop


def test_without_an_internet_hosts_have_the_node_network_only() -> None:
    first = HostConfig("first", NODE, IPv4Address("172.18.0.1"))
    cloud = made(replace(CONFIG, cloud=CloudConfig(internet=False, hosts=(first,))))
    assert {*cloud.namespaces} == {"node-network", "first"}
    assert routes(cloud.namespaces["first"]) == ["172.18.0.0/16 dev eth0 proto kernel scope link src 172.18.0.1"]
    cloud.sync_nodes([node("a", "172.18.0.2", "10.244.0.0/24")])  # nobody is there whom it would concern


def test_load_balancers_are_behind_the_gateway() -> None:
    config = replace(CONFIG, load_balancer_pool=IPv4Network("192.0.2.0/24"))
    assert "192.0.2.0/24 via 198.51.100.2 dev eth0 onlink" in routes(made(config).namespaces["internet"])
