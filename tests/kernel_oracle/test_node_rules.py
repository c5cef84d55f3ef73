"""Rules as real nodes have them, and which chains count, against the real iptables-restore, -save and iptables."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.kernel.kernel import Kernel
from emulator.kernel.netfilter.iptables.command import iptables
from emulator.kernel.netns import Netns
from tests.kernel_oracle import harness
from tests.kernel_oracle.netfilter_bed import RouterBed

pytestmark = pytest.mark.kernel

DIRECTORY = Path(__file__).parent.parent / "data" / "node-rules"


@pytest.fixture
def bed() -> Iterator[RouterBed]:
    with RouterBed() as testbed:
        yield testbed


@pytest.mark.parametrize("path", sorted(DIRECTORY.glob("*.txt")), ids=lambda path: path.stem)
def test_rules_of_nodes_are_taken_and_saved_alike(bed: RouterBed, path: Path) -> None:
    ours = Netns(Kernel("node", random.Random(1)), "node").netfilter
    sets = path.with_suffix(".sets")
    if sets.exists():
        bed.execute("ipset", "restore", stdin=sets.read_text())
        ours.sets.restore(sets.read_text())
    bed.execute("iptables-restore", stdin=path.read_text())
    ours.restore(path.read_text())
    saved = [line for line in bed.execute("iptables-save").splitlines() if not line.startswith("#")]
    assert ours.save().splitlines() == saved
    for table in ours.tables:
        for listing in ("-L", "-nvL"):
            assert iptables(ours, ["-t", table, listing]) == bed.execute("iptables", "-t", table, listing)


CHANGES = (
    ("iptables", "-A OUTPUT -j MARK --set-mark 1"),
    ("iptables", "-P INPUT ACCEPT"),
    ("iptables", "-Z OUTPUT 1"),
    ("iptables", "-Z OUTPUT"),
    ("restore", "-A OUTPUT -s 1.2.3.4"),
    ("restore", ":INPUT ACCEPT [0:0]"),
    ("noflush", ":OUTPUT - [0:0]"),
    ("iptables", "-F"),
    ("restore", ":OUTPUT ACCEPT"),
)


def test_a_chain_counts_once_its_policy_or_counters_were_set(bed: RouterBed) -> None:
    bed.build("")
    netfilter = bed.ns.netfilter
    for kind, words in CHANGES:
        if kind == "iptables":
            bed.execute("iptables", *words.split())
            iptables(netfilter, words.split())
        else:
            text = f"*filter\n{words}\nCOMMIT\n"
            bed.execute("iptables-restore", *(["-n"] if kind == "noflush" else []), stdin=text)
            netfilter.restore(text, noflush=kind == "noflush")
        with harness._inside(bed.name), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as real:
            real.sendto(b"x", ("10.0.2.2", 9))
        bed.ns.sockets.udp().send_to(b"x", ("10.0.2.2", 9))
        bed.kernel.run(bed.kernel.now)
        saved = [line for line in bed.execute("iptables-save", "-c").splitlines() if not line.startswith("#")]
        assert netfilter.save(counters=True).splitlines() == saved, words
