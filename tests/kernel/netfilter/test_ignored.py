"""Rules that use what is not here: refused by name and line, or, if the user asks for it, kept without effect."""

from __future__ import annotations

import random

import pytest

from emulator.kernel.kernel import Kernel
from emulator.kernel.netfilter.error import RestoreError, Unknown
from emulator.kernel.netfilter.iptables.command import iptables
from emulator.kernel.netfilter.iptables.ignored import IgnoredLine
from emulator.kernel.netfilter.netfilter import Netfilter
from emulator.kernel.netns import Netns
from emulator.kernel.trace import StepKind
from tests.kernel.netfilter.router import Router, wire

RULES = """*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:ONE - [0:0]
-A FORWARD -s 10.0.0.0/8 -m geoip --country "6&0xFF=1 && 4 = 2" -j DROP
-A FORWARD -p tcp -m tcp --dport 80 -j TARPIT --gateway 10.0.0.1
-A FORWARD -p udp -m udp --new-test 5 -j DROP
-A FORWARD -j ONE
-A ONE -m nosuch -j DROP
COMMIT
"""
UNKNOWN = [
    (6, Unknown("match", "geoip")),
    (7, Unknown("target", "TARPIT")),
    (8, Unknown("option", "--new-test")),
    (10, Unknown("match", "nosuch")),
]


def fresh() -> Netfilter:
    return Netns(Kernel("machine", random.Random(1)), "test").netfilter


def test_they_are_kept_as_written_and_named() -> None:
    netfilter = fresh()
    assert netfilter.restore(RULES, ignore_unknown=True) == [IgnoredLine(*line) for line in UNKNOWN]
    assert netfilter.save() == RULES
    assert netfilter.restore(netfilter.save(counters=True), ignore_unknown=True, counters=True)
    assert netfilter.save() == RULES


@pytest.mark.parametrize(("line", "unknown"), UNKNOWN)
def test_without_being_asked_to_they_are_refused(line: int, unknown: Unknown) -> None:
    rule = RULES.splitlines()[line - 1]
    with pytest.raises(RestoreError, match=unknown.name) as raised:
        fresh().restore(f"*filter\n:ONE - [0:0]\n{rule}\nCOMMIT\n")
    assert (raised.value.line, raised.value.unknown) == (3, unknown)


def test_what_is_wrong_anywhere_is_refused_all_the_same() -> None:
    for rule in ("-A FORWARD -p tcp --dport 70000 -j DROP", "-A NO -m geoip -j DROP", "-A FORWARD -j ACCEPT word"):
        with pytest.raises(RestoreError) as raised:
            fresh().restore(f"*filter\n{rule}\nCOMMIT\n", ignore_unknown=True)
        assert (raised.value.line, raised.value.unknown) == (2, None)


def test_no_packet_matches_and_its_trace_says_so() -> None:
    router = Router()
    router.ns.netfilter.restore(RULES, ignore_unknown=True)
    assert len(router.send("a", wire.tcp("10.0.1.2", 1, "10.0.2.2", 80, wire.SYN), traced=True)) == 1
    chains = router.ns.netfilter.tables["filter"].chains
    assert [rule.packets for rule in chains["FORWARD"].rules + chains["ONE"].rules] == [0, 0, 0, 1, 0]
    steps = [step.detail for step in router.steps() if step.kind is StepKind.IGNORED]
    assert [(step["chain"], step["number"], step["unknown"]) for step in steps] == [
        ("FORWARD", 1, "match geoip"),
        ("FORWARD", 2, "target TARPIT"),
        ("FORWARD", 3, "option --new-test"),
        ("ONE", 1, "match nosuch"),
    ]
    assert steps[1]["rule"] == "-A FORWARD -p tcp -m tcp --dport 80 -j TARPIT --gateway 10.0.0.1"


def test_they_can_be_inserted_deleted_and_listed() -> None:
    netfilter = fresh()
    line = "INPUT -j TARPIT --gateway 1.2.3.4"
    text = f"*filter\n-A {line}\n-I INPUT 1 -m geoip --country 1\n-D {line}\n"
    assert [line.line for line in netfilter.restore(text + "COMMIT\n", ignore_unknown=True)] == [2, 3, 4]
    assert iptables(netfilter, ["-S", "INPUT"]) == "-P INPUT ACCEPT\n-A INPUT -m geoip --country 1\n"
    assert iptables(netfilter, ["-nL", "INPUT"]).splitlines()[2].split() == (
        ["(ignored)", "0", "--", "0.0.0.0/0", "0.0.0.0/0", "-m", "geoip", "--country", "1"]
    )
