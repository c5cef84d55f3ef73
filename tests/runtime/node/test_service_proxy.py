"""kube-proxy's syncs on a node: when they come, what they do after a failure or a flush, and how a mode is changed."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock, wait_all_tasks_blocked

from emulator.api.messages import ProxySync
from emulator.api.objects.meta import Object
from emulator.kernel.kernel import Kernel
from emulator.kernel.netfilter.iptables.command import iptables
from emulator.kernel.netns import Netns
from emulator.kube.proxy import configuration
from emulator.kube.proxy.iptables.iptables import IptablesProxy
from emulator.kube.proxy.iptables.node import NetnsRules
from emulator.kube.proxy.modes import UnknownModeError
from emulator.kube.proxy.proxier import Proxier, Writes
from emulator.kube.proxy.settings import FULL_SYNC_PERIOD, SYNC_PERIOD, ProxyNode, ProxySettings
from emulator.kube.proxy.sysctls import conntrack_sysctls
from emulator.kube.proxy.tracker import ServiceTracker
from emulator.runtime.logging import open_log
from emulator.runtime.machine.machine import Machine
from emulator.runtime.machine.object_cache import ObjectCache
from emulator.runtime.node.service_proxy import CONFIGURED_BY, LONGEST_PAUSE, WATCHED, ServiceProxy
from emulator.runtime.underlay.memory import MemoryNetwork

NODE = ProxyNode("node-a", ("172.18.0.2",), "10.244.0.0/24")
SETTINGS = ProxySettings()


class Bed:
    """A node's kube-proxy with its cache, and what it logged and reported."""

    def __init__(self, make: Callable[[Bed, str], Proxier] | None = None, listed: tuple[Object, ...] = ()) -> None:
        self.root = Netns(Kernel("node-a", random.Random(1), trio.current_time()), "root")
        self.cache = ObjectCache()
        self._given = make
        self.log = io.StringIO()
        self.reports: list[ProxySync] = []
        underlay = MemoryNetwork(random.Random(1)).attach("node-a", 1, ("127.0.0.1", 1))
        log = open_log("node-a", self.log)
        self.machine = Machine(self.root.kernel, underlay, log, 0.0)
        self.proxy = ServiceProxy(
            self.machine,
            self.root,
            self._make,
            "iptables",
            NODE,
            self.cache,
            log,
            settings=SETTINGS,
            sysctls=conntrack_sysctls(SETTINGS),
        )
        self.proxy.reports.append(self.reports.append)
        for kind in (*WATCHED, CONFIGURED_BY):
            self.cache.replace(kind, [obj for obj in listed if obj["kind"] == kind])

    def _make(self, mode: str, node: ProxyNode, settings: ProxySettings) -> Proxier:
        self.node, self.settings = node, settings
        return (self._given or Bed.iptables)(self, mode)

    def iptables(self, mode: str) -> Proxier:
        return IptablesProxy(self.node, self.settings, NetnsRules(self.root))

    def save(self, table: str) -> str:
        return self.root.netfilter.save(table)


class SlowProxy(IptablesProxy):
    """Rules that take 20 ms to make, as those of thousands of Services do."""

    loads = 0

    def sync(self, services: ServiceTracker, now: float) -> Writes:
        self.loads += 1
        time.sleep(0.02)
        if len(services.ports) == 100:
            self.complete.set()
        return super().sync(services, now)


def service(number: int, protocol: str = "TCP") -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"s{number}", "namespace": "default"},
        "spec": {"clusterIP": f"10.96.0.{number}", "ports": [{"port": 80, "protocol": protocol}]},
    }


def slice_of(number: int, *addresses: str, protocol: str = "TCP") -> Object:
    labels = {"kubernetes.io/service-name": f"s{number}"}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"s{number}-x", "namespace": "default", "labels": labels},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 8080, "protocol": protocol}],
        "endpoints": [{"addresses": [address]} for address in addresses],
    }


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked()


