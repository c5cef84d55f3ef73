"""nftables mode over time: what a transaction holds, and that many of them leave what one full sync writes."""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.kernel.kernel import Kernel
from emulator.kernel.netns import Netns
from emulator.kube.proxy.modes import make_proxier
from emulator.kube.proxy.nftables.nftables import STALE_FOR, NftablesProxy
from emulator.kube.proxy.settings import FULL_SYNC_PERIOD
from emulator.kube.proxy.tracker import ServiceTracker

from .nftables_cases import NODE, PREFIX, SETTINGS, endpoints, rules, service, tracker

SVC1 = "service-ULMVA6XW-ns1/svc1/tcp/p80"
STICKY = {"sessionAffinity": "ClientIP"}
RANGES = {"loadBalancerSourceRanges": ["203.0.113.0/25", "192.168.0.0/24"]}
LOCAL = {"externalTrafficPolicy": "Local"}
SPECS: list[dict[str, Any]] = [
    {},
    {"externalIPs": ["9.9.9.9"]},
    {"type": "NodePort", "internalTrafficPolicy": "Local"},
    {"type": "LoadBalancer", "ingress": ("1.2.3.4", "5.6.7.8")} | LOCAL,
    {"type": "LoadBalancer", "ingress": ("1.2.3.4",)} | RANGES | STICKY,
    STICKY | {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 30}}} | LOCAL | {"externalIPs": ["9.9.9.9"]},
    {"ports": [{"name": "p80", "port": 80}, {"name": "u", "port": 53, "protocol": "UDP"}]},
    {"ports": [{"name": "p80", "port": 8080}]} | STICKY,
]
ADDRESSES = ("10.180.0.1@node-a", "10.180.0.2@node-a", "10.180.1.1@node-b", "10.180.1.2@node-b-")
Change = tuple[str, int, Any]
NUMBERS = st.integers(1, 3)
CHANGES = st.one_of(
    st.tuples(st.just("service"), NUMBERS, st.sampled_from(SPECS)),
    st.tuples(st.just("no service"), NUMBERS, st.none()),
    st.tuples(st.just("endpoints"), NUMBERS, st.sets(st.sampled_from(ADDRESSES))),
    st.tuples(st.just("no endpoints"), NUMBERS, st.none()),
    st.tuples(st.just("wait"), st.just(0), st.sampled_from([0.5, 1.0, 3.0])),
    st.tuples(st.just("forget"), st.just(0), st.none()),
)


def apply(services: ServiceTracker, change: Change) -> None:
    what, number, value = change
    if what == "service":
        more = {"node_port": 30000 + number} if "type" in value else {}
        services.put_service(service(number, **value, **more))
    elif what == "no service":
        services.remove_service(f"ns{number}", f"svc{number}")
    elif what == "endpoints":
        services.put_slice(endpoints(number, *sorted(value)))
        services.put_slice(endpoints(number, *sorted(value)[:1], port=53, name="u", protocol="UDP"))
    elif what == "no endpoints":
        services.remove_slice(f"ns{number}", f"svc{number}-p80")


def netns() -> Netns:
    return Netns(Kernel("node-a", random.Random(1), 0.0), "root")


def contents(listing: str) -> list[str]:
    """Return the parts of a listing in an order of their own, since that of making is not the same for all."""
    listing = re.sub(r"elements = \{(.*?)\}", lambda found: str(sorted(found[1].split(","))), listing, flags=re.DOTALL)
    listing = re.sub(r"\s+", " ", listing.replace("\n\n", "\n").replace("\n\t}\n", "\n;;"))
    return sorted(listing.split(";;"))


@given(st.lists(CHANGES, max_size=12))
@settings(max_examples=60, deadline=None)
def test_many_changes_leave_what_one_full_sync_writes(changes: list[Change]) -> None:
    services, proxy, node, now = ServiceTracker(), NftablesProxy(NODE, SETTINGS), netns(), 0.0
    for change in changes:
        if change[0] == "wait":
            now += change[2]
        elif change[0] == "forget":
            proxy.forget()
        apply(services, change)
        node.netfilter.nft.load(proxy.sync(services, now).nft)
    node.netfilter.nft.load(proxy.sync(services, now).nft)
    full_due = now + FULL_SYNC_PERIOD
    while (due := proxy.next_sync()) is not None and due < full_due - FULL_SYNC_PERIOD / 2:
        node.netfilter.nft.load(proxy.sync(services, due).nft)
    fresh = netns()
    fresh.netfilter.nft.load(NftablesProxy(NODE, SETTINGS).sync(services, 0.0).nft)
    assert contents(node.netfilter.nft.list_ruleset()) == contents(fresh.netfilter.nft.list_ruleset())
    node.netfilter.nft.load(proxy.cleanup().nft)
    assert node.netfilter.nft.list_ruleset() == ""


