"""Steps of a traced packet as people read them: one golden text, and what it leaves out or explains."""

from __future__ import annotations

from emulator.api.messages import TraceStep
from emulator.api.trace.text import Names, Style, in_order, named, render

SYN = "IP 10.244.0.2.40000 > 10.96.0.9.80: Flags [S], length 0"
NAMES = Names(
    {"10.244.0.2": "pod default/client", "10.96.0.9": "service default/web", "10.244.1.3": "pod default/web-1"},
    {"cni-1": "pod default/client"},
)


def step(number: int, kind: str, packet: str = SYN, /, place: str = "node-a/root", **detail: str | int) -> TraceStep:
    machine, _, netns = place.partition("/")
    detail = {name.rstrip("_"): value for name, value in detail.items()}
    return TraceStep(
        trace=1, number=number, time=0.0, machine=machine, netns=netns, kind=kind, packet=packet, detail=detail
    )


ARP = "ARP, Request who-has 172.18.0.3 tell 172.18.0.2, length 28"
STEPS = [
    step(1, "send", place="node-a/cni-1", socket="tcp 10.244.0.2:40000 10.96.0.9:80"),
    step(2, "route", place="node-a/cni-1", decision="output", route="default via 10.244.0.1 dev eth0", link="eth0"),
    step(3, "transmit", place="node-a/cni-1", link="eth0", frame="0a:00:00:00:00:01 > 0a:00:00:00:00:02"),
    step(4, "receive", link="veth1", frame="0a:00:00:00:00:01 > 0a:00:00:00:00:02"),
    step(5, "conntrack", state="NEW", entry="tcp      6 SYN_SENT src=10.244.0.2"),
    step(
        6,
        "rule",
        table="nat",
        chain="KUBE-SERVICES",
        number=4,
        rule='-A KUBE-SERVICES -d 10.96.0.9/32 -m comment --comment "default/web cluster IP" -j KUBE-SVC-X',
        verdict="KUBE-SVC-X",
    ),
    step(
        7,
        "nat",
        kind="DNAT",
        before="10.244.0.2:40000 > 10.96.0.9:80",
        after="10.244.0.2:40000 > 10.244.1.3:80",
    ),
    step(8, "policy", table="filter", chain="FORWARD", verdict="ACCEPT"),
    step(9, "neighbour", address="172.18.0.3", link="eth0", state="NONE", mac=""),
    step(10, "transmit", ARP, link="eth0", frame="x > ff:ff:ff:ff:ff:ff"),
    step(11, "reply", ARP, place="node-b/root", why="ARP: 172.18.0.3 is at 0b:00:00:00:00:03"),
    step(12, "transmit", link="eth0", frame="0b:00:00:00:00:02 > 0b:00:00:00:00:03"),
    step(13, "underlay", place="node-b/root", from_="node-a", to="node-b"),
    step(14, "deliver", place="node-b/cni-2", protocol="tcp", socket="tcp 10.244.1.3:80"),
    step(15, "reply", place="node-b/cni-2", why="TCP SYN, ACK"),
    step(
        16, "send", "IP 10.244.1.3.80 > 10.244.0.2.40000: Flags [S.]", place="node-b/cni-2", socket="tcp 10.244.1.3:80"
    ),
    step(17, "drop", place="node-b/root", reason="IP_TTL_EXPIRED", explanation="the TTL ran out", hops=64),
]

GOLDEN = """\
── request: 10.244.0.2.40000 (pod default/client) > 10.96.0.9.80 (service default/web): Flags [S], length 0
node-a
  pod default/client (netns cni-1)
       1  send       tcp 10.244.0.2:40000 10.96.0.9:80
       2  route      output: default via 10.244.0.1 dev eth0
       3  transmit   eth0  0a:00:00:00:00:01 > 0a:00:00:00:00:02
  netns root
       4  receive    veth1  0a:00:00:00:00:01 > 0a:00:00:00:00:02
       5  conntrack  NEW  tcp 6 SYN_SENT src=10.244.0.2
       6  nat        KUBE-SERVICES:4 → KUBE-SVC-X  "default/web cluster IP"  -d 10.96.0.9/32
       7  DNAT       to 10.96.0.9:80 (service default/web)  ⇒  10.244.1.3:80 (pod default/web-1)
       8  filter     FORWARD policy → ACCEPT
       9  neighbour  172.18.0.3 on eth0 is not known yet (NONE)
          arp        asked by broadcast: 172.18.0.3 is at 0b:00:00:00:00:03 (2 steps of ARP left out)
      12  transmit   eth0  0b:00:00:00:00:02 > 0b:00:00:00:00:03
══ underlay: node-a ══▶ node-b ══
node-b
  netns cni-2
      14  deliver    to tcp socket 10.244.1.3:80 (pod default/web-1)
      15  reply      TCP SYN, ACK
── reply: 10.244.1.3.80 (pod default/web-1) > 10.244.0.2.40000 (pod default/client): Flags [S.]
node-b
  netns cni-2
      16  send       tcp 10.244.1.3:80
  netns root
      17  DROP       IP_TTL_EXPIRED: the TTL ran out (hops 64)
"""


def test_golden() -> None:
    assert "".join(f"{line}\n" for line in render(STEPS, NAMES)) == GOLDEN


def test_verbose_leaves_nothing_out() -> None:
    lines = [str(line) for line in render(STEPS, NAMES, verbose=True)]
    shown = {int(line.split()[0]) for line in lines if line.split()[0].isdigit()}
    assert shown == {entry.number for entry in STEPS} - {13}
    assert not any("left out" in line for line in lines)


def test_order_is_the_packets_own() -> None:
    assert in_order(reversed(STEPS)) == STEPS


