"""Nodes as they are: kube-proxy's, Docker's, Calico's, Cilium's, flannel's rules, and those of a pod with a sidecar."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from emulator.bundle.row import Row
from emulator.packet.linktype import RAW
from tests.bundle.maker import Made, tcp
from tests.kernel.frames import arp, echo, ethernet, ipv4, udp

ROOT = Path(__file__).parents[2]
SYN, SYN_ACK, ACK = 0x02, 0x12, 0x10


def node(name: str, tmp_path: Path) -> Made:
    """A copy of a bundle, so that captures can be written beside it."""
    source = ROOT / ("configs" if name == "kube-proxy" else "tests/data") / "bundles" / name
    return Made(Path(shutil.copytree(source, tmp_path / name)))


def segment(source: str, destination: str, sport: int, dport: int, flags: int = SYN) -> bytes:
    return ipv4(source, destination, 6, tcp(source, destination, sport, dport, flags))


def datagram(source: str, destination: str, dport: int, **fields: Any) -> bytes:
    return ipv4(source, destination, 17, udp(source, destination, 5000, dport), **fields)


def ends(row: Row) -> list[tuple[str, str, str]]:
    """Link, source and destination of each packet that went out."""
    found = []
    for each in row.out:
        packet = each.frame[14:] if each.ethernet else each.frame
        addresses = (".".join(map(str, packet[start : start + 4])) for start in (12, 16))
        found.append((each.link, *addresses))
    return found


class TestKubeProxy:
    """eth0 172.18.0.2, pods 10.244.0.0/24 at cbr0; the sample of the README."""

    POD = ("0a:58:0a:f4:00:01", "0a:58:0a:f4:00:02")  # from the client's veth to the bridge

    def pod(self, packet: bytes) -> bytes:
        return ethernet(*self.POD, packet)

    def wire(self, packet: bytes) -> bytes:
        return ethernet("02:00:00:00:0a:01", "02:00:00:00:0a:03", packet)

    def test_a_pod_to_a_service(self, tmp_path: Path) -> None:
        frames = [self.pod(segment("10.244.0.2", "10.96.0.20", 41000 + n, 80)) for n in range(8)]
        rows = node("kube-proxy", tmp_path).replay(frames, "veth-client")
        assert {tuple(ends(row)) for row in rows} == {
            (("veth-web", "10.244.0.2", "10.244.0.3"),),
            (("eth0", "10.244.0.2", "10.244.1.4"),),
        }
        assert all(row.rules[:2] == ["nat:PREROUTING:rule:1", "nat:KUBE-SERVICES:rule:1"] for row in rows)
        assert not any("nat:KUBE-MARK-MASQ:rule:1" in row.rules for row in rows)

    def test_a_connection_that_was_there(self, tmp_path: Path) -> None:
        """conntrack.txt has it: the answer of the remote pod is un-NATed, the next segment goes on to that pod."""
        made = node("kube-proxy", tmp_path)
        (answer,) = made.replay([self.wire(segment("10.244.1.4", "10.244.0.2", 8080, 40000, ACK))])
        assert (answer.state, ends(answer)) == ("ESTABLISHED", [("veth-client", "10.96.0.20", "10.244.0.2")])
        assert answer.rules == ["filter:FORWARD:rule:2", "filter:KUBE-FORWARD:rule:3"]
        (onwards,) = made.replay([self.pod(segment("10.244.0.2", "10.96.0.20", 40000, 80, ACK))], "veth-client")
        assert ends(onwards) == [("eth0", "10.244.0.2", "10.244.1.4")]

    def test_a_node_port(self, tmp_path: Path) -> None:
        frames = [self.wire(segment("172.18.0.9", "172.18.0.2", 42000 + n, 30080)) for n in range(4)]
        rows = node("kube-proxy", tmp_path).replay(frames, assume_neighbours=True)
        for row in rows:
            assert "nat:KUBE-MARK-MASQ:rule:1" in row.rules
            assert "nat:KUBE-POSTROUTING:rule:3" in row.rules
            assert ends(row)[0][1] in ("172.18.0.2", "10.244.0.1")  # masqueraded

    def test_no_endpoints(self, tmp_path: Path) -> None:
        (row,) = node("kube-proxy", tmp_path).replay(
            [self.pod(segment("10.244.0.2", "10.96.0.30", 1, 80))], "veth-client"
        )
        assert (row.verdict, row.reason, row.rules[-1]) == (
            "dropped",
            "NETFILTER_REJECT",
            "filter:KUBE-SERVICES:rule:1",
        )
        assert ends(row) == [("veth-client", "10.244.0.1", "10.244.0.2")]

    def test_locally_generated(self, tmp_path: Path) -> None:
        """The node itself asks the cluster's DNS: masqueraded, since it is no pod."""
        (row,) = node("kube-proxy", tmp_path).replay([datagram("172.18.0.2", "10.96.0.10", 53)], "local", linktype=RAW)
        assert ends(row) == [("eth0", "172.18.0.2", "10.244.1.9")]
        assert "nat:KUBE-MARK-MASQ:rule:1" in row.rules
        assert row.rules[0] == "nat:OUTPUT:rule:1"