async def test_changes_gather_while_a_load_is_paid_for(nursery):
    rules = SlowProxy(NODE, SETTINGS)
    rules.complete = trio.Event()
    bed = Bed(lambda _bed, _mode: rules)
    nursery.start_soon(bed.proxy.run)
    await bed.proxy.synced.wait()
    for number in range(1, 101):
        bed.cache.put("Service", service(number))
        await trio.lowlevel.checkpoint()
    with trio.fail_after(5):
        await rules.complete.wait()
    assert rules.loads <= 5
    assert bed.save("filter").count("has no endpoints") == 100


async def test_a_change_after_a_long_sync_waits_for_a_tenth_of_a_second_and_no_longer(nursery, mock_clock: MockClock):
    class LongProxy(IptablesProxy):
        def sync(self, services: ServiceTracker, now: float) -> Writes:
            if not services.ports:
                mock_clock.jump(6.0)  # the first
            return super().sync(services, now)

    bed = Bed(lambda bed, _mode: LongProxy(NODE, SETTINGS, NetnsRules(bed.root)))
    nursery.start_soon(bed.proxy.run)
    await wait_all_tasks_blocked()
    bed.cache.put("Service", service(1))
    mock_clock.jump(LONGEST_PAUSE)
    await wait_all_tasks_blocked()
    assert [report.changed for report in bed.reports] == [0, 1]
    assert LONGEST_PAUSE <= 0.1


async def test_each_change_is_one_sync_of_what_changed(nursery, autojump_clock):
    bed = Bed(listed=(*(service(number) for number in range(1, 4)), slice_of(1, "10.244.0.5")))
    nursery.start_soon(bed.proxy.run)
    await settle()
    assert [report.changed for report in bed.reports] == [3]
    bed.cache.put("EndpointSlice", slice_of(2, "10.244.0.6"))
    await settle()
    assert (bed.reports[-1].number, bed.reports[-1].changed, bed.reports[-1].ports) == (2, 1, ("default/s2",))
    bed.cache.replace("Service", [service(number) for number in range(2, 4)])
    await settle()
    assert bed.reports[-1].ports == ("default/s1",)
    assert "10.96.0.1/32" not in bed.save("nat")
    bed.cache.remove("EndpointSlice", slice_of(2))
    await settle()
    assert "DNAT" not in bed.save("nat")


async def test_the_sysctls_are_set_before_the_first_rules(nursery, autojump_clock):
    bed = Bed()
    assert bed.root.sysctl.get("net.ipv4.conf.all.route_localnet") == "0"
    nursery.start_soon(bed.proxy.run)
    await settle()
    names = ("conf.all.route_localnet",)
    assert [bed.root.sysctl.get(f"net.ipv4.{name}") for name in names] == ["1"]
    assert bed.root.sysctl.get("net.netfilter.nf_conntrack_max") == "131072"
    assert bed.root.sysctl.get("net.netfilter.nf_conntrack_tcp_timeout_established") == "86400"


class FailingProxy(IptablesProxy):
    """Writes one line too many as long as `broken`."""

    broken = True

    def sync(self, services: ServiceTracker, now: float) -> Writes:
        writes = super().sync(services, now)
        return Writes(iptables=writes.iptables + "*nat\n-A NOWHERE -j ACCEPT\nCOMMIT\n") if self.broken else writes


async def test_a_refused_text_is_told_and_written_anew_later(nursery, autojump_clock):
    rules: list[FailingProxy] = []

    def make(bed: Bed, mode: str) -> Proxier:
        rules.append(FailingProxy(NODE, SETTINGS, NetnsRules(bed.root)))
        return rules[0]

    bed = Bed(make, listed=(service(1), slice_of(1, "10.244.0.5")))
    began = trio.current_time()
    nursery.start_soon(bed.proxy.run)
    await settle()
    assert "kube-proxy's rules were refused" in bed.log.getvalue()
    assert "NOWHERE" in bed.log.getvalue()
    assert not bed.reports
    rules[0].broken = False
    await trio.sleep_until(began + SYNC_PERIOD - 1)
    assert not bed.reports
    await trio.sleep(2)
    assert len(bed.reports) == 1
    assert bed.save("nat").count("-j KUBE-POSTROUTING") == 1
    assert bed.save("filter").count("-A INPUT") == 4


