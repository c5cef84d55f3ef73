"""IPVS mode: real servers go gracefully, when their connections have ended."""

from __future__ import annotations

import pytest

from emulator.kube.proxy.ipvs.ipvs import IpvsProxy
from emulator.kube.proxy.ipvs.service import Frontend
from emulator.kube.proxy.proxier import Writes
from emulator.kube.proxy.settings import ProxySettings
from tests.kube.proxy.ipvs_bed import NODE, Bed, service, slice_of, spec

VIP = Frontend("172.30.0.41", 80, "tcp")
A, B = ("10.180.0.1", "node-a"), ("10.180.1.1", "node-b")


class TestGracefulTermination:
    """The clock starts at 0 with the first sync, so real servers that wait are looked at each full minute."""

    @pytest.fixture
    def bed(self) -> Bed:
        bed = Bed().put(service(spec()), slice_of(A, B))
        bed.sync(0.0)
        return bed

    def leave(self, bed: Bed, connections: tuple[int, int], now: float = 10.0) -> Writes:
        """Have B go while it has connections."""
        bed.node.connected[VIP, "10.180.1.1:80"] = connections
        bed.put(service(spec()), slice_of(A))
        return bed.sync(now)

    def test_without_connections_it_goes_at_once(self, bed: Bed):
        assert self.leave(bed, (0, 0)).ipvsadm == "-d -t 172.30.0.41:80 -r 10.180.1.1:80\n"
        assert bed.sync(59.0) == Writes()
        assert bed.proxy.next_sync() == 89.0  # only to see whether all is still there

    @pytest.mark.parametrize("connections", [(1, 0), (0, 1)])
    def test_with_connections_it_waits_for_their_end(self, bed: Bed, connections: tuple[int, int]):
        assert self.leave(bed, connections).ipvsadm == "-e -t 172.30.0.41:80 -r 10.180.1.1:80 -m -w 0\n"
        assert bed.sync(59.9) == Writes()
        assert bed.proxy.next_sync() == 60.0
        assert bed.sync(60.0) == Writes()
        bed.node.connected.clear()
        assert bed.sync(100.0) == Writes()  # not before its time
        assert bed.proxy.next_sync() == 120.0
        assert bed.sync(200.0).ipvsadm == "-d -t 172.30.0.41:80 -r 10.180.1.1:80\n"
        assert bed.proxy.next_sync() == 230.0
        assert bed.servers() == {"tcp 172.30.0.41:80": {"10.180.0.1:80": 1}}

    def test_one_that_comes_back_is_deleted_and_added_again(self, bed: Bed):
        self.leave(bed, (1, 0))
        bed.put(service(spec()), slice_of(A, B))
        assert bed.sync(20.0).ipvsadm.splitlines() == [
            "-d -t 172.30.0.41:80 -r 10.180.1.1:80",
            "-a -t 172.30.0.41:80 -r 10.180.1.1:80 -m -w 1",
        ]
        assert bed.sync(60.0) == Writes()

    def test_it_goes_with_its_virtual_server(self, bed: Bed):
        self.leave(bed, (1, 0))
        bed.services.remove_service("ns1", "svc1")
        assert bed.sync(20.0).ipvsadm == "-D -t 172.30.0.41:80\n"
        assert bed.sync(60.0) == Writes()

    def test_each_virtual_server_waits_for_itself(self, bed: Bed):
        bed.put(service(spec(externalIPs=["50.60.70.81"])))
        bed.sync(1.0)
        bed.node.connected[VIP, "10.180.1.1:80"] = (1, 0)
        bed.services.put_slice(slice_of(A))
        assert bed.sync(10.0).ipvsadm.splitlines() == [
            "-e -t 172.30.0.41:80 -r 10.180.1.1:80 -m -w 0",
            "-d -t 50.60.70.81:80 -r 10.180.1.1:80",
        ]

    def test_a_new_kube_proxy_finds_what_an_old_one_left(self, bed: Bed):
        self.leave(bed, (1, 0))
        bed.proxy = IpvsProxy(NODE, ProxySettings(), bed.node)
        writes = bed.sync(30.0)
        assert writes.ipvsadm == "-e -t 172.30.0.41:80 -r 10.180.1.1:80 -m -w 0\n"
        bed.proxy.forget()
        assert bed.proxy.next_sync() is None  # whoever makes it forget says when
        bed.put(service(spec()), slice_of(A, B))
        assert bed.sync(40.0).ipvsadm == "-e -t 172.30.0.41:80 -r 10.180.1.1:80 -m -w 1\n"


@pytest.mark.parametrize("protocol", ["UDP", "SCTP"])
def test_udp_and_sctp_go_at_once(protocol: str):
    bed = Bed().put(service(spec(protocol=protocol)), slice_of(A, B, protocol=protocol))
    bed.sync()
    bed.node.connected[Frontend("172.30.0.41", 80, protocol.lower()), "10.180.1.1:80"] = (3, 4)
    bed.put(service(spec(protocol=protocol)), slice_of(A, protocol=protocol))
    assert bed.sync().ipvsadm.startswith("-d ")
