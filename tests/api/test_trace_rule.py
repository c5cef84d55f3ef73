"""Rules of nftables in a trace: the same words as those of iptables, and what maps had for the packet."""

from __future__ import annotations

from emulator.api.messages import TraceOutcome
from emulator.api.trace.rule import miss_text, rule_text
from emulator.api.trace.verdict import verdict
from tests.api.test_trace_text import NAMES, step

TABLE = {"table": "ip kube-proxy"}
DISPATCH = "ip daddr . meta l4proto . th dport vmap"


def test_a_map_is_shown_with_what_it_had() -> None:
    rule = TABLE | {"chain": "services", "number": "1", "rule": f"{DISPATCH} @service-ips", "verdict": "service-X"}
    found = "10.96.0.10 . udp . 53 : goto service-X"
    assert rule_text(rule | {"found": found}) == (
        f"services:1 → service-X  {DISPATCH} @service-ips  found: 10.96.0.10 . udp . 53"
    )


def test_choices_are_not_listed_where_one_was_made() -> None:
    rule = "numgen random mod 2 vmap { 0 : goto endpoint-A, 1 : goto endpoint-B }"
    detail = TABLE | {"chain": "service-X", "number": "2", "rule": rule, "verdict": "endpoint-B"}
    assert rule_text(detail | {"found": "1 : goto endpoint-B"}) == (
        "service-X:2 → endpoint-B  numgen random mod 2 vmap  found: 1"
    )
    assert rule_text(detail).endswith(rule)


def test_data_of_a_map_is_shown() -> None:
    detail = TABLE | {"chain": "c", "number": "1", "rule": "dnat ip to tcp dport map @m", "verdict": "DNAT"}
    assert rule_text(detail | {"found": "8080 : 10.0.2.2 . 80"}).endswith("found: 8080 : 10.0.2.2 . 80")


def test_comments_come_first_and_verdicts_once() -> None:
    rule = 'fib saddr type local goto service-X comment "short-circuit local traffic"'
    detail = TABLE | {"chain": "external-X", "number": "3", "rule": rule, "verdict": "service-X"}
    assert rule_text(detail) == 'external-X:3 → service-X  "short-circuit local traffic"  fib saddr type local'
    alone = TABLE | {"chain": "reject-chain", "number": "1", "rule": "reject", "verdict": "REJECT"}
    assert rule_text(alone) == "reject-chain:1 → REJECT"
    assert rule_text(alone | {"rule": "reject with tcp reset"}).endswith("REJECT  reject with tcp reset")


def test_why_a_rule_did_not_match() -> None:
    place = TABLE | {"chain": "services", "number": "2"}
    miss = place | {"test": "ip daddr", "seen": "10.0.0.1", "wanted": "@nodeport-ips"}
    assert miss_text(miss) == "services:2 no match: ip daddr is 10.0.0.1, wants @nodeport-ips"
    assert miss_text(miss | {"last": "3"}).startswith("services:2-3 no match: ip daddr is 10.0.0.1, want @")
    none = place | {"test": "tcp dport", "seen": "", "wanted": "80"}
    assert miss_text(none) == "services:2 no match: there is no tcp dport, wants 80"
    limit = place | {"test": "limit rate 1/second", "seen": "", "wanted": ""}
    assert miss_text(limit) == "services:2 no match: limit rate 1/second does not hold"


def test_the_element_that_a_packet_was_dropped_for_says_why() -> None:
    rule = f"{DISPATCH} @no-endpoint-services"
    found = '10.96.0.9 . tcp . 80 comment "default/web:http" : {}'
    reason = {"reason": "NETFILTER_REJECT", "explanation": "a rule rejected it"}
    check = TABLE | {"chain": "service-endpoints-check", "number": 1, "rule": rule}
    reject = TABLE | {"chain": "reject-chain", "number": 1, "rule": "reject", "verdict": "REJECT"}
    led = step(1, "rule", **check, verdict="reject-chain", found=found.format("goto reject-chain"))
    steps = [led, step(2, "rule", **reject), step(3, "drop", **reason, **TABLE, chain="reject-chain", rule=1)]
    line = verdict(steps, TraceOutcome.REFUSED, "Connection refused", NAMES)
    assert line.text.endswith('a rule rejected it ("default/web:http is in no-endpoint-services")')
    dropped = step(1, "rule", **check, verdict="DROP", found=found.format("drop"))
    steps = [dropped, step(2, "drop", **reason, **TABLE, chain="service-endpoints-check", rule=1)]
    line = verdict(steps, TraceOutcome.TIMEOUT, "no answer", NAMES)
    assert line.text.endswith('("default/web:http is in no-endpoint-services")')
