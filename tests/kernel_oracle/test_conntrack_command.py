"""`conntrack` beside the real conntrack 1.4.7: the same entries and command lines on both sides give the same words."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import trio

from emulator.apps.commands import conntrack
from emulator.apps.environment import Invocation, Network
from tests.kernel.netfilter import wire
from tests.kernel.netfilter.wire import ACK, SYN
from tests.kernel_oracle.harness import ethernet
from tests.kernel_oracle.netfilter_bed import HOST_MAC, MACS, RouterBed

pytestmark = pytest.mark.kernel

CLIENT, SERVER, VIP = "10.0.1.2", "10.0.2.2", "10.96.0.10"
RULES = f"""*nat
-A PREROUTING -d {VIP} -j DNAT --to-destination {SERVER}
-A POSTROUTING -o c -j SNAT --to-source 10.0.3.9
COMMIT
*mangle
-A FORWARD -p tcp --dport 81 -j CONNMARK --set-mark 6
COMMIT
"""
ADDED = (
    "-I -p udp -s 1.1.1.1 -d 2.2.2.4 --sport 1 --dport 5 -t 77 -g 3.3.3.3:99 -n 4.4.4.4 -u ASSURED,SEEN_REPLY",
    "-I -p gre -s 1.1.1.1 -d 2.2.2.4 -t 77 --srckey 1 --dstkey 2",
    "-I -p udp -s 1.1.1.1 -d 2.2.2.6 --sport 1 --dport 5 -t 77 --orig-zone 6",
    "-I -p udp -s 1.1.1.1 -d 2.2.2.6 --sport 1 --dport 6 -t 77 -w 9",
    "-I -p sctp -s 1.1.1.1 -d 2.2.2.4 -t 77 --sport 4 --dport 5 --state ESTABLISHED --orig-vtag 1 --reply-vtag 2",
    "-I -p tcp -s 1.1.1.1 -d 2.2.2.4 -t 77 --sport 4 --dport 5 --state CLOSE_WAIT -m 77",
    "-I -p 89 -s 1.1.1.1 -d 2.2.2.4 -t 77",
)
LINES = Path(__file__).with_name("conntrack_lines.txt").read_text().splitlines()


@pytest.fixture(scope="module")
def bed() -> Iterator[RouterBed]:
    """Entries of every kind on both sides. The lines that change the table come last, and find it as it is then."""
    with RouterBed() as testbed:
        testbed.build(RULES)
        testbed.set_sysctl("net.netfilter.nf_conntrack_acct", 1)
        packets = [wire.udp(CLIENT, 5, VIP, 53), wire.echo(CLIENT, SERVER, 9), wire.ip(CLIENT, SERVER, 89, b"ospf")]
        packets += [wire.ip(CLIENT, SERVER, 47, bytes(4)), wire.tcp(CLIENT, 6, SERVER, 81, SYN, 9)]
        packets += [wire.udp(CLIENT, 7, "10.0.3.2", 53), wire.tcp(CLIENT, 8, SERVER, 80, ACK, 5, 5)]
        testbed.compare([("a", ethernet(MACS["a"], HOST_MAC, packet)) for packet in packets])
        for line in ADDED:
            assert run(testbed, line) == real(testbed, line)
        yield testbed


def real(bed: RouterBed, line: str) -> tuple[int, str, str]:
    command = ("ip", "netns", "exec", bed.name, "conntrack", *line.split())
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)
    return done.returncode, done.stdout, done.stderr


def run(bed: RouterBed, line: str) -> tuple[int, str, str]:
    out: list[str] = []
    error: list[str] = []
    network = cast("Network", SimpleNamespace(netns=bed.ns))
    invocation = Invocation(
        ("conntrack", *line.split()), network, cast("object", None), out.append, error.append, lambda: 0.0
    )  # type: ignore[arg-type]
    return trio.run(conntrack.main, invocation), "".join(out), "".join(error)


_LOOSE = (
    (re.compile(r"\bid=\d{5,}|\bid=\d+(?=\n)"), "id=N"),
    (re.compile(r"<id>\d+</id>"), "<id/>"),
    (re.compile(r"^((?:ipv4 +2 )?\S+ +\d+) \d+ ", re.MULTILINE), r"\1 T "),
    (re.compile(r"<timeout>\d+</timeout>"), "<timeout/>"),
    (re.compile(r"^-([AUD]) -t \d+ ", re.MULTILINE), r"-\1 -t T "),
)


def settle(text: str) -> list[str]:
    """Blank what no two runs share, order the lines, since the kernel lists by its hash, and take one processor's."""
    for pattern, blank in _LOOSE:
        text = pattern.sub(blank, text)
    return sorted(line for line in text.splitlines() if not re.match(r"cpu=[1-9]", line))


@pytest.mark.parametrize(("number", "line"), list(enumerate(LINES)))
def test_the_same_words(bed: RouterBed, number: int, line: str) -> None:
    status, out, error = real(bed, line)
    emulated = run(bed, line)
    assert (emulated[0], settle(emulated[1]), emulated[2]) == (status, settle(out), error)
