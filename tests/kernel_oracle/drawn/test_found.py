"""What drawn cases found, each shrunk to its smallest and named: the real kernel and the emulator agree now."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kernel_oracle.drawn.case import (
    CLIENT,
    SERVER,
    Case,
    Conversation,
    Cut,
    DatagramStep,
    EchoStep,
    PolicyRule,
    Route,
    RuleLine,
    SctpStep,
    Shape,
    Step,
    TableText,
    TcpStep,
)
from tests.kernel_oracle.drawn.machine import Machine
from tests.kernel_oracle.drawn.packet import ACK, ICMP, PSH, SYN, TCP, UDP
from tests.kernel_oracle.drawn.play import play
from tests.kernel_oracle.drawn.report import report
from tests.kernel_oracle.drawn.rules import HOOKS
from tests.kernel_oracle.drawn.topology import TOPOLOGIES

pytestmark = pytest.mark.kernel

A, B, C = "10.0.1.2", "10.0.2.2", "10.0.3.2"
P, Q = "10.0.4.2", "10.0.4.4"
NOWHERE = Conversation(UDP, "a", A, 4000, B, 53)
TRACKED = ("filter", "FORWARD -m conntrack --ctstate INVALID -j DROP")


def table(name: str, *lines: str, **policies: str) -> TableText:
    """Write a table of rules given as `CHAIN rest`; policies are ACCEPT unless given."""
    rules = []
    for line in lines:
        chain, _, rest = line.partition(" ")
        rules.append(RuleLine(chain, (rest,), ""))
    return TableText(name, tuple((hook, policies.get(hook, "ACCEPT")) for hook in HOOKS[name]), (), tuple(rules))


def case(
    *steps: Step,
    rules: tuple[TableText, ...] = (),
    between: Conversation = NOWHERE,
    topology: str = "router",
    sysctls: tuple[tuple[str, int], ...] = (),
    routes: tuple[Route, ...] = (),
    policy_rules: tuple[PolicyRule, ...] = (),
) -> Case:
    """Make a case of one conversation."""
    return Case(topology, sysctls, routes, policy_rules, (), rules, (between,), steps)


def tcp(source: str, target: str, link: str = "a") -> Conversation:
    return Conversation(TCP, link, source, 4000, target, 80)


def with_options(options: str) -> DatagramStep:
    return DatagramStep(0, CLIENT, 8, Shape(options=options))


def cut(*units: int, length: int = 0, order: tuple[int, ...] = (), flags: int = ACK, df: bool = False) -> TcpStep:
    return TcpStep(0, CLIENT, flags, length, shape=Shape(cut=Cut(units, order), dont_fragment=df))


SYN_STEP = TcpStep(0, CLIENT, SYN)
SYNACK_STEP = TcpStep(0, SERVER, SYN | ACK)
ECHO = EchoStep(0, CLIENT, 8)
CONNTRACK = (table(*TRACKED),)
TO_A = tcp(A, C)

FOUND = {
    "record route is filled in on the way": case(with_options("0707040000000000")),
    "record route in an echo is echoed": case(
        EchoStep(0, CLIENT, 8, shape=Shape(options="070b040000000000000000")),
        between=Conversation(ICMP, "a", A, 7, "10.0.2.1", 0),
    ),
    "record route in a SYN is echoed by the reset": case(
        TcpStep(0, CLIENT, SYN, shape=Shape(options="070b0400000000000000000000000000")), between=tcp(A, "10.0.1.1")
    ),
    "a full record route goes on": case(with_options("0707080102030400")),
    "a timestamp without room counts the overflow": case(
        with_options("440405f000000000"), with_options("440805f200000000")
    ),
    "a timestamp overflow of 15 is an error": case(with_options("44040ff001010101")),
    "an option given twice is an error that echoes the first": case(with_options("07070400000000070704000000000001")),
    "what follows the end of the options is blanked": case(with_options("0011223300112233")),
    "router alert that is too short is an error": case(with_options("9403000001010101")),
    "a loose source route is not taken": case(with_options("8307040808080800")),
    "a policy rule's route says what record route notes": case(
        with_options("07070400000000070704000000000001"),
        routes=(Route("10.0.1.0/29", via=B, link="b", table=100),),
        policy_rules=(PolicyRule(1000, 100),),
    ),
    "REJECT answers nothing whose IP checksum an option made stale": case(
        TcpStep(0, CLIENT, ACK, shape=Shape(options="0707040000000000")),
        rules=(table("filter", "FORWARD -p tcp -j REJECT --reject-with tcp-reset"),),
        between=TO_A,
    ),
    "REJECT answers it where conntrack has checked it": case(
        TcpStep(0, CLIENT, ACK, shape=Shape(options="0707040000000000")),
        rules=(table("filter", "FORWARD -p tcp -j REJECT", "FORWARD -m state --state NEW"),),
        between=TO_A,
    ),
    "REJECT resets nothing whose IP checksum is stale, conntrack or not": case(
        TcpStep(0, CLIENT, ACK, shape=Shape(options="0707040000000000")),
        rules=(table("filter", "FORWARD -p tcp -j REJECT --reject-with tcp-reset", "FORWARD -m state --state NEW"),),
        between=TO_A,
    ),
    "options in bridged fragments stay as they are": case(
        DatagramStep(0, CLIENT, 100, Shape(options="070b080a0002020000000000", cut=Cut((3, 10), ()))),
        rules=CONNTRACK, topology="bridge", between=Conversation(UDP, "q", Q, 4000, P, 53),
    ),
    "a reset has the TOS of what it answers": case(
        TcpStep(0, CLIENT, SYN, shape=Shape(tos=0x10)), TcpStep(0, CLIENT, SYN, shape=Shape(tos=3)),
        between=tcp(A, "10.0.1.1"),
    ),
    "a TCP header in two fragments is made one": case(
        cut(1), cut(2, length=100), cut(1, 1, 2), rules=CONNTRACK, between=TO_A
    ),
    "the last fragment takes all the room": case(cut(1, 3, 3, 60), rules=CONNTRACK, between=TO_A),
    "fragments sent on as received lose DF": case(
        DatagramStep(0, CLIENT, 1460, Shape(dont_fragment=True, cut=Cut((2, 5), (1, 2, 0)))), rules=CONNTRACK
    ),
    "fragments bridged to the bridge itself are sent on whole": case(
        cut(1, 3, 2), rules=CONNTRACK, topology="bridge", between=tcp(P, A, "p")
    ),
    "TCPMSS makes one piece of fragments": case(
        cut(2, 2, length=100, flags=SYN),
        rules=(table("mangle", "FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1000"),
               table(*TRACKED)),
        between=TO_A,
    ),
    "the policy counts what TCPMSS added": case(
        SYN_STEP,
        rules=(table("mangle", "FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1000"),),
        between=TO_A,
    ),
    "a nat table without rules tracks nothing": case(DatagramStep(0, CLIENT), rules=(table("nat"),)),
    "notrack alone tracks nothing": case(
        DatagramStep(0, CLIENT), rules=(table("raw", "OUTPUT -j CT --notrack"),)
    ),
    "the nat table sees INPUT before the security table": case(
        DatagramStep(0, CLIENT),
        rules=(table("nat", "INPUT -m conntrack --ctstate NEW"), table("security", INPUT="DROP")),
        between=Conversation(UDP, "a", A, 4000, "10.97.0.1", 53),
    ),
    "a reset that answers a first packet is bound by NAT": case(
        SYN_STEP,
        rules=(table("nat", "POSTROUTING -p tcp -j SNAT --to-source 10.0.2.1:4000"),
               table("filter", "FORWARD -p tcp -j REJECT --reject-with tcp-reset")),
        between=TO_A,
    ),
    "REJECT with a reset closes the entry": case(
        SYN_STEP, SYNACK_STEP,
        rules=(table("filter", "FORWARD -p tcp -m state --state ESTABLISHED -j REJECT --reject-with tcp-reset"),),
        between=TO_A,
    ),
    "REJECT with a reset on a bridge goes out by the port": case(
        SYN_STEP,
        rules=(table("filter", "FORWARD -p tcp -j REJECT --reject-with tcp-reset"),),
        topology="bridge", between=tcp(Q, A, "q"),
    ),
    "REJECT checks payloads of unknown protocols": case(
        DatagramStep(0, CLIENT, 12), rules=(table("filter", "FORWARD -j REJECT"),),
        between=Conversation(200, "a", A, 0, B, 0),
    ),
    "REJECT in OUTPUT does not answer an ICMP message of our own": case(
        ECHO, rules=(table("filter", "OUTPUT -j REJECT"),), between=Conversation(ICMP, "a", A, 7, "10.0.1.1", 0)
    ),
    "a short TCP header is dropped by --tcp-option": case(
        TcpStep(0, CLIENT, ACK, shape=Shape(flaw="cut header")),
        rules=(table("filter", "FORWARD -p tcp -m tcp --dport 53", "FORWARD -p tcp -m tcp --dport 80 --tcp-option 4"),),
        between=TO_A,
    ),
    "a TCP header longer than the packet is dropped by --tcp-option": case(
        TcpStep(0, CLIENT, ACK, shape=Shape(flaw="transport length long")),
        rules=(table("filter", "FORWARD -p tcp -m tcp --tcp-option 4"),), between=TO_A,
    ),
    "a short ICMP header is dropped by --icmp-type": case(
        EchoStep(0, CLIENT, 8, shape=Shape(flaw="cut header")),
        rules=(table("filter", "FORWARD -p icmp -m icmp --icmp-type 3"),),
        between=Conversation(ICMP, "a", A, 7, B, 0),
    ),
    "an ICMP timestamp request of 16 bytes is answered": case(
        EchoStep(0, CLIENT, 13), between=Conversation(ICMP, "a", A, 7, "10.0.1.1", 0)
    ),
    "ctexpire of a new connection is what is left of its timeout after the uptime": case(
        SYN_STEP, rules=(table("filter", "FORWARD -m conntrack --ctstate NEW --ctexpire 0:60"),), between=TO_A
    ),
    "a limit of one packet lets the first one through": case(
        *(DatagramStep(0, CLIENT, length) for length in (1, 2, 3)),
        rules=(table("filter", "FORWARD -m limit --limit 1/hour --limit-burst 1"),),
    ),
    "a loopback address asked from outside answers with route_localnet": case(
        ECHO, between=Conversation(ICMP, "a", A, 7, "127.0.0.1", 0), sysctls=(("net.ipv4.conf.all.route_localnet", 1),)
    ),
    "REJECT of our own reset echoes the reset's options": case(
        TcpStep(0, CLIENT, SYN, shape=Shape(options="07030401")), rules=(table("filter", "OUTPUT -j REJECT"),),
        between=tcp(A, "10.0.1.1"),
    ),
    "NAT drops GRE of an unknown version, but for its source": case(
        *(DatagramStep(0, side, length) for length in (13, 12) for side in (CLIENT, SERVER)),
        rules=(table("nat", "POSTROUTING -j MASQUERADE"),), between=Conversation(47, "a", A, 0, B, 0),
    ),
    "two inverted ports are one test": case(
        SYN_STEP, SYNACK_STEP, TcpStep(0, CLIENT, ACK),
        rules=(table("filter", *(f"FORWARD -p tcp -m tcp ! --sport 4000 ! --dport {rest}"
                                 for rest in ("80", "81", "80:81", "80 --tcp-option 5"))),),
        between=TO_A,
    ),
    "a port unreachable has no connection yet in the raw table": case(
        DatagramStep(0, CLIENT), between=Conversation(UDP, "a", A, 4000, "10.0.1.1", 53),
        rules=(table("raw", "OUTPUT -m state --state INVALID"), table("filter", "OUTPUT -m state --state RELATED")),
    ),
    "an SCTP header in two fragments is made one": case(
        SctpStep(0, CLIENT, 1, shape=Shape(cut=Cut((1, 1, 2), ()))), rules=CONNTRACK,
        between=Conversation(132, "a", A, 4000, B, 80),
    ),
    "a local sender is told that POSTROUTING dropped": case(
        DatagramStep(0, CLIENT), between=Conversation(UDP, "", "10.0.1.1", 4000, B, 53),
        rules=(table("mangle", POSTROUTING="DROP"),),
    ),
    "a local packet that NAT sends nowhere is lost before the filter table": case(
        DatagramStep(0, CLIENT), between=Conversation(UDP, "", "10.0.1.1", 4000, B, 53),
        rules=(table("nat", "OUTPUT -j DNAT --to-destination 192.0.2.7"), table("filter")),
    ),
    "a routed packet from a bridge port is of no outgoing port": case(
        SYN_STEP, between=tcp(Q, A, "q"), topology="bridge",
        rules=(table("filter", "FORWARD -m physdev ! --physdev-out p", "FORWARD -m physdev --physdev-in q"),),
    ),
    "a flow that is its own answer is answered by its second packet": case(
        DatagramStep(0, CLIENT), DatagramStep(0, CLIENT), between=Conversation(UDP, "", "10.0.3.1", 80, "10.0.3.1", 80),
        rules=CONNTRACK,
    ),
    "what is translated already moves out of the way of its reverse": Case(
        "bridge", (), (), (), (), (table("nat", "PREROUTING -j DNAT --to-destination 10.97.0.1"),),
        (Conversation(UDP, "", "10.97.0.1", 600, Q, 53), Conversation(UDP, "q", "10.0.4.5", 600, Q, 53)),
        (DatagramStep(0, CLIENT), DatagramStep(1, SERVER)),
    ),
    "what NAT reroutes in OUTPUT still goes out by its old link there": case(
        SYN_STEP, between=tcp("10.0.1.3", "10.0.2.1"),
        rules=(table("nat", "INPUT -j SNAT --to-source 10.0.1.1"), table("filter", "OUTPUT ! -o lo", "OUTPUT -o lo")),
    ),
    "pushed data with a wrong checksum": case(
        SYN_STEP, SYNACK_STEP, TcpStep(0, CLIENT, ACK | PSH, 10, shape=Shape(flaw="checksum")),
        rules=CONNTRACK, between=TO_A,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def machines() -> Iterator[dict[tuple[str, bool], Machine]]:
    opened: dict[tuple[str, bool], Machine] = {}
    try:
        for name, topology in TOPOLOGIES.items():
            for ruled in (False, True) if name == "router" else (False,):
                opened[name, ruled] = Machine(topology).__enter__()
                opened[name, ruled].leave()
        yield opened
    finally:
        for machine in opened.values():
            machine.__exit__(None, None, None)


@pytest.mark.parametrize("name", FOUND)
def test_found(machines: dict[tuple[str, bool], Machine], name: str) -> None:
    found = FOUND[name]
    machine = machines[found.topology, bool(found.policy_rules)]
    machine.careful = True
    try:
        outcome = play(machine, found, 1)
    finally:
        machine.leave()
    assert not outcome.kind, report(found, outcome, name)
    assert not outcome.refused, outcome.message
