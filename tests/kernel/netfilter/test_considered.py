"""Why rules did not match: each that is looked at leaves a step, and the packet goes the very same way."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.kernel.kernel import Kernel
from emulator.kernel.link.nic import Nic
from emulator.kernel.neigh import NudState
from emulator.kernel.netns import Netns
from emulator.kernel.skb import Skb
from emulator.kernel.trace import Step, StepKind
from emulator.packet.address import ipv4_to_int, mac_to_int
from tests.bundle.maker import tcp
from tests.kernel.frames import echo, ethernet, ipv4, udp
from tests.kernel.netfilter.kube_rules import kube_proxy_rules

MAC, PEER = "02:00:00:00:00:01", "02:00:00:00:00:02"
CLIENT, SERVER = "10.0.1.2", "10.0.2.2"


class Router:
    def __init__(self, rules: str) -> None:
        self.kernel = Kernel("one", random.Random(1))
        self.ns = Netns(self.kernel, "test")
        self.ns.sysctl.set("net.ipv4.ip_forward", 1)
        self.nics = [Nic(self.ns, name, mac_to_int(MAC)) for name in ("a", "b")]
        for number, nic in enumerate(self.nics, 1):
            nic.set_up()
            self.ns.add_address(nic, ipv4_to_int(f"10.0.{number}.1"), 24)
            self.ns.neighbours.add(nic, ipv4_to_int(f"10.0.{number}.2"), mac_to_int(PEER), NudState.PERMANENT)
        self.ns.netfilter.restore(rules)

    def send(self, packet: bytes, *, considered: bool = True) -> list[Step]:
        trace = self.kernel.open_trace(1, considered=considered)
        self.kernel.enqueue(self.nics[0], Skb(bytearray(ethernet(MAC, PEER, packet)), trace))
        self.kernel.run(0.0)
        assert not self.kernel.faults, self.kernel.faults[-1].error
        return self.kernel.take_steps()

    def misses(self, packet: bytes) -> list[str]:
        """`CHAIN:NUMBER test: what the packet has; what the rule wants`."""
        return [
            f"{step.detail['chain']}:{step.detail['number']} {step.detail['test']}: {step.detail['seen']}; "
            f"{step.detail['wanted']}"
            for step in self.send(packet)
            if step.kind is StepKind.CONSIDERED
        ]


def datagram(destination: str = SERVER, dport: int = 53, *, source: str = CLIENT) -> bytes:
    return ipv4(source, destination, 17, udp(source, destination, 4000, dport))


@pytest.mark.parametrize(
    ("rule", "miss"),
    [
        ("-d 10.9.0.0/16", "destination: 10.0.2.2; 10.9.0.0/16"),
        ("! -d 10.0.2.2", "destination: 10.0.2.2; ! 10.0.2.2/32"),
        ("-s 10.9.9.9", "source: 10.0.1.2; 10.9.9.9/32"),
        ("-p tcp", "protocol: udp; tcp"),
        ("! -p udp", "protocol: udp; ! udp"),
        ("-i b", "input link: a; b"),
        ("! -o b", "output link: b; ! b"),
        ("-f", "fragment: none, or the first; a later one"),
        ("-p udp -m udp --dport 54", "udp: destination port 53; --dport 54"),
        ("-p udp -m udp --sport 1:5 --dport 53", "udp: source port 4000; --sport 1:5 --dport 53"),
        ("-m conntrack --ctstate ESTABLISHED", "conntrack: state NEW; --ctstate ESTABLISHED"),
        ("-m state --state INVALID", "state: state NEW; --state INVALID"),
        ("-m mark --mark 0x1/0xff", "mark: mark 0x0; --mark 0x1/0xff"),
        ("-m connmark --mark 0x1", "connmark: connection mark 0x0; --mark 0x1"),
        ("-m addrtype --dst-type LOCAL", "addrtype: source UNICAST, destination UNICAST; --dst-type LOCAL"),
        ("-p udp -m multiport --dports 1,2", "multiport: ports 4000 and 53; --dports 1,2"),
        ("-m length --length 1:5", "length: length 29; --length 1:5"),
        ("-m ttl --ttl-lt 3", "ttl: ttl 63; --ttl-lt 3"),
        ("-m mac --mac-source 02:00:00:00:00:03", "mac: source MAC 02:00:00:00:00:02; --mac-source 02:00:00:00:00:03"),
        ("-m pkttype --pkt-type broadcast", "pkttype: packet type host; --pkt-type broadcast"),
        ("-m iprange --src-range 10.0.0.1-10.0.0.9", "iprange: 10.0.1.2 to 10.0.2.2; --src-range 10.0.0.1-10.0.0.9"),
        ("-m statistic --mode nth --every 2 --packet 1", "statistic: ; --mode nth --every 2 --packet 1"),
        ("-m comment --comment x -m mark --mark 0x7", "mark: mark 0x0; --mark 0x7"),
    ],
)  # fmt: skip
def test_the_test_that_failed(rule: str, miss: str) -> None:
    router = Router(f"*filter\n-A FORWARD {rule} -j DROP\nCOMMIT\n")
    assert router.misses(datagram()) == [f"FORWARD:1 {miss}"]


def test_flags_of_tcp_and_types_of_icmp() -> None:
    rules = (
        "*filter\n-A FORWARD -p tcp -m tcp --tcp-flags SYN,RST RST\n-A FORWARD -p icmp -m icmp --icmp-type 0\nCOMMIT\n"
    )
    router = Router(rules)
    assert router.misses(ipv4(CLIENT, SERVER, 6, tcp(CLIENT, SERVER, 1, 2, 0x12))) == [
        "FORWARD:1 tcp: flags SYN,ACK; --tcp-flags SYN,RST RST",
        "FORWARD:2 protocol: tcp; icmp",
    ]
    assert router.misses(ipv4(CLIENT, SERVER, 1, echo()))[1] == "FORWARD:2 icmp: type 8 code 0; --icmp-type 0"


def test_rules_of_a_run_are_named_in_their_order() -> None:
    """Four rules with the same fields are one dict; those that it passes over say what they want, before and behind."""
    lines = [f"-A FORWARD -d 10.0.2.{host} -p udp -m udp --dport {port}" for host, port in
             ((1, 53), (2, 54), (2, 53), (2, 53), (3, 53))]  # fmt: skip
    router = Router(
        "*filter\n" + "\n".join(f"{line} -m mark --mark {n}" for n, line in enumerate(lines)) + "\nCOMMIT\n"
    )
    assert router.misses(datagram()) == [
        "FORWARD:1 destination: 10.0.2.2; 10.0.2.1/32",
        "FORWARD:2 udp: destination port 53; --dport 54",
        "FORWARD:3 mark: mark 0x0; --mark 0x2",
        "FORWARD:4 mark: mark 0x0; --mark 0x3",
        "FORWARD:5 destination: 10.0.2.2; 10.0.2.3/32",
    ]


def test_nothing_that_a_rule_remembers_is_asked_twice() -> None:
    """A bucket of two packets lets two through, whether somebody looks or not."""
    rules = "*filter\n:FORWARD DROP\n-A FORWARD -m limit --limit 1/hour --limit-burst 2 -j ACCEPT\nCOMMIT\n"
    for considered in (True, False):
        router = Router(rules)
        kinds = [{step.kind for step in router.send(datagram(), considered=considered)} for _ in range(4)]
        assert [StepKind.DROP in found for found in kinds] == [False, False, True, True]
        assert [StepKind.CONSIDERED in found for found in kinds] == [False, False, considered, considered]


def test_others_pay_nothing() -> None:
    router = Router(kube_proxy_rules(5))
    assert not any(step.kind is StepKind.CONSIDERED for step in router.send(datagram(), considered=False))


SERVICES = 30


@pytest.fixture(scope="module")
def pair() -> tuple[Router, Router]:
    return Router(kube_proxy_rules(SERVICES)), Router(kube_proxy_rules(SERVICES))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, SERVICES + 3), st.sampled_from([80, 81]), st.sampled_from([6, 17]), st.integers(1024, 65535),
    st.sampled_from([CLIENT, "10.244.1.3"]),
)  # fmt: skip
def test_the_way_is_the_same(
    pair: tuple[Router, Router], service: int, dport: int, protocol: int, sport: int, source: str
) -> None:
    """Same steps but for the misses, the same counters, and every rule of each chain that was walked is told of."""
    vip = f"10.96.0.{service}"
    segment = tcp(source, vip, sport, dport) if protocol == 6 else udp(source, vip, sport, dport)
    looked, plain = pair
    told = looked.send(ipv4(source, vip, protocol, segment))
    steps = [(step.kind, step.detail) for step in told if step.kind is not StepKind.CONSIDERED]
    assert steps == [
        (step.kind, step.detail) for step in plain.send(ipv4(source, vip, protocol, segment), considered=False)
    ]
    assert looked.ns.netfilter.save(counters=True) == plain.ns.netfilter.save(counters=True)
    seen: dict[tuple[object, object], list[object]] = {}
    for step in told:
        if step.kind in (StepKind.CONSIDERED, StepKind.RULE):
            seen.setdefault((step.detail["table"], step.detail["chain"]), []).append(step.detail["number"])
    for numbers in seen.values():
        assert numbers[: len(set(numbers))] == list(range(1, len(set(numbers)) + 1))
