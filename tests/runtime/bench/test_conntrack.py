"""What `emulator bench conntrack` measures is what it says: so many entries, found again, and gone at the end."""

from __future__ import annotations

import pytest

from emulator.cli.bench.conntrack import conntrack_lines
from emulator.kernel.netfilter.conntrack.connection import Status
from emulator.runtime.bench.conntrack import KINDS, MASQUERADE, Cost, _Bed, measure, measure_kind

TRANSLATED = Status.SRC_NAT | Status.DST_NAT


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_measured(kind: str) -> None:
    cost = measure_kind(kind, 300)
    assert (cost.kind, cost.entries) == (kind, 300)
    assert min(cost.inserts_a_second, cost.lookup_us, cost.expire_us) > 0


def test_the_connections_are_what_their_names_say() -> None:
    for kind in KINDS:
        bed = _Bed(kind)
        bed.open(7)
        (connection,) = bed.conntrack
        assert connection.state_name == ("" if kind == "udp" else "ESTABLISHED")
        assert connection.assured is (kind != "udp")
        assert (connection.status & TRANSLATED == TRANSLATED) is (kind == "tcp-nat")
        if kind == "tcp-nat":
            assert MASQUERADE <= connection.reply.daddr <= MASQUERADE + 64 * 256


def test_each_kind_has_a_process_of_its_own() -> None:
    said: list[str] = []
    costs = measure(20, said.append)
    assert [cost.kind for cost in costs] == list(KINDS)
    assert said == [f"{kind}: 20 connections" for kind in KINDS]


def test_the_report() -> None:
    head, line, machine = conntrack_lines([Cost("udp", 5000, 650.4, 15_905.2, 11.04, 3.22)])
    assert head.split() == ["5,000", "connections", "an", "entry", "target", "new", "a", "packet", "the", "end"]
    assert " ".join(line.split()) == "UDP, one packet 650 B 1024 B 15,905/s 11.0 µs 3.2 µs"
    assert "processor time in one process" in machine