def test_a_transaction_has_what_changed_and_nothing_else() -> None:
    """The counts are those of kube-proxy's TestSyncProxyRulesRepeated, less the chains that stay as they were."""
    services = tracker(service(1), endpoints(1, "10.0.3.1"), service(2), endpoints(2, "10.0.4.1"))
    proxy = NftablesProxy(NODE, SETTINGS)

    def sync(now: float = 0.0) -> list[str]:
        return proxy.sync(services, now).nft.splitlines()

    assert "ns2/svc2" in "".join(sync())
    assert sync() == []
    services.put_slice(endpoints(1, "10.0.3.2"))
    moved = sync()
    assert len(moved) == 9  # two chains made, emptied and given two rules each; the old endpoint's emptied
    assert "ns2/svc2" not in "".join(moved)
    services.put_slice(endpoints(1, "10.0.3.2", "10.0.3.3"))
    assert len(sync()) == 8  # kube-proxy writes the chain of 10.0.3.2 again: 12
    services.put_slice(endpoints(1))
    emptied = sync()
    assert (
        len(emptied) == 5
    )  # an element leaves service-ips, one is new in no-endpoint-services, three chains are empty
    assert [line.split()[0] for line in emptied] == ["delete", "add", "flush", "flush", "flush"]
    services.put_slice(endpoints(1, "10.0.3.2", "10.0.3.3"))
    assert len(sync()) == 14
    services.remove_service("ns1", "svc1")
    assert [line for line in sync() if "element" in line] == [
        f"delete element {PREFIX}cluster-ips {{ 172.30.0.41 }}",
        f"delete element {PREFIX}service-ips {{ 172.30.0.41 . tcp . 80 }}",
    ]


def test_the_work_of_a_change_does_not_grow_with_the_services() -> None:
    def change_of_one_among(count: int) -> int:
        pairs = [(service(n, clusterIP=f"172.30.1.{n}"), endpoints(n, "10.0.0.1")) for n in range(1, count + 1)]
        services, proxy = tracker(*(each for pair in pairs for each in pair)), NftablesProxy(NODE, SETTINGS)
        proxy.sync(services, 0.0)
        services.put_slice(endpoints(1, "10.0.0.2"))
        return len(proxy.sync(services, 1.0).nft)

    assert change_of_one_among(1) == change_of_one_among(200)


def test_stale_chains_go_a_second_after_they_were_emptied() -> None:
    services, proxy = tracker(service(1), endpoints(1, "10.0.3.1")), NftablesProxy(NODE, SETTINGS)
    proxy.sync(services, 10.0)
    full_due = proxy.next_sync()
    assert full_due == 10.0 + FULL_SYNC_PERIOD
    services.remove_service("ns1", "svc1")
    proxy.sync(services, 11.0)
    assert proxy.next_sync() == 11.0 + STALE_FOR
    assert proxy.sync(services, 11.9).nft == ""
    deleted = proxy.sync(services, 12.0).nft.splitlines()
    assert [line.split("-")[1] for line in deleted] == ["proxy endpoint", "proxy service"]
    assert all(line.startswith(f"delete chain {PREFIX}") for line in deleted)
    assert proxy.next_sync() == full_due
    assert proxy.sync(services, 13.0).nft == ""
    assert proxy.sync(services, full_due).nft.startswith("add table")


def test_a_chain_that_is_wanted_again_stays() -> None:
    services, proxy = tracker(service(1), endpoints(1, "10.0.3.1")), NftablesProxy(NODE, SETTINGS)
    proxy.sync(services, 0.0)
    services.put_slice(endpoints(1))
    proxy.sync(services, 0.0)
    services.put_slice(endpoints(1, "10.0.3.1"))
    back = proxy.sync(services, 5.0).nft  # long after it might have gone
    assert "delete chain" not in back
    assert len(rules(back, SVC1)) == 2
    assert proxy.next_sync() == FULL_SYNC_PERIOD


