"""SCTP in connection tracking: the state table is whole, and an association lives as long as the sysctls say."""

from __future__ import annotations

import dpkt.sctp
import pytest

from emulator.kernel.netfilter.conntrack.sctp_state import TIMEOUTS, TRANSITIONS, SctpState
from emulator.packet.sctp import ChunkType
from tests.kernel.netfilter import wire
from tests.kernel.netfilter.router import Router

TRACK = "*filter\n-A FORWARD -m conntrack --ctstate INVALID -j DROP\nCOMMIT\n"
CLIENT, SERVER = "10.0.1.2", "10.0.2.2"


def initiate(kind: int, tag: int) -> dpkt.sctp.Chunk:
    return wire.chunk(kind, 0, tag.to_bytes(4, "big") + bytes(12))


def established() -> Router:
    router = Router(TRACK)
    router.send("a", wire.sctp(CLIENT, 1, SERVER, 2, 0, initiate(ChunkType.INIT, 20)))
    router.send("b", wire.sctp(SERVER, 2, CLIENT, 1, 20, initiate(ChunkType.INIT_ACK, 10)))
    router.send("a", wire.sctp(CLIENT, 1, SERVER, 2, 10, wire.chunk(ChunkType.COOKIE_ECHO)))
    router.send("b", wire.sctp(SERVER, 2, CLIENT, 1, 20, wire.chunk(ChunkType.COOKIE_ACK)))
    return router


def test_the_table_is_whole() -> None:
    for rows in TRANSITIONS:
        assert rows.keys() == set(ChunkType) - {ChunkType.DATA, ChunkType.SACK}
        assert all(len(row) == SctpState.INVALID for row in rows.values())
    assert set(TIMEOUTS) == {state.name.lower() for state in SctpState if SctpState.NONE < state < SctpState.INVALID}


def test_an_association_is_established_and_assured() -> None:
    router = established()
    (connection,) = router.connections()
    assert connection.assured
    assert str(connection) == (
        "sctp     132 ESTABLISHED src=10.0.1.2 dst=10.0.2.2 sport=1 dport=2 "
        "src=10.0.2.2 dst=10.0.1.2 sport=2 dport=1 [ASSURED] mark=0 use=1"
    )
    assert connection.deadline == 210


def test_timeouts_are_sysctls() -> None:
    router = established()
    router.ns.sysctl.set("net.netfilter.nf_conntrack_sctp_timeout_established", 77)
    router.send("a", wire.sctp(CLIENT, 1, SERVER, 2, 10, wire.chunk(ChunkType.SACK)))
    assert router.connections()[0].deadline == 77


@pytest.mark.parametrize("tag", [0, 9, 20])
def test_a_wrong_verification_tag_is_invalid(tag: int) -> None:
    router = established()
    assert router.send("a", wire.sctp(CLIENT, 1, SERVER, 2, tag, wire.chunk(ChunkType.DATA))) == []
    assert router.send("a", wire.sctp(CLIENT, 1, SERVER, 2, 10, wire.chunk(ChunkType.DATA))) != []


def test_an_association_that_was_read_from_text_learns_its_tags() -> None:
    router = Router(TRACK)
    router.ns.netfilter.conntrack.load(
        "sctp 132 100 ESTABLISHED src=10.0.1.2 dst=10.0.2.2 sport=1 dport=2 "
        "src=10.0.2.2 dst=10.0.1.2 sport=2 dport=1 [ASSURED] mark=0 use=1\n"
    )
    assert router.send("a", wire.sctp(CLIENT, 1, SERVER, 2, 10, wire.chunk(ChunkType.DATA))) != []
    assert router.send("b", wire.sctp(SERVER, 2, CLIENT, 1, 20, wire.chunk(ChunkType.SACK))) != []
    assert router.send("a", wire.sctp(CLIENT, 1, SERVER, 2, 11, wire.chunk(ChunkType.DATA))) == []