def test_a_loop_to_oneself_has_a_reply() -> None:
    ping = "IP 10.244.0.2 > 10.244.0.2: ICMP echo request"
    steps = [step(1, "send", ping), step(2, "reply", ping, why="ICMP echo reply"), step(3, "send", ping)]
    legs = [line.text.split(":")[0] for line in render(steps, NAMES) if line.style is Style.LEG]
    assert legs == ["── request", "── reply"]
    steps = [step(1, "send", ping), step(2, "send", ping)]
    legs = [line.text.split(":")[0] for line in render(steps, NAMES) if line.style is Style.LEG]
    assert legs == ["── request", "── next packet"]


def test_names_stand_behind_whole_addresses_only() -> None:
    assert named("10.96.0.99 10.96.0.9 110.96.0.9", NAMES) == "10.96.0.99 10.96.0.9 (service default/web) 110.96.0.9"


def test_control_characters_are_escaped() -> None:
    evil = step(1, "send", "IP \x1b[2J", place="node\x1b/root\n", socket="a\x07")
    assert all("\x1b" not in line.text and "\x07" not in line.text for line in render([evil], NAMES))


def shown(steps: list[TraceStep], kind: str) -> list[str]:
    lines = (line.text.split(maxsplit=2) for line in render(steps, NAMES) if line.style is Style.STEP)
    return [" ".join(words[words.index(kind) + 1 :]) for words in lines if kind in words[:2]]


def asking(number: int, address: str, state: str = "NONE") -> TraceStep:
    return step(number, "neighbour", address=address, link="cbr0", state=state, mac="")


def question(number: int, address: str) -> TraceStep:
    return step(
        number, "transmit", f"ARP, Request who-has {address} tell 10.244.1.1, length 28", link="cbr0", frame="x"
    )


def test_arp_without_an_answer_says_how_often_it_asked() -> None:
    steps = [asking(1, "10.244.1.7", "FAILED"), *(question(number, "10.244.1.7") for number in (2, 3, 4))]
    assert shown(steps, "neighbour") == ["10.244.1.7 on cbr0 is not known, ARP had no answer before (FAILED)"]
    assert shown(steps, "arp") == ["asked by broadcast 3 times, no answer (3 steps of ARP left out)"]


def test_each_question_counts_its_own_steps() -> None:
    steps = [asking(1, "10.244.1.7"), question(2, "10.244.1.7"), question(3, "10.244.1.7")]
    steps += [asking(4, "10.244.1.71"), question(5, "10.244.1.71"), asking(6, "10.244.1.7"), question(7, "10.244.1.7")]
    assert [text.rpartition("(")[2] for text in shown(steps, "arp")] == [
        "2 steps of ARP left out)",
        "1 step of ARP left out)",
        "1 step of ARP left out)",
    ]
    assert shown([asking(1, "10.244.1.7", "INCOMPLETE")], "arp") == []


def test_an_echo_socket_has_an_identifier_and_the_kernel_no_socket() -> None:
    steps = [
        step(1, "send", socket="icmp 0.0.0.0:9040"),
        step(2, "deliver", protocol="icmp", socket="kernel"),
        step(3, "send"),
    ]
    texts = [
        " ".join(line.text.split()[1:]) for line in render(steps, NAMES) if line.style in (Style.STEP, Style.DELIVERY)
    ]
    assert texts == [
        "send icmp echo, identifier 9040",
        "deliver to the kernel itself (icmp)",
        "send by the kernel itself",
    ]


def miss(number: int, chain: str, test: str, seen: str, wanted: str) -> TraceStep:
    return step(number, "considered", table="nat", chain=chain, number=number, test=test, seen=seen, wanted=wanted)


MISSES = [
    *(miss(n, "KUBE-SERVICES", "destination", "10.0.2.2", f"10.96.0.{n}/32") for n in range(1, 311)),
    miss(311, "KUBE-SERVICES", "tcp", "destination port 81", "--dport 80"),
    miss(312, "KUBE-SERVICES", "tcp", "destination port 81", "--dport 80"),
    miss(313, "OTHER", "tcp", "destination port 81", "--dport 80"),
    step(314, "policy", table="filter", chain="FORWARD", verdict="ACCEPT"),
    miss(315, "OTHER", "limit", "", "--limit 5/sec"),
]


def test_rules_that_did_not_match_for_one_reason_are_one_line() -> None:
    lines = [line.text.strip() for line in render(MISSES, NAMES) if line.style is Style.MISS]
    assert lines == [
        "1  nat        KUBE-SERVICES:1-310 no match: destination is 10.0.2.2, want 10.96.0.1/32, 10.96.0.2/32, "
        "10.96.0.3/32 and 307 others",
        "311  nat        KUBE-SERVICES:311-312 no match: destination port 81, want --dport 80",
        "313  nat        OTHER:313 no match: destination port 81, wants --dport 80",
        "315  nat        OTHER:315 no match: limit does not hold, wants --limit 5/sec",
    ]


def test_unfolded_each_has_its_line() -> None:
    lines = [line for line in render(MISSES, NAMES, unfolded=True) if line.style is Style.MISS]
    assert len(lines) == 314
    assert "KUBE-SERVICES:200 no match: destination is 10.0.2.2, wants 10.96.0.200/32" in lines[199].text


def test_a_log_rule_shows_its_line() -> None:
    rule = "-A INPUT -p icmp -j LOG"
    steps = [step(1, "rule", table="filter", chain="INPUT", number=1, rule=rule, verdict="LOG", logged="in: IN=eth0")]
    assert [line.text for line in render(steps, NAMES)][-1].endswith("INPUT:1 → LOG  -p icmp  log: in: IN=eth0")
