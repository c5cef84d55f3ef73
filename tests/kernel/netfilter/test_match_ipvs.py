"""`-m ipvs`: read, printed, and asked of packets on their way to a real server and back."""

from __future__ import annotations

import os
import random
import subprocess

import pytest

from emulator.kernel.kernel import Kernel
from emulator.kernel.link.veth import pair
from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.iptables.command import iptables
from emulator.kernel.netns import Netns
from emulator.kernel.trace import StepKind
from emulator.packet.address import ipv4_to_int
from tests.kernel.netfilter.rule_files import read_rules

RULES = [line for line in read_rules() if line.file == "match_ipvs" and line.valid]
WRONG = [
    ("", "IPVS: At least one option is required"),
    ("! --ipvs --vport 80", "! --ipvs cannot be together with other options"),
    ("--vdir x", 'ipvs: Bad value for "--vdir" option: "x"'),
    ("--vmethod foo", 'ipvs: Bad value for "--vmethod" option: "foo"'),
    ("--vportctl foo", 'Port "foo" does not resolve to anything.'),
    ("--vproto 300", 'unknown protocol "300" specified'),
    ("! --vdir REPLY", 'ipvs: option "--vdir" cannot be inverted.'),
]


def fresh() -> Netns:
    return Netns(Kernel("machine", random.Random(1)), "test")


@pytest.mark.parametrize(("written", "message"), WRONG)
def test_what_makes_no_sense_is_refused(written: str, message: str):
    with pytest.raises(RuleError) as raised:
        iptables(fresh().netfilter, ["-A", "INPUT", "-m", "ipvs", *written.split()])
    assert message in str(raised.value)


@pytest.mark.kernel
def test_the_real_tool_reads_and_prints_alike():
    """No kernel with IPVS is at hand, but `iptables -v -A` prints a rule before the kernel refuses it."""
    name = f"pwh-ipvsproxy-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)

    def attempt(rule: str) -> subprocess.CompletedProcess[str]:
        words = ["ip", "netns", "exec", name, "iptables", "-v", "-A", "INPUT", *rule.split()]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    try:
        for line in RULES:
            printed = attempt(line.rule).stdout.split("0.0.0.0/0", 2)[2].strip()
            assert f"-m ipvs {printed} -j DROP" == line.saved.replace("--", ""), line.rule
        for written, message in WRONG:
            assert message in attempt(f"-m ipvs {written} -j DROP").stderr, written
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


SERVICE, SERVER = "10.96.0.1", "10.0.0.2"


class Bed:
    """A machine with a virtual service on its own address, and the real server's machine next to it."""

    def __init__(self) -> None:
        self.kernel = Kernel("machine", random.Random(1))
        self.node, server = Netns(self.kernel, "node"), Netns(self.kernel, "server")
        near, far = pair(self.node, "eth0", server, "eth0", 0x020000000001, 0x020000000002)
        for link, address in ((near, "10.0.0.1"), (far, SERVER)):
            link.set_up()
            link.netns.add_address(link, ipv4_to_int(address), 24)
        self.node.add_address(self.node.loopback, ipv4_to_int(SERVICE), 32)
        self.node.sysctl.set("net.ipv4.vs.conntrack", 1)
        self.node.netfilter.ipvs.run(f"-A -u {SERVICE}:53 -s rr\n-a -u {SERVICE}:53 -r {SERVER}:5353 -m\n")
        self.node.netfilter.restore("*nat\n-A POSTROUTING -o eth0 -j MASQUERADE\nCOMMIT\n")
        self.echo = server.sockets.udp()
        self.echo.bind(("0.0.0.0", 5353))

    def counted(self, chain: str, match: str) -> int:
        """Ask the service once, and return how many packets a rule has seen in a chain."""
        self.node.netfilter.restore(f"*filter\n-A {chain} -p udp -m ipvs {match}\nCOMMIT\n")
        socket = self.node.sockets.udp()
        socket.send_to(b"?", (SERVICE, 53))
        self.kernel.run(0.0)
        question = self.echo.receive()
        assert question is not None
        self.echo.send_to(b"!", question.source)
        self.kernel.run(0.0)
        answer = socket.receive()
        assert answer is not None
        assert answer.source == (SERVICE, 53)
        return self.node.netfilter.tables["filter"].chains[chain].rules[0].packets


@pytest.mark.parametrize(
    ("match", "seen"),
    [
        ("--ipvs", 1),
        ("! --ipvs", 0),
        (f"--vproto udp --vaddr {SERVICE} --vport 53", 1),
        (f"--vaddr {SERVER}", 0),
        (f"! --vaddr {SERVER}", 1),
        ("--vaddr 10.96.77.77/16", 1),
        ("--vport 5353", 0),
        ("! --vport 5353", 1),
        ("--vproto tcp", 0),
        ("--vmethod MASQ", 1),
        ("! --vmethod MASQ", 0),
        ("--vmethod GATE", 0),
        ("--vdir ORIGINAL", 1),
        ("--vdir REPLY", 0),
        ("--vportctl 21", 0),
        ("! --vportctl 21", 1),
    ],
)
def test_on_its_way_to_the_real_server_a_packet_is_known(match: str, seen: int):
    assert Bed().counted("OUTPUT", match) == seen


@pytest.mark.parametrize(("match", "seen"), [("--vport 53", 0), ("! --vport 53", 0)])
def test_an_answer_is_not_found_by_its_addresses(match: str, seen: int):
    assert Bed().counted("INPUT", match) == seen


def test_a_trace_says_what_the_match_saw():
    bed = Bed()
    bed.node.netfilter.restore("*filter\n-A OUTPUT -m ipvs --vport 1\nCOMMIT\n")
    bed.node.sockets.udp().send_to(b"?", (SERVICE, 53), trace=bed.kernel.open_trace(1, 1, considered=True))
    bed.kernel.run(0.0)
    said = [str(step.detail) for step in bed.kernel.take_steps() if step.kind is StepKind.CONSIDERED]
    assert len(said) == 1
    assert f"{SERVICE}:53" in said[0]
