"""Why nft rules did not match, and what maps had for the packet: the packet goes the very same way."""

from __future__ import annotations

import pytest

from emulator.kernel.trace import Step, StepKind
from tests.bundle.maker import tcp
from tests.kernel.frames import ipv4
from tests.kernel.netfilter.test_considered import CLIENT, SERVER, Router, datagram

SETS = """
set hosts { type ipv4_addr; elements = { 10.0.9.9 } }
set full { type ipv4_addr; size 1; flags dynamic; elements = { 10.0.9.9 } }
map ways { type ipv4_addr . inet_proto . inet_service : verdict; elements = { 10.0.9.9 . udp . 53 : drop } }
map marks { type ipv4_addr : mark; elements = { 10.0.9.9 : 0x1 } }
"""


def router(*rules: str, more: str = SETS) -> Router:
    made = Router("")
    body = "\n".join(rules)
    chain = f"chain c {{ type filter hook forward priority 0;\n{body}\n}}"
    made.ns.netfilter.nft.load(f"table ip t {{\n{more}\n{chain}\n}}\n")
    return made


def rules(steps: list[Step]) -> list[Step]:
    return [step for step in steps if step.kind is StepKind.RULE]


@pytest.mark.parametrize(
    ("rule", "miss"),
    [
        ("ip daddr 10.9.0.0/16 drop", "ip daddr: 10.0.2.2; 10.9.0.0/16"),
        ("ip daddr != 10.0.2.2 drop", "ip daddr: 10.0.2.2; != 10.0.2.2"),
        ("ip saddr 10.9.0.1-10.9.0.7 drop", "ip saddr: 10.0.1.2; 10.9.0.1-10.9.0.7"),
        ("ip saddr @hosts drop", "ip saddr: 10.0.1.2; @hosts"),
        ("ip saddr != { 10.0.1.0/24, 10.9.9.9 } drop", "ip saddr: 10.0.1.2; != { 10.0.1.0/24, 10.9.9.9 }"),
        ("tcp dport 53 drop", "meta l4proto: udp; tcp"),
        ("meta l4proto tcp tcp dport 53 drop", "meta l4proto: udp; tcp"),
        ("udp dport > 53 drop", "udp dport: 53; > 53"),
        ("ct state established,related drop", "ct state: new; established,related"),
        ("ct state ! new drop", "ct state: new; ! new"),
        ("meta mark & 0x4000 != 0 drop", "meta mark & 0x00004000: 0x00000000; != 0x00000000"),
        ("iifname \"b*\" drop", "iifname: \"a\"; \"b*\""),
        ("oif \"a\" drop", "oif: \"b\"; \"a\""),
        ("fib saddr type local drop", "fib saddr type: unicast; local"),
        ("fib daddr . iif oif exists drop", "fib daddr . iif oif: missing; exists"),
        ("ip saddr . udp dport { 10.0.1.2 . 54 } drop", "ip saddr . udp dport: 10.0.1.2 . 53; { 10.0.1.2 . 54 }"),
        ("ip daddr . meta l4proto . th dport vmap @ways",
         "ip daddr . meta l4proto . th dport: 10.0.2.2 . udp . 53; an element of @ways"),
        ("ct state vmap { invalid : drop }", "ct state: new; an element of { invalid : drop }"),
        ("meta mark set ip saddr map @marks", "ip saddr: 10.0.1.2; an element of @marks"),
        ("add @full { ip saddr } drop", "@full: full; room for an element"),
        ("limit rate over 100/second drop", "limit rate over 100/second: ; "),
        ("numgen inc mod 2 1 drop", "numgen inc mod 2: ; 1"),
        ("ip saddr 10.0.1.2 udp dport 54 counter drop comment \"x\"", "udp dport: 53; 54"),
    ],
)  # fmt: skip
def test_the_statement_that_failed(rule: str, miss: str) -> None:
    assert router(rule).misses(datagram()) == [f"c:1 {miss}"]


def test_what_a_map_had() -> None:
    chains = """
    chain services { }
    chain endpoint-a { }
    map ways { type ipv4_addr . inet_proto . inet_service : verdict
      elements = { 10.0.2.2 . udp . 53 comment "default/dns" : goto services } }
    """
    first, second = rules(router(
        "numgen inc mod 2 vmap { 0 : jump endpoint-a, 1 : drop }",
        "ip daddr . meta l4proto . th dport vmap @ways",
        more=chains,
    ).send(datagram()))  # fmt: skip
    assert (first.detail["verdict"], first.detail["found"]) == ("endpoint-a", "0 : jump endpoint-a")
    assert second.detail["found"] == '10.0.2.2 . udp . 53 comment "default/dns" : goto services'
    assert second.detail["verdict"] == "services"


def test_nothing_is_found_where_nothing_is_looked_up() -> None:
    (step,) = rules(router("ip saddr 10.0.1.2 accept").send(datagram(), considered=False))
    assert "found" not in step.detail
    assert step.detail["verdict"] == "ACCEPT"


def test_verdicts_have_their_names() -> None:
    made = Router("")
    made.ns.netfilter.nft.load(
        "table ip t {\nchain n { type nat hook prerouting priority -100; udp dport 53 dnat to 10.0.2.2:54\n}\n"
        "chain f { type filter hook forward priority 0; udp dport 54 counter\nreject\n}\n}\n"
    )
    steps = rules(made.send(datagram("10.0.9.9")))
    assert [step.detail["verdict"] for step in steps] == ["DNAT", "CONTINUE", "REJECT"]


def test_looking_changes_nothing() -> None:
    """Counters, numbers in turn and limits go on as if nobody looked."""
    text = ("numgen inc mod 3 0 counter", "limit rate 2/second counter", "udp dport 54 counter", "counter")
    watched, unwatched = router(*text), router(*text)
    for _ in range(5):
        watched.send(datagram())
        unwatched.send(datagram(), considered=False)
    assert watched.ns.netfilter.nft.list_ruleset() == unwatched.ns.netfilter.nft.list_ruleset()


def test_rules_that_do_nothing_are_passed_over() -> None:
    """`log group` and `continue` have no step: the one that failed is still the right one."""
    made = router("log group 1 ip saddr 10.0.1.2 tcp dport 80 continue", "udp dport 54 continue")
    assert made.misses(datagram()) == ["c:1 meta l4proto: udp; tcp", "c:2 udp dport: 53; 54"]
    assert made.misses(ipv4(CLIENT, SERVER, 6, tcp(CLIENT, SERVER, 1, 2, 2)))[0] == "c:1 tcp dport: 2; 80"
