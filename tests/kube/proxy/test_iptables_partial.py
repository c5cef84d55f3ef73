"""Partial syncs of iptables mode: the rules are those of a full sync, and the text grows with the change."""

from __future__ import annotations

import random
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from emulator.kernel.kernel import Kernel
from emulator.kernel.netns import Netns
from emulator.kube.proxy.apply import apply_writes
from emulator.kube.proxy.iptables.iptables import IptablesProxy
from emulator.kube.proxy.iptables.node import NetnsRules
from emulator.kube.proxy.settings import FULL_SYNC_PERIOD, SYNC_PERIOD, ProxySettings
from emulator.kube.proxy.tracker import ServiceTracker

from .changes import ROUNDS, Change, endpoint_slice, put_many, service
from .test_iptables import NODE
from .test_iptables_facts import lines


class Bed:
    """A node of ours whose rules a proxier keeps."""

    def __init__(self) -> None:
        self.netns = Netns(Kernel("node-a", random.Random(1), 0.0), "root")
        self.proxy = IptablesProxy(NODE, ProxySettings(), NetnsRules(self.netns))

    def sync(self, tracker: ServiceTracker, now: float) -> str:
        writes = self.proxy.sync(tracker, now)
        apply_writes(self.netns, writes)
        return writes.iptables

    def save(self) -> str:
        return self.netns.netfilter.save()


def copy_of(tracker: ServiceTracker) -> ServiceTracker:
    fresh = ServiceTracker()
    fresh.ports, fresh.endpoints = tracker.ports, tracker.endpoints
    return fresh


@settings(max_examples=50, deadline=None)
@given(ROUNDS, st.booleans())
def test_partial_syncs_end_where_a_full_one_does(rounds: list[list[Change]], almost_large: bool) -> None:
    bed, tracker, now = Bed(), ServiceTracker(), 0.0
    if almost_large:
        put_many(tracker)
    bed.sync(tracker, now)
    for changes in rounds:
        for change in changes:
            change(tracker)
        now += 1.0
        bed.sync(tracker, now)
    fresh = Bed()
    fresh.sync(copy_of(tracker), 0.0)
    if bed.proxy.large:  # stale chains stay for a while there
        bed.sync(tracker, now + SYNC_PERIOD)
    assert bed.save() == fresh.save()
    bed.proxy.forget()
    bed.sync(tracker, now + 2 * SYNC_PERIOD)
    assert bed.save() == fresh.save()
    apply_writes(bed.netns, bed.proxy.cleanup())
    assert "KUBE" not in bed.save()


def slice_of(name: str, *hosts: int):
    return endpoint_slice(f"{name}-x", name, [{"addresses": [f"10.0.0.{host}"]} for host in hosts])


def cluster(services: int) -> ServiceTracker:
    tracker = ServiceTracker()
    for number in range(services):
        spec = {"clusterIP": f"10.97.{number // 250}.{number % 250}", "ports": [{"name": "a", "port": 80}]}
        tracker.put_service(service(f"s{number:05}", spec))
        tracker.put_slice(slice_of(f"s{number:05}", 1, 2))
    return tracker


@pytest.mark.parametrize("services", [3, 300])
def test_the_text_grows_with_the_change_and_not_with_the_number_of_services(services: int) -> None:
    bed, tracker = Bed(), cluster(services)
    bed.sync(tracker, 0.0)
    tracker.put_slice(slice_of("s00001", 1, 3))
    text = bed.sync(tracker, 1.0)
    # *nat, the SVC chain and a new SEP chain with 3 and 2 rules, the old one declared and deleted, COMMIT.
    assert len(text.splitlines()) == 11
    assert "KUBE-SERVICES" not in text
    assert bed.sync(tracker, 2.0) == ""
    tracker.put_slice(slice_of("s00001"))
    text = bed.sync(tracker, 3.0)
    edits = [line.partition(" -m ")[0] for line in text.splitlines() if line[0] == "-"]
    chain = next(line.split()[0][1:] for line in text.splitlines() if line.startswith(":KUBE-SVC"))
    assert edits[:2] == ["-I KUBE-SERVICES 1", "-D KUBE-SERVICES 2"]
    assert f"-X {chain}" in edits[2:]
    assert len(text.splitlines()) == 12


def test_what_stays_keeps_its_counters() -> None:
    bed, tracker = Bed(), cluster(3)
    bed.sync(tracker, 0.0)
    chains = bed.netns.netfilter.tables["nat"].chains
    kept = chains["KUBE-SERVICES"].rules[0]
    tracker.remove_service("ns", "s00001")
    bed.sync(tracker, 1.0)
    assert chains["KUBE-SERVICES"].rules[0] is kept
    assert len(chains["KUBE-SERVICES"].rules) == 3