class TestDocker:
    """docker0 and one network of a user; 192.168.122.66 is shut out in DOCKER-USER."""

    def wire(self, packet: bytes) -> bytes:
        return ethernet("52:54:00:12:34:56", "52:54:00:00:00:01", packet)

    def test_a_published_port(self, tmp_path: Path) -> None:
        made = node("docker", tmp_path)
        host = "192.168.122.10"
        rows = made.replay(
            [
                self.wire(segment("203.0.113.9", host, 1000, 8080)),
                self.wire(segment("192.168.122.66", host, 1000, 8080)),
                self.wire(segment("203.0.113.9", host, 1000, 8081)),
            ],
            "ens3",
        )
        assert ends(rows[0]) == [("veth1a2b3c4", "203.0.113.9", "172.17.0.2")]
        assert rows[0].rules[-1] == "filter:DOCKER:rule:1"
        assert (rows[1].verdict, rows[1].rules[-1]) == ("dropped", "filter:DOCKER-USER:rule:1")
        assert rows[2].verdict == "delivered"

    def test_a_container_to_the_world(self, tmp_path: Path) -> None:
        frame = ethernet("02:42:ac:11:00:01", "02:42:ac:11:00:02", segment("172.17.0.2", "203.0.113.9", 2000, 443))
        (row,) = node("docker", tmp_path).replay([frame], "veth1a2b3c4")
        assert ends(row) == [("ens3", "192.168.122.10", "203.0.113.9")]
        assert "nat:POSTROUTING:rule:1" in row.rules

    def test_networks_are_kept_apart(self, tmp_path: Path) -> None:
        frame = ethernet("02:42:ac:11:00:01", "02:42:ac:11:00:02", segment("172.17.0.2", "172.18.0.2", 2000, 80))
        (row,) = node("docker", tmp_path).replay([frame], "veth1a2b3c4")
        assert (row.verdict, row.rules[-1]) == ("dropped", "filter:DOCKER-ISOLATION-STAGE-2:rule:2")

    def test_what_nobody_published(self, tmp_path: Path) -> None:
        (row,) = node("docker", tmp_path).replay([self.wire(segment("203.0.113.9", "172.17.0.2", 1, 22))], "ens3")
        assert (row.verdict, row.reason) == ("dropped", "NETFILTER_DROP")
        assert row.rules[-1] == "filter:FORWARD:policy:11"