def test_after_a_flush_everything_is_written_and_what_is_left_over_goes() -> None:
    services, proxy, node = tracker(service(1), endpoints(1, "10.0.3.1")), NftablesProxy(NODE, SETTINGS), netns()
    load = node.netfilter.nft.load
    load(proxy.sync(services, 0.0).nft)
    before = node.netfilter.nft.list_ruleset()
    load("flush ruleset\n")
    proxy.forget()
    load(proxy.sync(services, 1.0).nft)
    assert node.netfilter.nft.list_ruleset() == before
    # Not flushed, but a Service went while its transaction failed: the old chains are found and deleted.
    services.remove_service("ns1", "svc1")
    proxy.sync(services, 2.0)
    proxy.forget()
    load(proxy.sync(services, 3.0).nft)
    assert not re.search("goto|dnat to", node.netfilter.nft.list_ruleset())
    load(proxy.sync(services, 4.0).nft)
    assert "svc1" not in node.netfilter.nft.list_ruleset()


def test_chains_of_a_new_table_need_not_be_emptied() -> None:
    services, node, other = tracker(service(1), endpoints(1, "10.0.3.1")), netns(), netns()
    node.netfilter.nft.load(make_proxier("nftables", NODE, SETTINGS, node).sync(services, 0.0).nft)
    other.netfilter.nft.load(NftablesProxy(NODE, SETTINGS).sync(services, 0.0).nft)
    assert node.netfilter.nft.list_ruleset() == other.netfilter.nft.list_ruleset()
    # A table that is there may hold anything, and whoever comes next has not written it.
    node.netfilter.nft.load(f"add rule {PREFIX}{SVC1} drop\n")
    proxy = make_proxier("nftables", NODE, SETTINGS, node)
    node.netfilter.nft.load(proxy.sync(services, 0.0).nft)
    assert contents(node.netfilter.nft.list_ruleset()) == contents(other.netfilter.nft.list_ruleset())


def test_who_keeps_a_shared_address_when_its_owner_goes() -> None:
    shared = {"externalIPs": ["9.9.9.9"]}
    services = tracker(*(each for n in (1, 2) for each in (service(n, **shared), endpoints(n, "10.0.0.1"))))
    proxy = NftablesProxy(NODE, SETTINGS)
    proxy.sync(services, 0.0)
    services.remove_service("ns1", "svc1")
    assert [line.partition("/")[0].rpartition("-")[2] for line in proxy.sync(services, 0.0).nft.splitlines()
            if "9.9.9.9" in line] == ["ips { 9.9.9.9 . tcp . 80 }", "ns2"]  # fmt: skip


class RealNft:
    """nft in a network namespace of its own."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *words: str, stdin: str = "") -> str:
        command = ["ip", "netns", "exec", self.name, "nft", *words]
        done = subprocess.run(command, input=stdin, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr + stdin
        return done.stdout


@pytest.fixture
def real_nft(request: pytest.FixtureRequest) -> Iterator[RealNft]:
    name = f"pwh-nft-{random.SystemRandom().getrandbits(40):x}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        yield RealNft(name)
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


@pytest.mark.kernel
def test_the_kernel_and_our_nft_hold_the_same_after_each_change(real_nft: RealNft) -> None:
    draw = random.Random(2026)
    services, proxy, node, now = ServiceTracker(), NftablesProxy(NODE, SETTINGS), netns(), 0.0
    for number in range(60):
        apply(services, _drawn(draw))
        now += draw.choice([0.2, 1.0])
        if number == 40:
            proxy.forget()
        script = proxy.sync(services, now).nft
        real_nft("-f", "-", stdin=script)
        node.netfilter.nft.load(script)
        assert contents(node.netfilter.nft.list_ruleset()) == contents(real_nft("list", "ruleset")), script
    real_nft("-f", "-", stdin=proxy.cleanup().nft)
    assert real_nft("list", "ruleset") == ""


def _drawn(draw: random.Random) -> Change:
    number = draw.randint(1, 3)
    what = draw.choice(["service", "service", "endpoints", "endpoints", "endpoints", "no service", "no endpoints"])
    value = draw.choice(SPECS) if what == "service" else draw.sample(ADDRESSES, draw.randint(0, len(ADDRESSES)))
    return what, number, value