def test_everything_is_written_anew_each_hour_and_after_a_flush() -> None:
    bed, tracker = Bed(), cluster(3)
    first = bed.sync(tracker, 0.0)
    assert bed.proxy.next_sync() == FULL_SYNC_PERIOD
    saved = bed.save()
    again = bed.sync(tracker, FULL_SYNC_PERIOD)
    assert "-I " in first
    assert "-I " not in again
    assert again.count("\n-A ") == first.count("\n-A ")
    assert bed.save() == saved
    bed.netns.netfilter.restore("*nat\nCOMMIT\n*filter\nCOMMIT\n*mangle\nCOMMIT\n")
    bed.proxy.forget()
    bed.sync(tracker, FULL_SYNC_PERIOD + 1)
    assert bed.save() == saved


def test_a_full_sync_removes_chains_that_somebody_else_left() -> None:
    """As a kube-proxy that was restarted finds them; chains of others stay."""
    bed = Bed()
    left = ":KUBE-SEP-AAAAAAAAAAAAAAAA - [0:0]\n:KUBE-SVC-AAAAAAAAAAAAAAAA - [0:0]\n:MINE - [0:0]\n"
    jump = "-A KUBE-SVC-AAAAAAAAAAAAAAAA -j KUBE-SEP-AAAAAAAAAAAAAAAA\n"
    bed.netns.netfilter.restore(f"*nat\n{left}{jump}COMMIT\n")
    bed.sync(cluster(1), 0.0)
    assert "AAAAAAAAAAAAAAAA" not in bed.save()
    assert ":MINE " in bed.save()


def test_large_clusters_remove_stale_chains_once_in_a_while() -> None:
    bed, tracker = Bed(), cluster(3)
    put_many(tracker)
    bed.sync(tracker, 0.0)
    assert bed.proxy.large
    tracker.put_slice(slice_of("s00001", 1, 7))
    assert "-X" not in bed.sync(tracker, 10.0)
    assert bed.proxy.next_sync() == SYNC_PERIOD
    tracker.put_slice(slice_of("s00001", 1, 2))  # the chain that was stale is in use again
    bed.sync(tracker, 20.0)
    text = bed.sync(tracker, SYNC_PERIOD)
    assert text.count("-X ") == 1
    assert bed.save().count(":KUBE-SEP-") == 6
    tracker.remove_service("ns", "many")
    assert "s00001:a -> " in bed.sync(tracker, 40.0)
    assert not bed.proxy.large


class RealNode:
    """A namespace of the real kernel."""

    def __init__(self, name: str) -> None:
        self._enter = ["ip", "netns", "exec", name]

    def run(self, *words: str, text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self._enter, *words], input=text, text=True, capture_output=True, check=False)

    def restore(self, text: str) -> None:
        done = self.run("iptables-restore", "--noflush", text=text)
        assert done.returncode == 0, (done.stderr, text)

    def save(self) -> list[str]:
        return lines(self.run("iptables-save").stdout)

    def has_rule(self, table: str, chain: str, rule: str) -> bool:
        words = ["iptables", "-t", table, "-C", chain, *rule.replace('"', "").split()]
        if '"' in rule:
            start, comment, end = rule.split('"')
            words = ["iptables", "-t", table, "-C", chain, *start.split(), comment, *end.split()]
        return self.run(*words).returncode == 0

    def chains(self, table: str) -> set[str]:
        saved = self.run("iptables-save", "-t", table).stdout.splitlines()
        return {line[1:].split()[0] for line in saved if line.startswith(":")}


@contextmanager
def real_node() -> Iterator[RealNode]:
    name = f"podwire-{uuid.uuid4().hex[:8]}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        yield RealNode(name)
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


@pytest.mark.kernel
@settings(max_examples=4, phases=[Phase.generate], deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ROUNDS)
def test_the_real_iptables_ends_there_too_and_with_nothing_after_the_cleanup(rounds: list[list[Change]]) -> None:
    ours, tracker = Bed(), ServiceTracker()
    with real_node() as real:
        proxy = IptablesProxy(NODE, ProxySettings(), real)
        for number, changes in enumerate([[], *rounds]):
            for change in changes:
                change(tracker)
            writes = proxy.sync(tracker, float(number))
            apply_writes(ours.netns, writes)
            if writes.iptables:
                real.restore(writes.iptables)
            assert lines(ours.save()) == real.save()
        proxy.forget()
        real.restore(proxy.sync(tracker, 100.0).iptables)
        fresh = Bed()
        fresh.sync(copy_of(tracker), 0.0)
        assert lines(fresh.save()) == real.save()
        real.restore(proxy.cleanup().iptables)
        assert not [line for line in real.save() if "KUBE" in line]
