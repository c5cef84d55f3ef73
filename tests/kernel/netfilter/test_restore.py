"""Loading rules: table by table, what --noflush keeps, counters, and every error with its line."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.kernel.kernel import Kernel
from emulator.kernel.netfilter.error import RestoreError, RuleError
from emulator.kernel.netfilter.iptables import words
from emulator.kernel.netfilter.netfilter import Netfilter
from emulator.kernel.netns import Netns
from tests.kernel.netfilter.kube_rules import kube_proxy_rules
from tests.kernel.netfilter.router import Router, wire
from tests.kernel.netfilter.rule_files import read_rules

BEFORE = """*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:ONE - [0:0]
-A INPUT -s 10.0.0.1/32 -j ONE
-A ONE -j ACCEPT
COMMIT
"""


def fresh(text: str = "") -> Netfilter:
    netfilter = Netns(Kernel("machine", random.Random(1)), "test").netfilter
    if text:
        netfilter.restore(text)
    return netfilter


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("*filter\n-A NOPE -j ACCEPT\nCOMMIT\n", 2, "No chain/target/match by that name."),
        ("*filter\n-A INPUT -j ACCEPT\n", 3, "COMMIT expected at line 3"),
        ("*nosuch\nCOMMIT\n", 1, "table name 'nosuch' invalid"),
        ("COMMIT\n", 1, "outside of a table"),
        ("-A INPUT -j DROP\n", 1, "outside of a table"),
        ("*filter\n*nat\nCOMMIT\n", 2, "Bad argument `*nat'"),
        ("*filter\n:A - [0:0]\n:B - [0:0]\n-A A -j B\n-A B -j A\n-A INPUT -j A\nCOMMIT\n", 6, "Too many links"),
        ("*filter\n:A - [0:0]\n-A A -j A\n-A INPUT -j A\nCOMMIT\n", 4, "Too many links"),
        ("*filter\n:A - [0:0]\n-A INPUT -j A\n-X A\nCOMMIT\n", 4, "busy"),
        ("*filter\n-A INPUT -j FORWARD\nCOMMIT\n", 2, "not supported"),
        ("*filter\n:INPUT FOO [0:0]\nCOMMIT\n", 2, "Bad policy name."),
        ("*filter\n:INPUT\nCOMMIT\n", 2, "policy invalid"),
        ("*filter\n-A INPUT -o eth0 -j ACCEPT\nCOMMIT\n", 2, "Can't use -o with INPUT"),
        ("*nat\n-A POSTROUTING -i eth0\nCOMMIT\n", 2, "Can't use -i with POSTROUTING"),
        ("*nat\n-A PREROUTING -j REJECT\nCOMMIT\n", 2, "REJECT is for table filter"),
        ("*nat\n-A PREROUTING -j DROP\nCOMMIT\n", 2, "not intended for filtering"),
        ("*nat\n:A - [0:0]\n-A OUTPUT -j A\n-A A -j MASQUERADE\nCOMMIT\n", 4, "MASQUERADE in chain A is reached from"),
        ("*filter\n-D INPUT -s 1.2.3.4 -j DROP\nCOMMIT\n", 2, "does a matching rule exist"),
        ("*filter\n-D INPUT 9\nCOMMIT\n", 2, "Index of deletion too big."),
        ("*filter\n-I INPUT 9 -j DROP\nCOMMIT\n", 2, "Index of insertion too big."),
        ("*filter\n-I INPUT 0 -j DROP\nCOMMIT\n", 2, "Invalid rule number `0'"),
        ("*filter\n-R INPUT 2 -j DROP\nCOMMIT\n", 2, "Index of replacement too big."),
        ("*filter\n-N INPUT\nCOMMIT\n", 2, "Chain already exists."),
        ("*filter\n:ACCEPT - [0:0]\nCOMMIT\n", 2, "may not clash with target name"),
        ("*filter\n:-x - [0:0]\nCOMMIT\n", 2, "not allowed to start with `-'"),
        ("*filter\n:" + "x" * 29 + " - [0:0]\nCOMMIT\n", 2, "too long (must be under 29 chars)"),
        ("*filter\ngarbage\nCOMMIT\n", 2, "Bad argument `garbage'"),
        ("*filter\n-Q INPUT\nCOMMIT\n", 2, 'unknown option "-Q"'),
        ("*filter\n-A\nCOMMIT\n", 2, "requires an argument"),
        ("*filter\n[1:2]\nCOMMIT\n", 2, "no command"),
        ('*filter\n-A INPUT -m comment --comment "open -j DROP\nCOMMIT\n', 2, "quote is not closed"),
        ("*filter\n# a comment\n\n-A INPUT -m geoip --country 0 -j DROP\nCOMMIT\n", 4, "Couldn't load match `geoip'"),
        ("*filter\n-A INPUT -m set --match-set x src -j DROP\nCOMMIT\n", 2, "Set x doesn't exist."),
        ("*filter\n:A - [0:0]\n:B - [0:0]\n-A A -j B\n-A INPUT -j A\n-A B -j A\n-A B -j ACCEPT\nCOMMIT\n", 6, "loop"),
        ("*filter\n*filter\nCOMMIT\n", 2, "Bad argument `*filter'"),
        ("*filter\n  COMMIT\n", 2, "Bad argument `COMMIT'"),
        ("*filter\n-E ONE INPUT\nCOMMIT\n", 2, "File exists."),
        ("*filter\n-E INPUT TWO\nCOMMIT\n", 2, "CHAIN_RENAME failed"),
        ("*filter\n-X INPUT\nCOMMIT\n", 2, "Directory not empty."),
        ("*filter\n-X\nCOMMIT\n", 2, "CHAIN_DEL failed (Device or resource busy): chain ONE (it has rules)"),
    ],
)  # fmt: skip
def test_an_error_names_its_line_and_nothing_changes(text: str, line: int, message: str) -> None:
    """Fault 36."""
    netfilter = fresh(BEFORE)
    with pytest.raises(RestoreError) as raised:
        netfilter.restore(text, noflush=True)
    assert (raised.value.line, message in str(raised.value)) == (line, True), str(raised.value)
    assert netfilter.save() == BEFORE


def test_an_error_leaves_the_tables_before_it_changed() -> None:
    netfilter = fresh(BEFORE)
    text = "*mangle\n-A INPUT -j ACCEPT\nCOMMIT\n*filter\n-F\n-A NOPE -j ACCEPT\nCOMMIT\n*raw\n-A OUTPUT\nCOMMIT\n"
    with pytest.raises(RestoreError) as raised:
        netfilter.restore(text, noflush=True)
    assert (raised.value.line, raised.value.message) == (6, "No chain/target/match by that name.")
    assert sorted(netfilter.tables) == ["filter", "mangle"]
    assert "-A INPUT -j ACCEPT" in netfilter.save("mangle")
    assert netfilter.save("filter") == BEFORE


def test_testing_changes_nothing_and_checks_words() -> None:
    netfilter = fresh(BEFORE)
    netfilter.restore("*filter\n-A NOPE -j ACCEPT\n-D INPUT 99\nCOMMIT\n*nat\n-A OUTPUT\nCOMMIT\n", testing=True)
    with pytest.raises(RestoreError, match="70000"):
        netfilter.restore("*filter\n-A INPUT -p tcp --dport 70000\nCOMMIT\n", testing=True)
    assert netfilter.save() == BEFORE


def test_a_table_with_nothing_in_it_goes() -> None:
    router = Router(BEFORE + "*mangle\n:FORWARD DROP [0:0]\nCOMMIT\n")
    netfilter = router.ns.netfilter
    assert router.send("a", wire.udp("10.0.1.2", 1, "10.0.2.2", 2)) == []
    netfilter.restore("*mangle\nCOMMIT\n", noflush=True)
    assert router.send("a", wire.udp("10.0.1.2", 1, "10.0.2.2", 2)) == []
    netfilter.restore("*mangle\nCOMMIT\n")
    assert netfilter.save() == BEFORE
    assert len(router.send("a", wire.udp("10.0.1.2", 1, "10.0.2.2", 2))) == 1


def test_sixteen_chains_in_one_another_are_too_deep() -> None:
    def text(depth: int) -> str:
        names = [f"C{n}" for n in range(depth)]
        jumps = "".join(f"-A {a} -j {b}\n" for a, b in zip(["INPUT", *names], names, strict=False))
        return "*filter\n" + "".join(f":{name} - [0:0]\n" for name in names) + jumps + "COMMIT\n"

    fresh(text(15))
    with pytest.raises(RestoreError, match="Too many links"):
        fresh(text(16))


def test_a_loop_that_no_packet_can_reach_is_no_error() -> None:
    netfilter = fresh("*filter\n:A - [0:0]\n:B - [0:0]\n-A A -j B\n-A B -j A\nCOMMIT\n")
    chains = netfilter.tables["filter"].chains
    assert [len(chains[name].rules) for name in "AB"] == [1, 1]


def test_noflush_keeps_what_is_not_named() -> None:
    netfilter = fresh(BEFORE)
    rule = netfilter.tables["filter"].chains["INPUT"].rules[0]
    rule.packets = 7
    netfilter.restore(
        "*filter\n:ONE - [0:0]\n:TWO - [0:0]\n-A ONE -j TWO\n-I INPUT 1 -p udp -j TWO\nCOMMIT\n", noflush=True
    )
    assert netfilter.save() == BEFORE.replace(":ONE - [0:0]\n", ":ONE - [0:0]\n:TWO - [0:0]\n").replace(
        "-A INPUT -s", "-A INPUT -p udp -j TWO\n-A INPUT -s"
    ).replace("-A ONE -j ACCEPT", "-A ONE -j TWO")
    assert netfilter.tables["filter"].chains["INPUT"].rules[1].packets == 7


def test_without_noflush_a_table_begins_anew_and_others_stay() -> None:
    netfilter = fresh(BEFORE)
    netfilter.restore("*nat\n-A POSTROUTING -j MASQUERADE\nCOMMIT\n")
    netfilter.restore("*filter\n-A FORWARD -j ACCEPT\nCOMMIT\n")
    assert "ONE" not in netfilter.save()
    assert ":INPUT ACCEPT" in netfilter.save("filter")
    assert "MASQUERADE" in netfilter.save("nat")


def test_counters_are_taken_only_if_asked_for() -> None:
    chains = ":INPUT DROP [7:700]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"
    text = f"*filter\n{chains}[9:900] -A INPUT -j ACCEPT\nCOMMIT\n"
    netfilter = fresh()
    netfilter.restore(text, counters=True)
    assert netfilter.save(counters=True) == text
    netfilter.restore(text)
    assert "[0:0] -A INPUT -j ACCEPT" in netfilter.save(counters=True)


def test_only_the_tables_asked_for() -> None:
    netfilter = fresh()
    netfilter.restore("*filter\nnonsense\nCOMMIT\n*nat\n-A POSTROUTING -j MASQUERADE\nCOMMIT\n", tables=["nat"])
    assert list(netfilter.tables) == ["nat"]


def test_an_empty_table_is_not_loaded() -> None:
    netfilter = fresh("*mangle\nCOMMIT\n")
    assert netfilter.save() == ""
    assert not netfilter.conntrack.enabled


def test_conntrack_is_on_as_long_as_a_rule_needs_it() -> None:
    assert not fresh(BEFORE).conntrack.enabled
    assert fresh("*filter\n:A - [0:0]\n-A A -m conntrack --ctstate NEW\nCOMMIT\n").conntrack.enabled
    assert not fresh("*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp\nCOMMIT\n").conntrack.enabled
    assert not fresh("*raw\n-A PREROUTING -j NOTRACK\n-A PREROUTING -j CT --notrack\nCOMMIT\n").conntrack.enabled
    assert fresh("*raw\n-A PREROUTING -j CT --zone 4\nCOMMIT\n").conntrack.enabled
    netfilter = fresh("*nat\n-A POSTROUTING -j MASQUERADE\nCOMMIT\n*mangle\n-A INPUT -j CONNMARK --save-mark\nCOMMIT\n")
    assert netfilter.conntrack.enabled
    netfilter.restore("*nat\nCOMMIT\n")
    assert netfilter.conntrack.enabled
    netfilter.restore("*mangle\nCOMMIT\n")
    assert not netfilter.conntrack.enabled


def test_kube_proxys_rules_survive_saving() -> None:
    netfilter = fresh(kube_proxy_rules(20))
    text = netfilter.save()
    assert fresh(text).save() == text


FORWARD_RULES = [
    line.saved
    for line in read_rules()
    if line.valid and not line.sets and (line.table, line.chain) == ("filter", "FORWARD")
]
CHAINS = ["INPUT", "FORWARD", "OUTPUT", "CH", "OTHER"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(CHAINS[3:]), st.sampled_from(FORWARD_RULES)), max_size=12), st.booleans())
def test_what_is_saved_is_loaded_as_the_same(rules: list[tuple[str, str]], drop: bool) -> None:
    body = "".join(f"-A {chain} {rule}\n" for chain, rule in rules if not (chain == "CH" and "CH" in rule.split()))
    policy = "DROP" if drop else "ACCEPT"
    body = "".join(line + "\n" for line in body.splitlines() if not ("-A OTHER" in line and line.split()[-1] == "NONE"))
    text = f"*filter\n:FORWARD {policy} [0:0]\n:CH - [0:0]\n:OTHER - [0:0]\n{body}COMMIT\n"
    saved = fresh(text).save()
    assert fresh(saved).save() == saved
    assert saved.count("\n-A ") == body.count("-A ")


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.sampled_from('*:-[]0123456789 \n"!/,.APINUTCOMfilternatjsdpmACEDROP'), max_size=200))
def test_any_text_is_loaded_or_refused_with_a_line(text: str) -> None:
    netfilter = fresh()
    line = 1
    try:
        netfilter.restore(text)
    except RestoreError as error:
        line = error.line
    assert 1 <= line <= text.count("\n") + 2
    saved = netfilter.save()
    assert fresh(saved).save() == saved


WORDS = st.text(alphabet=st.sampled_from('ab \t"\\'), max_size=24)


@settings(max_examples=300, deadline=None)
@given(WORDS)
def test_the_short_way_of_splitting_is_the_long_one(line: str) -> None:
    results = []
    for function in (words.split, words.split_quoted):
        try:
            results.append(function(line))
        except RuleError as error:
            results.append([str(error)])
    assert results[0] == results[1]


@pytest.mark.parametrize(
    "rule",
    [
        "-I FORWARD ² -j ACCEPT",
        "-D FORWARD ²",
        "-A FORWARD -c ² ² -j ACCEPT",
        "-A FORWARD -p tcp -m tcp --dport " + "9" * 1000 + " -j ACCEPT",
        "-A FORWARD -p tcp -m tcp --dport " + "9" * 5000 + " -j ACCEPT",
        "-A FORWARD -m limit --limit " + "9" * 5000 + "/s -j ACCEPT",
    ],
)
def test_numbers_that_int_refuses(rule: str) -> None:
    with pytest.raises(RestoreError) as caught:
        Router(f"*filter\n{rule}\nCOMMIT\n")
    assert caught.value.line == 2


def test_the_longest_word() -> None:
    """As `iptables-restore` 1.8.9 has it: 1,023 characters."""
    assert words.split(f"-A F {'x' * 1023}")[2] == "x" * 1023
    for line in (f"-A F {'x' * 1024}", f'-A F "{"x" * 1024}"'):
        with pytest.raises(RuleError, match="Parameter too long!"):
            words.split(line)


def test_a_list_of_recent_addresses_ends_with_the_last_rule_that_names_it() -> None:
    router = Router("*filter\n-A FORWARD -m recent --name one --set\n-A FORWARD -m recent --name two --set\nCOMMIT\n")
    netfilter = router.ns.netfilter
    router.send("a", wire.udp("10.0.1.2", 1, "10.0.2.2", 2))
    assert sorted(netfilter.recent) == ["one", "two"]
    netfilter.restore("*filter\n-A FORWARD -m recent --name one --rcheck -j ACCEPT\nCOMMIT\n")
    assert list(netfilter.recent) == ["one"]
    assert len(netfilter.recent["one"].entries) == 1
    netfilter.restore("*nat\n-A POSTROUTING -m recent --name one --set\nCOMMIT\n*filter\nCOMMIT\n")
    assert list(netfilter.recent) == ["one"]