class TestCalico:
    """Pod .5 is a frontend, .6 the backend that admits frontends at 8080; pods elsewhere are behind tunl0."""

    GATEWAY = "ee:ee:ee:ee:ee:ee"
    FRONT, BACK = "192.168.64.5", "192.168.64.6"

    def front(self, packet: bytes) -> bytes:
        return ethernet(self.GATEWAY, "7a:00:00:00:00:05", packet)

    def test_policy(self, tmp_path: Path) -> None:
        frames = [self.front(segment(self.FRONT, self.BACK, 3000, port)) for port in (8080, 9090)]
        admitted, refused = node("calico", tmp_path).replay(frames, "cali0a1b2c3d4e5")
        assert ends(admitted) == [("calif6e7d8c9b0a", self.FRONT, self.BACK)]
        assert "filter:cali-pi-backend:rule:1" in admitted.rules
        assert (refused.verdict, refused.rules[-2:]) == (
            "dropped",
            ["filter:cali-tw-calif6e7d8c9b0a:rule:7", "filter:cali-tw-calif6e7d8c9b0a:rule:8"],
        )

    def test_a_frontend_elsewhere_comes_by_the_tunnel(self, tmp_path: Path) -> None:
        packets = [segment("192.168.128.7", self.BACK, 3000, 8080), segment("192.168.128.8", self.BACK, 3000, 8080)]
        admitted, refused = node("calico", tmp_path).replay(packets, "tunl0", linktype=RAW)
        assert ends(admitted) == [("calif6e7d8c9b0a", "192.168.128.7", self.BACK)]
        assert refused.verdict == "dropped"

    def test_a_spoofed_source(self, tmp_path: Path) -> None:
        (row,) = node("calico", tmp_path).replay(
            [self.front(segment("192.168.64.99", self.BACK, 1, 8080))], "cali0a1b2c3d4e5"
        )
        assert (row.verdict, row.rules[-1]) == ("dropped", "raw:cali-PREROUTING:rule:4")

    def test_to_a_pod_elsewhere(self, tmp_path: Path) -> None:
        """The packet is reported as it enters the tunnel, without Ethernet header and outer IP header."""
        (row,) = node("calico", tmp_path).replay(
            [self.front(segment(self.FRONT, "192.168.128.9", 1, 80))], "cali0a1b2c3d4e5"
        )
        assert ends(row) == [("tunl0", self.FRONT, "192.168.128.9")]
        assert row.out[0].frame[0] == 0x45

    def test_to_the_world_and_to_nobody(self, tmp_path: Path) -> None:
        frames = [self.front(segment(self.FRONT, address, 1, 80)) for address in ("203.0.113.9", "192.168.64.50")]
        world, nobody = node("calico", tmp_path).replay(frames, "cali0a1b2c3d4e5")
        assert ends(world) == [("ens3", "10.0.0.11", "203.0.113.9")]
        assert nobody.reason == "IP_ROUTE_BLACKHOLE"

    def test_the_node_answers_for_the_gateway(self, tmp_path: Path) -> None:
        """Pods ask for 169.254.1.1; proxy_arp says that it is the node."""
        question = arp(1, "7a:00:00:00:00:05", self.FRONT, "00:00:00:00:00:00", "169.254.1.1")
        frame = ethernet("ff:ff:ff:ff:ff:ff", "7a:00:00:00:00:05", question, 0x0806)
        (row,) = node("calico", tmp_path).replay([frame], "cali0a1b2c3d4e5")
        assert row.verdict == "delivered"
        assert row.out[0].frame[6:12].hex(":") == self.GATEWAY


class TestCilium:
    """`-m socket` and TPROXY find no socket: there are no programs in a replay."""

    def test_to_the_world(self, tmp_path: Path) -> None:
        made = node("cilium", tmp_path)
        frame = ethernet("8a:00:00:00:00:01", "0e:00:00:00:00:07", datagram("10.1.0.7", "203.0.113.9", 53))
        (row,) = made.replay([frame], "lxc1f2e3d4c5b6a")
        assert ends(row) == [("eth0", "172.20.0.3", "203.0.113.9")]
        assert row.rules[-2:] == ["nat:POSTROUTING:rule:1", "nat:CILIUM_POST_nat:rule:1"]
        assert row.ignored == []

    def test_notrack(self, tmp_path: Path) -> None:
        """For a pod: untracked, then out by the pair cilium_host and cilium_net, where eBPF takes it."""
        frame = ethernet("02:00:00:00:0d:01", "02:00:00:00:0d:04", datagram("172.20.0.4", "10.1.0.7", 53))
        (row,) = node("cilium", tmp_path).replay([frame])
        assert (row.state, row.entry) == ("UNTRACKED", None)
        assert "raw:CILIUM_PRE_raw:rule:1" in row.rules