async def test_rules_that_were_flushed_come_back(nursery, autojump_clock):
    bed = Bed(listed=(service(1), slice_of(1, "10.244.0.5")))
    nursery.start_soon(bed.proxy.run)
    await settle()
    saved = {table: bed.save(table) for table in ("filter", "nat", "mangle")}
    await trio.sleep(SYNC_PERIOD - 1)
    for table in ("mangle", "filter", "nat"):  # as a script does it, a command after the other
        iptables(bed.root.netfilter, ["-t", table, "-F"])
        iptables(bed.root.netfilter, ["-t", table, "-X"])
        await trio.sleep(1.5)
    await trio.sleep(SYNC_PERIOD)
    assert {table: bed.save(table) for table in saved} == saved
    assert len(bed.reports) == 2
    assert "were flushed" in bed.log.getvalue()


async def test_everything_is_written_anew_each_hour(nursery, autojump_clock):
    bed = Bed(listed=(service(1), slice_of(1, "10.244.0.5")))
    nursery.start_soon(bed.proxy.run)
    await settle()
    saved = bed.save("nat")
    iptables(bed.root.netfilter, ["-t", "nat", "-F", "KUBE-POSTROUTING"])
    await trio.sleep(FULL_SYNC_PERIOD - 1)
    assert bed.save("nat") != saved
    await trio.sleep(2)
    assert bed.save("nat") == saved


class OtherProxy:
    """Another mode: one chain of its own."""

    def __init__(self, *, refuses: bool = False) -> None:
        self._refuses = refuses

    def sync(self, services: ServiceTracker, now: float) -> Writes:
        services.take_changes()
        return Writes(iptables="*nat\n:OTHER - [0:0]\nCOMMIT\n")

    def next_sync(self) -> float | None:
        return None

    def forget(self) -> None: ...

    def cleanup(self) -> Writes:
        return Writes(iptables="*nat\n-X NOTHING\nCOMMIT\n" if self._refuses else "*nat\n-X OTHER\nCOMMIT\n")


@pytest.mark.parametrize("refuses", [False, True])
async def test_a_mode_is_changed_by_the_clusters_configuration(nursery, autojump_clock, refuses: bool):
    def make(bed: Bed, mode: str) -> Proxier:
        if mode == "strange":
            raise UnknownModeError(mode)
        return OtherProxy(refuses=refuses) if mode == "nftables" else bed.iptables(mode)

    bed = Bed(make, listed=(configuration.config_map("iptables"), service(1), slice_of(1, "10.244.0.5")))
    nursery.start_soon(bed.proxy.run)
    await settle()
    saved = bed.save("nat")

    async def configure(mode: str) -> None:
        bed.cache.put(CONFIGURED_BY, configuration.config_map(mode))
        await settle()

    await configure("nftables")
    assert (bed.proxy.mode, bed.reports[-1].mode) == ("nftables", "nftables")
    assert ":OTHER" in bed.save("nat")
    assert "KUBE" not in bed.save("nat") + bed.save("filter") + bed.save("mangle")
    await configure("strange")
    assert bed.proxy.mode == "nftables"
    assert 'proxy mode \\"strange\\" is not there' in bed.log.getvalue()
    bed.cache.remove(CONFIGURED_BY, configuration.config_map("nftables"))
    await settle()
    assert bed.proxy.mode == "nftables"
    await configure("iptables")
    assert bed.proxy.mode == "iptables"
    assert (bed.save("nat") == saved) is not refuses
    assert ("old rules stay" in bed.log.getvalue()) is refuses


