"""The iptables command: what it changes, prints and refuses."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from emulator.kernel.kernel import Kernel
from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.iptables.command import iptables
from emulator.kernel.netfilter.match import MATCHES
from emulator.kernel.netfilter.netfilter import Netfilter
from emulator.kernel.netfilter.target import TARGETS
from emulator.kernel.netns import Netns


def fresh(*commands: str) -> Netfilter:
    netfilter = Netns(Kernel("machine", random.Random(1)), "test").netfilter
    for command in commands:
        assert iptables(netfilter, command.split()) == ""
    return netfilter


def test_rules_come_and_go() -> None:
    netfilter = fresh(
        "-N ONE",
        "-A ONE -p tcp --dport 80 -j ACCEPT",
        "-I ONE -p udp -j DROP",
        "-A INPUT -j ONE",
        "-P FORWARD DROP",
        "-R ONE 1 -p icmp -j DROP",
        "-E ONE TWO",
        "-w -t nat -A POSTROUTING -o eth0 -j MASQUERADE",
        "-D TWO 2",
    )
    assert iptables(netfilter, ["-S"]) == (
        "-P INPUT ACCEPT\n-P FORWARD DROP\n-P OUTPUT ACCEPT\n-N TWO\n-A INPUT -j TWO\n-A TWO -p icmp -j DROP\n"
    )
    assert (
        iptables(netfilter, ["-t", "nat", "-S", "POSTROUTING"])
        == "-P POSTROUTING ACCEPT\n-A POSTROUTING -o eth0 -j MASQUERADE\n"
    )
    assert iptables(netfilter, ["-S", "TWO", "1"]) == "-A TWO -p icmp -j DROP\n"
    assert iptables(netfilter, ["-C", "TWO", "-p", "icmp", "-j", "DROP"]) == ""
    for command in ("-D INPUT -j TWO", "-F TWO", "-X TWO"):
        iptables(netfilter, command.split())
    assert "TWO" not in iptables(netfilter, ["-S"])


def test_zeroing_counters() -> None:
    netfilter = fresh("-A INPUT -j ACCEPT")
    rule = netfilter.tables["filter"].chains["INPUT"].rules[0]
    rule.packets = rule.bytes = 5
    iptables(netfilter, ["-Z", "INPUT"])
    assert (rule.packets, rule.bytes) == (0, 0)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("-D INPUT -s 1.2.3.4 -j DROP", "Bad rule (does a matching rule exist in that chain?)."),
        ("-D INPUT 5", "Index of deletion too big."),
        ("-A NO -j DROP", "No chain/target/match by that name."),
        ("-N INPUT", "Chain already exists."),
        ("-P INPUT FOO", "Bad policy name."),
        ("-X INPUT", "Directory not empty."),
        ("-C INPUT -j DROP", "Bad rule (does a matching rule exist in that chain?)."),
        ("-S NO", "chain `NO' in table `filter' is incompatible"),
        ("-t nosuch -S", "table name 'nosuch' invalid"),
        ("-t", 'option "-t" requires an argument'),
        ("", "no command specified"),
        ("-j DROP", "no command specified"),
        ("-t nat -A OUTPUT -j MASQUERADE", "MASQUERADE is for POSTROUTING"),
    ],
)
def test_refusals(command: str, message: str) -> None:
    netfilter = fresh()
    with pytest.raises(RuleError) as raised:
        iptables(netfilter, command.split())
    assert message in str(raised.value)
    assert netfilter.save() == ""


def test_a_listing_for_people() -> None:
    netfilter = fresh("-A INPUT -i eth0 -p tcp --dport 80 -j ACCEPT", "-N ONE", "-A INPUT ! -s 10.0.0.0/8 -g ONE")
    rule = netfilter.tables["filter"].chains["INPUT"].rules[0]
    rule.packets, rule.bytes = 123_456, 2_000
    expected = """\
Chain INPUT (policy ACCEPT 0 packets, 0 bytes)
num   pkts bytes target     prot opt in     out     source               destination         
1     123K  2000 ACCEPT     6    --  eth0   *       0.0.0.0/0            0.0.0.0/0            tcp dpt:80
2        0     0 ONE        0    --  *      *      !10.0.0.0/8           0.0.0.0/0           [goto] 
"""  # noqa: W291
    assert iptables(netfilter, ["-w", "5", "-nvL", "INPUT", "--line-numbers"]) == expected
    assert iptables(netfilter, ["-L", "INPUT", "1"]).rstrip().endswith("anywhere             tcp dpt:http")
    assert iptables(netfilter, ["-L", "ONE"]).startswith("Chain ONE (1 references)\ntarget ")
    assert iptables(netfilter, ["-vS", "INPUT", "1"]) == (
        "-A INPUT -i eth0 -p tcp -m tcp --dport 80 -c 123456 2000 -j ACCEPT\n"
    )
    refused = (("-L NO", "incompatible"), ("-L INPUT 0", "Invalid rule number"), ("-t no -L", "table name"))
    for words, message in refused:
        with pytest.raises(RuleError, match=message):
            iptables(netfilter, words.split())


def test_names_of_ports_and_protocols_are_those_of_the_machine() -> None:
    netfilter = fresh("-A INPUT -p 89", "-A INPUT -p tcp --dport webcache", "-A INPUT -p udp --dport 8080")
    assert iptables(netfilter, ["-S", "INPUT"]).splitlines()[1:] == [
        "-A INPUT -p ospf",
        "-A INPUT -p tcp -m tcp --dport 8080",
        "-A INPUT -p udp -m udp --dport 8080",
    ]
    listed = iptables(netfilter, ["-L", "INPUT"]).splitlines()[2:]
    assert [line.split()[0] for line in listed] == ["ospf", "tcp", "udp"]
    assert [line.split()[-1] for line in listed] == ["anywhere", "dpt:http-alt", "dpt:8080"]


def test_a_line_for_ip6tables_is_skipped_and_one_for_iptables_is_not() -> None:
    netfilter = fresh()
    netfilter.restore("*filter\n-4 -A INPUT -s 1.1.1.1\n-6 -A INPUT -s ::1\n-A INPUT -6 -s ::2\nCOMMIT\n")
    assert iptables(netfilter, ["-S", "INPUT"]).splitlines()[1:] == ["-A INPUT -s 1.1.1.1/32"]


def test_the_guide_names_every_match_and_target() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "netfilter.md").read_text()
    for kind, known in (("matches", MATCHES), ("targets", TARGETS)):
        assert f"| {kind} | {', '.join(f'`{name}`' for name in sorted(known))} |" in guide
