"""What IPVS mode writes, given to the real `ipset`, `iptables-restore` and `ip`: they take it, and save what ours save.

The kernel here has no IPVS, so the rules with `-m ipvs` are left out on the real side, as are the servers themselves.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator

import pytest

from emulator.kube.proxy.proxier import Writes
from emulator.kube.proxy.settings import ProxySettings
from tests.kube.proxy.ipvs_bed import Bed, service, slice_of, spec

pytestmark = pytest.mark.kernel

A, B = ("10.180.0.1", "node-a"), ("10.180.1.1", "node-b")
_UNPREDICTABLE = re.compile(r" bucketsize \d+ initval \w+")


class RealNode:
    """A namespace that gets the same texts."""

    def __init__(self, name: str) -> None:
        self._name = name

    def run(self, *command: str, stdin: str = "") -> str:
        words = ["ip", "netns", "exec", self._name, *command]
        done = subprocess.run(words, input=stdin, text=True, capture_output=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

    def apply(self, writes: Writes) -> None:
        """Do what `apply_writes` does, with the real tools; a bridge that stays down stands in for the dummy link."""
        if writes.dummy and not writes.remove_dummy and "kube-ipvs0" not in self.run("ip", "link"):
            self.run("ip", "link", "add", writes.dummy, "type", "bridge")
        for address in writes.add_addresses:
            self.run("ip", "addr", "add", f"{address}/32", "dev", writes.dummy)
        self.run("ipset", "-exist", "restore", stdin=writes.ipset)
        lines = [line for line in writes.iptables.splitlines() if "-m ipvs" not in line]
        self.run("iptables-restore", "--noflush", stdin="\n".join([*lines, ""]))
        for address in writes.remove_addresses:
            self.run("ip", "addr", "del", f"{address}/32", "dev", writes.dummy)
        for name in writes.destroy_sets:
            self.run("ipset", "destroy", name)
        if writes.remove_dummy:
            self.run("ip", "link", "del", writes.dummy)

    def sets(self) -> list[str]:
        return sorted(_UNPREDICTABLE.sub("", self.run("ipset", "save")).splitlines())

    def rules(self) -> list[str]:
        return [line for line in self.run("iptables-save").splitlines() if not line.startswith(("#", ":"))]

    def bound(self) -> list[str]:
        links = json.loads(self.run("ip", "-j", "-4", "addr"))
        return sorted(own["local"] for link in links if link["ifname"] == "kube-ipvs0" for own in link["addr_info"])


@pytest.fixture
def real() -> Iterator[RealNode]:
    name = f"pwh-ipvsproxy-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        yield RealNode(name)
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


def sync(bed: Bed, real: RealNode) -> None:
    """Sync both, and hold them against each other."""
    real.apply(bed.sync())
    compare(bed, real)


def compare(bed: Bed, real: RealNode) -> None:
    netfilter = bed.node.netns.netfilter
    assert sorted(_UNPREDICTABLE.sub("", netfilter.sets.save()).splitlines()) == real.sets()
    ours = [line for line in netfilter.save().splitlines() if not line.startswith(("#", ":"))]
    assert [line for line in ours if "-m ipvs" not in line] == real.rules()
    assert sorted(bed.node.bound_addresses()) == real.bound()


def test_the_real_tools_take_every_sync_and_save_what_ours_do(real: RealNode):
    bed = Bed()
    sync(bed, real)
    local = {"externalTrafficPolicy": "Local", "healthCheckNodePort": 3900, "externalIPs": ["50.60.70.81"]}
    ranges = {"loadBalancerSourceRanges": ["172.18.0.2/32", "10.0.0.0/8", "10.1.0.0/16"]}
    for name, index, protocol in (("tcp", 1, "TCP"), ("udp", 2, "UDP"), ("sctp", 3, "SCTP")):
        given = spec(clusterIP=f"172.30.0.{index}", type="LoadBalancer", node_port=30000 + index, protocol=protocol)
        bed.put(
            service(given | local | ranges, f"1.2.3.{index}", name=f"{name}-local"),
            slice_of(A, B, of=f"{name}-local", protocol=protocol),
        )
        given = spec(clusterIP=f"172.30.1.{index}", type="NodePort", node_port=30010 + index, protocol=protocol)
        bed.put(service(given | {"externalIPs": ["50.60.70.82"]}, name=name), slice_of(B, of=name, protocol=protocol))
        sync(bed, real)
    assert "add KUBE-LOAD-BALANCER-SOURCE-CIDR 1.2.3.3,sctp:80,172.18.0.2" in real.sets()
    bed.put(service(spec(clusterIP="172.30.0.1"), name="tcp-local"))
    bed.services.remove_service("ns1", "udp-local")
    sync(bed, real)
    bed.proxy.forget()
    sync(bed, real)
    for name in ("tcp", "tcp-local", "udp", "sctp", "sctp-local"):
        bed.services.remove_service("ns1", name)
    sync(bed, real)
    writes = bed.proxy.cleanup()
    bed.node.apply(writes)
    real.apply(writes)
    compare(bed, real)
    assert real.sets() == real.bound() == [line for line in real.rules() if line.startswith("-A")] == []


@pytest.mark.parametrize("settings", [ProxySettings(masquerade_all=True), ProxySettings(detect_local=False)])
def test_other_settings_too(real: RealNode, settings: ProxySettings):
    sync(Bed(settings).put(service(spec()), slice_of(A)), real)