class TestFlannel:
    """Pods elsewhere are behind flannel.1, a VXLAN link."""

    def pod(self, packet: bytes) -> bytes:
        return ethernet("9e:00:00:00:00:01", "da:00:00:00:00:02", packet)

    def test_to_a_pod_elsewhere_by_a_service(self, tmp_path: Path) -> None:
        """The inner frame is reported at the VXLAN link, for the other node's MAC there."""
        (row,) = node("flannel", tmp_path).replay([self.pod(datagram("10.42.0.2", "10.43.0.10", 53))], "veth0c1d2e3f")
        assert ends(row) == [("flannel.1", "10.42.0.2", "10.42.1.5")]
        assert row.out[0].frame[:6].hex(":") == "5a:00:00:00:01:00"
        assert row.rules[-1] == "nat:FLANNEL-POSTRTG:rule:2"

    def test_to_the_world(self, tmp_path: Path) -> None:
        (row,) = node("flannel", tmp_path).replay([self.pod(datagram("10.42.0.2", "203.0.113.1", 53))], "veth0c1d2e3f")
        assert ends(row) == [("eth0", "10.5.0.10", "203.0.113.1")]
        assert row.rules[-1] == "nat:FLANNEL-POSTRTG:rule:5"

    def test_from_a_pod_elsewhere(self, tmp_path: Path) -> None:
        frame = ethernet("5a:00:00:00:00:00", "5a:00:00:00:01:00", datagram("10.42.1.5", "10.42.0.3", 80))
        (row,) = node("flannel", tmp_path).replay([frame], "flannel.1")
        assert ends(row) == [("veth4a5b6c7d", "10.42.1.5", "10.42.0.3")]

    def test_too_large_for_the_tunnel(self, tmp_path: Path) -> None:
        packet = ipv4("10.42.0.2", "10.42.1.5", 17, udp("10.42.0.2", "10.42.1.5", 1, 2, bytes(1442)), fragment=0x4000)
        (row,) = node("flannel", tmp_path).replay([self.pod(packet)], "veth0c1d2e3f")
        assert (row.reason, row.out[0].frame[34:36]) == ("PKT_TOO_BIG", b"\x03\x04")


class TestIstio:
    """A pod's own namespace: what comes in is redirected to the sidecar, what the application sends too."""

    def replay(self, tmp_path: Path, packets: list[bytes], name: str) -> list[Row]:
        made = node("istio-pod", tmp_path)
        if name == "local":
            return made.replay(packets, name, linktype=RAW)
        frames = [ethernet("0a:58:0a:f4:00:07", "0a:58:0a:f4:00:01", packet) for packet in packets]
        return made.replay(frames, name)

    def test_inbound(self, tmp_path: Path) -> None:
        packets = [segment("10.244.1.9", "10.244.0.7", 4000, port) for port in (8080, 15021)]
        caught, left = self.replay(tmp_path, packets, "eth0")
        assert caught.verdict == left.verdict == "delivered"
        assert caught.rules[-1] == "nat:ISTIO_IN_REDIRECT:rule:1"
        assert "sport=15006" in (caught.entry or "")
        assert left.rules[-1] == "nat:ISTIO_INBOUND:rule:3"

    def test_outbound(self, tmp_path: Path) -> None:
        """Redirected to the loopback, where the sidecar listens. It counts as root's, not as the sidecar's own."""
        (row,) = self.replay(tmp_path, [segment("10.244.0.7", "10.96.0.20", 4000, 80)], "local")
        assert row.verdict == "delivered"
        assert "nat:ISTIO_REDIRECT:rule:1" in row.rules
        assert "src=127.0.0.1 dst=10.244.0.7 sport=15001" in (row.entry or "")
        assert row.ignored == []

    def test_pings_are_the_kernels(self, tmp_path: Path) -> None:
        (row,) = self.replay(tmp_path, [ipv4("10.244.1.9", "10.244.0.7", 1, echo())], "eth0")
        assert ends(row) == [("eth0", "10.244.0.7", "10.244.1.9")]
