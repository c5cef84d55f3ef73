"""The last line of a trace: what it says of each way a packet can fare."""

from __future__ import annotations

from emulator.api.messages import TraceOutcome
from emulator.api.trace.text import Style
from emulator.api.trace.verdict import verdict
from tests.api.test_trace_text import NAMES, STEPS, step

SILENT = "no answer within 3 s"


def test_a_loss_has_its_place_and_reason() -> None:
    line = verdict(STEPS, TraceOutcome.TIMEOUT, SILENT, NAMES)
    assert line.style is Style.BAD
    assert line.text == (
        "verdict: not answered (no answer within 3 s); dropped at step 17 on node-b in netns root, "
        "IP_TTL_EXPIRED: the TTL ran out"
    )
    lost = verdict(STEPS[:4], TraceOutcome.TIMEOUT, SILENT, NAMES)
    assert lost.text.endswith("last seen at step 4 on node-a in netns root")
    own = verdict(STEPS[:3], TraceOutcome.TIMEOUT, SILENT, NAMES)
    assert own.text.endswith("last seen at step 3 on node-a in netns cni-1 (pod default/client)")
    stuck = verdict(STEPS[:10], TraceOutcome.TIMEOUT, SILENT, NAMES)
    assert stuck.text.endswith("step 9 on node-a in netns root, where nobody answers ARP for 172.18.0.3")


def test_an_answer_counts_steps_nodes_and_rewrites() -> None:
    answered = verdict(STEPS[:-1], TraceOutcome.REPLIED, "ok", NAMES, hint="not told")
    assert answered.text == "verdict: answered (ok): 14 steps on 2 nodes, 1 rewrite"


def test_the_rule_that_dropped_it_says_why() -> None:
    rule = '-A KUBE-SERVICES -d 10.96.0.9/32 -m comment --comment "default/web has no endpoints" -j REJECT'
    place = {"table": "filter", "chain": "KUBE-SERVICES"}
    tried = step(1, "rule", **place, number=3, rule=rule, verdict="REJECT")
    reason = {"reason": "NETFILTER_REJECT", "explanation": "a rule rejected it"}
    drop = step(2, "drop", **reason, **place, rule=3)
    text = verdict([tried, drop], TraceOutcome.REFUSED, "Connection refused", NAMES).text
    assert text.endswith('NETFILTER_REJECT: a rule rejected it ("default/web has no endpoints")')
    other = step(2, "drop", **reason, **place, rule=4)
    assert "endpoints" not in verdict([tried, other], TraceOutcome.REFUSED, "Connection refused", NAMES).text


def test_a_silent_program_is_no_loss() -> None:
    delivered = step(9, "deliver", place="node-a/cni-1", protocol="udp", socket="udp 10.244.1.3:53")
    text = verdict([delivered], TraceOutcome.TIMEOUT, SILENT, NAMES).text
    assert text == (
        "verdict: delivered to udp socket 10.244.1.3:53 (pod default/web-1) at step 9 on node-a in netns cni-1 "
        "(pod default/client), but the program did not answer (no answer within 3 s)"
    )


def test_a_hint_comes_last() -> None:
    text = verdict(STEPS[:4], TraceOutcome.TIMEOUT, SILENT, NAMES, hint="service default/web has no port 81/TCP").text
    assert text.endswith("in netns root; service default/web has no port 81/TCP")
