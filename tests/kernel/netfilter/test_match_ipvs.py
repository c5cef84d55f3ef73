"""`-m ipvs`: read, printed, and asked of packets on their way to a real server and back."""

from __future__ import annotations

import os
import random
import subprocess

import pytest

from emulator.kernel.kernel import Kernel
from emulator.kernel.netfilter.command import iptables
from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netns import Netns
from emulator.kernel.trace import StepKind
from emulator.kernel.veth import pair
from emulator.packet.address import ipv4_to_int

# As written, as iptables-save prints it. No kernel module is at hand, so that the real tool's own words are in
# `iptables -v -A`, which prints a rule before the kernel refuses it.
RULES = [
    ("--ipvs", "--ipvs"),
    ("! --ipvs", "! --ipvs"),
    ("--vproto tcp", "--vproto 6"),
    ("! --vproto UDP", "! --vproto 17"),
    ("--vproto 200", "--vproto 200"),
    ("--vaddr 1.2.3.4", "--vaddr 1.2.3.4"),
    ("! --vaddr 1.2.3.4/255.255.255.0", "! --vaddr 1.2.3.4/24"),
    ("--vaddr 1.2.3.4/0", "--vaddr 1.2.3.4/0"),
    ("--vaddr 1.2.3.4/255.255.0.255", "--vaddr 1.2.3.4"),
    ("--vport 99999", "--vport 34463"),
    ("! --vport http", "! --vport 80"),
    ("--vdir reply", "--vdir REPLY"),
    ("! --vmethod masq", "! --vmethod MASQ"),
    ("--vportctl 21 --ipvs", "--vportctl 21"),
    (
        "--vportctl 21 --vmethod GATE --vdir ORIGINAL --vport 80 --vaddr 1.2.3.4/8 --vproto sctp",
        "--vproto 132 --vaddr 1.2.3.4/8 --vport 80 --vdir ORIGINAL --vmethod GATE --vportctl 21",
    ),
]
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


@pytest.mark.parametrize(("written", "saved"), RULES)
def test_it_is_printed(written: str, saved: str):
    netfilter = fresh().netfilter
    iptables(netfilter, ["-A", "INPUT", "-m", "ipvs", *written.split()])
    assert f"-A INPUT -m ipvs {saved}\n" in netfilter.save("filter")
    assert saved.replace("--", "") in iptables(netfilter, ["-nL", "INPUT"])


@pytest.mark.parametrize(("written", "message"), WRONG)
def test_what_makes_no_sense_is_refused(written: str, message: str):
    with pytest.raises(RuleError) as raised:
        iptables(fresh().netfilter, ["-A", "INPUT", "-m", "ipvs", *written.split()])
    assert message in str(raised.value)


@pytest.mark.kernel
def test_the_real_tool_reads_and_prints_alike():
    name = f"pwh-ipvsproxy-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        for written, expected in [*RULES, *WRONG]:
            words = ["iptables", "-v", "-A", "INPUT", "-m", "ipvs", *written.split(), "-j", "DROP"]
            done = subprocess.run(["ip", "netns", "exec", name, *words], capture_output=True, text=True, check=False)
            if (written, expected) in RULES:
                assert done.stdout.split("0.0.0.0/0", 2)[2].strip() == expected.replace("--", ""), written
            else:
                assert expected in done.stderr, written
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