async def test_settings_are_changed_by_the_clusters_configuration(nursery, autojump_clock):
    bed = Bed(listed=(configuration.config_map("iptables"), service(1), slice_of(1, "10.244.0.5")))
    nursery.start_soon(bed.proxy.run)
    await settle()
    saved = bed.save("nat")

    async def configure(text: str) -> None:
        bed.cache.put(CONFIGURED_BY, configuration.config_map("iptables") | {"data": {configuration.KEY: text}})
        await settle()

    await configure("nodePortAddresses: [172.18.0.0/16]\n")
    assert "-d 172.18.0.2/32" in bed.save("nat")
    assert "--dst-type LOCAL" not in bed.save("nat")
    syncs = len(bed.reports)
    await configure("nodePortAddresses: [172.18.0.0/16]\n# the same\n")
    assert len(bed.reports) == syncs
    await configure("nodePortAddresses: [172.18.0.0]\n")
    assert "kube-proxy keeps its settings" in bed.log.getvalue()
    assert "-d 172.18.0.2/32" in bed.save("nat")
    await configure("mode: iptables\n")
    assert bed.save("nat") == saved


async def test_udp_entries_of_changed_services_are_cleaned_and_no_others(nursery, autojump_clock):
    bed = Bed(
        listed=(
            *(service(number, "UDP") for number in (1, 2)),
            *(slice_of(number, "10.244.0.5", protocol="UDP") for number in (1, 2)),
        )
    )
    nursery.start_soon(bed.proxy.run)
    await settle()
    conntrack = bed.root.netfilter.conntrack
    for number in (1, 2):
        entry = f"src=10.244.0.9 dst=10.96.0.{number} sport=5{number} dport=80"
        reply = f"src=10.244.0.5 dst=10.244.0.9 sport=8080 dport=5{number}"
        conntrack.load(f"ipv4     2 udp      17 29 {entry} {reply} mark=0 use=1\n")
    bed.cache.put("EndpointSlice", slice_of(1, "10.244.0.6", protocol="UDP"))
    await settle()
    left = {str(IPv4Address(connection.original.daddr)) for connection in conntrack}
    assert left == {"10.96.0.2"}


async def test_objects_of_other_names_configure_nothing(nursery, autojump_clock):
    bed = Bed()
    nursery.start_soon(bed.proxy.run)
    await settle()
    other: dict[str, Any] = configuration.config_map("nftables")
    other["metadata"] |= {"name": "other"}
    bed.cache.put(CONFIGURED_BY, other)
    await settle()
    assert bed.proxy.mode == "iptables"


async def test_another_zone_of_the_node_is_another_choice_of_endpoints(nursery, autojump_clock):
    near = slice_of(1, "10.244.0.5", "10.244.0.6")
    for endpoint, zone in zip(near["endpoints"], ("zone-a", "zone-b"), strict=True):
        endpoint |= {"zone": zone, "hints": {"forZones": [{"name": zone}]}}
    bed = Bed(listed=(service(1), near))
    nursery.start_soon(bed.proxy.run)
    await settle()
    assert bed.save("nat").count("DNAT") == 2

    async def move(name: str, zone: str) -> None:
        labels = {"topology.kubernetes.io/zone": zone}
        bed.cache.put("Node", {"kind": "Node", "metadata": {"name": name, "labels": labels}})
        await settle()

    await move("node-b", "zone-b")
    assert bed.save("nat").count("DNAT") == 2
    await move("node-a", "zone-b")
    assert [line.split()[-1] for line in bed.save("nat").splitlines() if "DNAT" in line] == ["10.244.0.6:8080"]
    assert bed.save("nat").count("-j KUBE-POSTROUTING") == 1
    syncs = len(bed.reports)
    await move("node-a", "zone-b")
    assert len(bed.reports) == syncs
