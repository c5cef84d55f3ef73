"""Each match and target: which rules it takes, and how they are saved again."""

from __future__ import annotations

import random

import pytest

from emulator.kernel.kernel import Kernel
from emulator.kernel.netfilter.error import RestoreError
from emulator.kernel.netfilter.match import MATCHES
from emulator.kernel.netfilter.netfilter import Netfilter
from emulator.kernel.netfilter.target import TARGETS
from emulator.kernel.netns import Netns
from tests.kernel.netfilter.router import Router, wire
from tests.kernel.netfilter.rule_files import RuleLine, read_rules

RULES = read_rules()


def fresh(line: RuleLine) -> Netfilter:
    netfilter = Netns(Kernel("machine", random.Random(1)), "test").netfilter
    netfilter.sets.restore(line.sets)
    return netfilter


def saved(netfilter: Netfilter, line: RuleLine) -> list[str]:
    prefix = f"-A {line.chain} "
    return [text.removeprefix(prefix) for text in netfilter.save(line.table).splitlines() if text.startswith(prefix)]


@pytest.mark.parametrize("line", [line for line in RULES if line.valid], ids=lambda line: f"{line.file}: {line.rule}")
def test_a_rule_is_saved_as_iptables_save_prints_it(line: RuleLine) -> None:
    netfilter = fresh(line)
    netfilter.restore(line.text)
    assert saved(netfilter, line) == [line.saved]
    text = netfilter.save()
    netfilter.restore(text)
    assert netfilter.save() == text


@pytest.mark.parametrize(
    "line", [line for line in RULES if not line.valid], ids=lambda line: f"{line.file}: {line.rule}"
)
def test_a_bad_rule_is_refused_with_its_line_and_changes_nothing(line: RuleLine) -> None:
    netfilter = fresh(line)
    with pytest.raises(RestoreError) as raised:
        netfilter.restore(line.text)
    assert raised.value.line in (3, 4)
    assert "\n" not in str(raised.value)
    assert netfilter.save() == ""
    assert netfilter.tables == {}


def test_every_match_and_target_has_a_table() -> None:
    files = {line.file for line in RULES}
    assert {f"match_{name}" for name in MATCHES} <= files
    plain = {"ACCEPT", "DROP", "RETURN", "NOTRACK"}  # in header.t and target_CT.t
    assert {f"target_{name}" for name in TARGETS if name not in plain} <= files


def test_a_memory_before_the_ports_is_asked_about_other_ports_too() -> None:
    """A run of similar rules may be skipped by port only where no packet would have changed what a rule remembers."""
    tests = ("-m statistic --mode nth --every 2 --packet 0", "-m limit --limit 1/hour --limit-burst 1")
    rules = "".join(f"-A FORWARD -p udp {test} -m udp --dport {port}\n" for test in tests for port in range(1, 6))
    router = Router(f"*filter\n{rules}COMMIT\n")
    for port in (1, 2):
        router.send("a", wire.udp("10.0.1.2", 1000, "10.0.2.2", port))
    counted = [rule.packets for rule in router.ns.netfilter.tables["filter"].chains["FORWARD"].rules]
    assert counted == [1, 0, 0, 0, 0, 1, 0, 0, 0, 0]
