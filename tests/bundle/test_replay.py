"""What becomes of each packet: verdict, reason, frames out, connection, rules, and the times of it all."""

from __future__ import annotations

import json
from pathlib import Path

from emulator.bundle.inputs import Source
from tests.bundle.maker import (
    FORWARDING,
    MACS,
    PEER,
    ROUTER,
    ROUTER_NEIGHBOURS,
    START,
    link,
    make,
    neighbour,
    router,
    tcp_frame,
    udp_frame,
)
from tests.kernel.frames import arp, echo, ethernet, ipv4, udp

HOST, FAR = "10.0.1.2", "10.0.2.2"
BROADCAST = "ff:ff:ff:ff:ff:ff"
STATEFUL = """*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -i eth0 -p udp -m udp --dport 53 -j ACCEPT
-A FORWARD -p udp -m udp --dport 99 -j REJECT --reject-with icmp-port-unreachable
-A FORWARD -p udp -m udp --dport 98 -j DROP
COMMIT
"""


def test_the_contract_of_a_row(tmp_path: Path) -> None:
    (row,) = router(tmp_path, STATEFUL).replay([udp_frame(HOST, FAR)])
    text = row.to_json()
    assert "\n" not in text
    value = json.loads(text)
    assert list(value) == ["n", "time", "in", "verdict", "reason", "out", "ct", "rules"]
    frame = ethernet(PEER, MACS["eth1"], ipv4(HOST, FAR, 17, udp(HOST, FAR, 4000, 53), ttl=63))
    assert value == {
        "n": 1,
        "time": 1_700_000_000.0,
        "in": "eth0",
        "verdict": "forwarded",
        "reason": None,
        "out": [{"link": "eth1", "frame": frame.hex()}],
        "ct": {
            "state": "NEW",
            "entry": "udp      17 30 src=10.0.1.2 dst=10.0.2.2 sport=4000 dport=53 [UNREPLIED] src=10.0.2.2 "
            "dst=10.0.1.2 sport=53 dport=4000 mark=0 use=1",
        },
        "rules": ["filter:FORWARD:rule:2"],
    }


def test_an_answer_is_established(tmp_path: Path) -> None:
    made = router(tmp_path, STATEFUL)
    there = made.capture([(0.0, udp_frame(HOST, FAR)), (2.0, udp_frame(HOST, FAR))])
    back = made.capture([(1.0, udp_frame(FAR, HOST, 4000, sport=53, mac=MACS["eth1"]))])
    rows = list(made.prepare(Source("eth0", there), Source("eth1", back)).rows())
    assert [(row.number, row.link, row.verdict, row.state) for row in rows] == [
        (1, "eth0", "forwarded", "NEW"),
        (2, "eth1", "forwarded", "ESTABLISHED"),
        (3, "eth0", "forwarded", "ESTABLISHED"),
    ]
    assert rows[1].rules == ["filter:FORWARD:rule:1"]
    assert "[UNREPLIED]" not in (rows[1].entry or "")


def test_dropped_by_a_rule_a_policy_and_with_an_answer(tmp_path: Path) -> None:
    rows = router(tmp_path, STATEFUL).replay([udp_frame(HOST, FAR, port) for port in (98, 97, 99)])
    assert [(row.verdict, row.reason, row.entry) for row in rows] == [
        ("dropped", "NETFILTER_DROP", None),
        ("dropped", "NETFILTER_DROP", None),
        ("dropped", "NETFILTER_REJECT", None),
    ]
    assert [row.rules for row in rows] == [
        ["filter:FORWARD:rule:4"],
        ["filter:FORWARD:policy:5"],
        ["filter:FORWARD:rule:3"],
    ]
    assert [len(row.out) for row in rows] == [0, 0, 1]
    (answer,) = rows[2].out
    assert answer.link == "eth0"
    assert answer.frame[34:36] == b"\x03\x03"  # port unreachable


def test_connections_end_by_the_packets_times(tmp_path: Path) -> None:
    """After 29 s the connection is still there, after 31 more it is not: the answer is invalid or new."""
    made = router(tmp_path, STATEFUL)
    answer = udp_frame(FAR, HOST, 4000, sport=53, mac=MACS["eth1"])
    for seconds, verdict in ((29.0, "forwarded"), (31.0, "dropped")):
        there, back = made.capture([udp_frame(HOST, FAR)]), made.capture([(seconds, answer)])
        rows = list(made.prepare(Source("eth0", there), Source("eth1", back)).rows())
        assert rows[1].verdict == verdict


def test_times_to_the_nanosecond(tmp_path: Path) -> None:
    made = router(tmp_path)
    rows = made.replay([(0.000000001, udp_frame(HOST, FAR)), (0.5, udp_frame(HOST, FAR))])
    assert [row.time - START for row in rows] == [1, 500_000_000]
    assert '"time":1700000000.000000001,' in rows[0].to_json()
    assert '"time":1700000000.500000,' in rows[1].to_json()


def test_local_delivery_is_not_answered_but_by_the_kernel(tmp_path: Path) -> None:
    """No reset and no "port unreachable": the node's sockets are not known. Pings the kernel answers itself."""
    frames = [
        tcp_frame(HOST, "10.0.1.1", 80),
        udp_frame(HOST, "10.0.1.1", 9),
        ethernet(MACS["eth0"], PEER, ipv4(HOST, "10.0.1.1", 132, b"sctp")),
        ethernet(MACS["eth0"], PEER, ipv4(HOST, "10.0.1.1", 1, echo())),
        ethernet(MACS["eth0"], PEER, ipv4(HOST, "10.0.1.1", 1, echo(kind=0))),
    ]
    rows = router(tmp_path).replay(frames)
    assert [(row.verdict, row.reason) for row in rows] == [("delivered", None)] * 5
    assert [len(row.out) for row in rows] == [0, 0, 0, 1, 0]
    pong = ethernet(PEER, MACS["eth0"], ipv4("10.0.1.1", HOST, 1, echo(kind=0)))
    assert rows[3].out[0].frame[34:] == pong[34:]


def test_pings_are_ignored_if_a_sysctl_says_so(tmp_path: Path) -> None:
    made = router(tmp_path, sysctl=FORWARDING + "net.ipv4.icmp_echo_ignore_all = 1\n")
    (row,) = made.replay([ethernet(MACS["eth0"], PEER, ipv4(HOST, "10.0.1.1", 1, echo()))])
    assert (row.verdict, row.reason, row.out) == ("delivered", None, [])


def test_bad_checksums_are_not_delivered(tmp_path: Path) -> None:
    def broken(frame: bytes) -> bytes:
        return frame[:-1] + bytes([frame[-1] ^ 1])

    frames = [
        broken(udp_frame(HOST, "10.0.1.1", 9)),
        broken(tcp_frame(HOST, "10.0.1.1", 80, payload=b"data")),
        broken(ethernet(MACS["eth0"], PEER, ipv4(HOST, "10.0.1.1", 1, echo()))),
        ethernet(MACS["eth0"], PEER, ipv4(HOST, "10.0.1.1", 17, b"short")),
        ethernet(MACS["eth0"], PEER, ipv4(HOST, "10.0.1.1", 6, b"short")),
    ]
    rows = router(tmp_path).replay(frames)
    assert [(row.verdict, row.reason) for row in rows] == [
        ("dropped", "UDP_CSUM"),
        ("dropped", "TCP_CSUM"),
        ("dropped", "ICMP_CSUM"),
        ("dropped", "PKT_TOO_SMALL"),
        ("dropped", "PKT_TOO_SMALL"),
    ]


def test_errors_of_forwarding_are_sent(tmp_path: Path) -> None:
    links = [ROUTER[0], ROUTER[1], {**ROUTER[2], "mtu": 1000}]
    large = udp_frame(HOST, FAR, payload=bytes(1200), fragment=0x4000)
    frames = [udp_frame(HOST, FAR, ttl=1), large, udp_frame(HOST, "192.0.2.1")]
    rows = router(tmp_path, links=links).replay(frames)
    assert [(row.verdict, row.reason) for row in rows] == [
        ("dropped", "IP_TTL_EXPIRED"),
        ("dropped", "PKT_TOO_BIG"),
        ("dropped", "IP_INNOROUTES"),
    ]
    assert [row.out[0].frame[34:36] for row in rows] == [b"\x0b\x00", b"\x03\x04", b"\x03\x00"]


def test_fragments_wait_for_each_other(tmp_path: Path) -> None:
    """With conntrack they are put together, and cut again on the way out."""
    datagram = udp(HOST, FAR, 4000, 53, bytes(24))
    pieces = [ipv4(HOST, FAR, 17, datagram[:16], fragment=0x2000), ipv4(HOST, FAR, 17, datagram[16:], fragment=2)]
    rows = router(tmp_path, STATEFUL).replay([ethernet(MACS["eth0"], PEER, piece) for piece in pieces])
    assert [(row.verdict, row.reason, len(row.out)) for row in rows] == [("stolen", None, 0), ("forwarded", None, 2)]


def test_for_another_station(tmp_path: Path) -> None:
    (row,) = router(tmp_path).replay([udp_frame(HOST, FAR, mac="02:00:00:00:00:99")])
    assert (row.verdict, row.reason) == ("dropped", "OTHERHOST")


def test_what_is_not_emulated_can_be_told_from_what_linux_drops(tmp_path: Path) -> None:
    """Linux routes IPv6 and MPLS, below a VLAN's tag too; LLDP it drops, and what has the tag of no link."""
    tag = b"\x81\x00\x00\x07"
    frames = [ethernet(MACS["eth0"], PEER, b"\x60" + bytes(39), kind) for kind in (0x86DD, 0x8847, 0x88CC)]
    frames += [frames[0][:12] + tag + frames[0][12:], frames[0][:12] + tag[:3] + b"\x08" + frames[0][12:]]
    vlan = link("eth0.7", MACS["eth0"], link="eth0")
    vlan["linkinfo"] = {"info_kind": "vlan", "info_data": {"protocol": "802.1Q", "id": 7}}
    rows = router(tmp_path, links=[*ROUTER, vlan]).replay(frames)
    unknown = [f"{kind} is not emulated: what the node does with this packet is not known" for kind in ("IPv6", "MPLS")]
    assert [(row.verdict, row.reason, row.notes) for row in rows] == [
        ("dropped", "NOT_EMULATED", unknown[:1]),
        ("dropped", "NOT_EMULATED", unknown[1:]),
        ("dropped", "UNHANDLED_PROTO", []),
        ("dropped", "NOT_EMULATED", unknown[:1]),
        ("dropped", "UNHANDLED_PROTO", []),
    ]
    (row,) = router(tmp_path).replay(frames[:1], "local")
    assert (row.reason, row.notes) == ("NOT_EMULATED", unknown[:1])


def test_without_conntrack_nothing_is_said_of_it(tmp_path: Path) -> None:
    (row,) = router(tmp_path).replay([udp_frame(HOST, FAR)])
    assert (row.state, row.entry, row.rules) == (None, None, [])


def test_untracked(tmp_path: Path) -> None:
    rules = (
        "*raw\n-A PREROUTING -j CT --notrack\nCOMMIT\n*filter\n-A FORWARD -m conntrack --ctstate UNTRACKED\nCOMMIT\n"
    )
    (row,) = router(tmp_path, rules).replay([udp_frame(HOST, FAR)])
    assert (row.state, row.entry) == ("UNTRACKED", None)
    assert row.rules == ["raw:PREROUTING:rule:1", "filter:FORWARD:rule:1"]


# Neighbours


def test_arp_is_answered(tmp_path: Path) -> None:
    question = ethernet(BROADCAST, PEER, arp(1, PEER, HOST, "00:00:00:00:00:00", "10.0.1.1"), 0x0806)
    (row,) = router(tmp_path).replay([question])
    assert (row.verdict, row.reason) == ("delivered", None)
    answer = ethernet(PEER, MACS["eth0"], arp(2, MACS["eth0"], "10.0.1.1", PEER, HOST), 0x0806)
    assert [each.frame for each in row.out] == [answer]


def test_an_unknown_next_hop_is_asked_for(tmp_path: Path) -> None:
    """Where neigh.json does not have it: the packet waits, and leaves when the capture has the answer."""
    made = router(tmp_path, neigh=[neighbour(HOST, "eth0")])
    there = made.capture([(0.0, udp_frame(HOST, FAR))])
    answer = ethernet(MACS["eth1"], PEER, arp(2, PEER, FAR, MACS["eth1"], "10.0.2.1"), 0x0806)
    back = made.capture([(1.5, answer)])
    waits, goes = made.prepare(Source("eth0", there), Source("eth1", back)).rows()
    assert (waits.verdict, waits.reason) == ("stolen", None)
    assert waits.out[0].frame[12:14] == b"\x08\x06"
    assert [(each.link, each.time - START) for each in goes.timers] == [("eth1", 1_000_000_000)]  # asked again
    assert goes.verdict == "delivered"
    assert [each.link for each in goes.out] == ["eth1"]
    assert goes.out[0].frame[:6].hex(":") == PEER
    assert json.loads(goes.to_json())["timer_out"][0]["time"] == 1_700_000_001.0


def test_an_unanswered_next_hop_is_given_up(tmp_path: Path) -> None:
    made = router(tmp_path, neigh=[neighbour(HOST, "eth0")])
    first, second = made.replay([(0.0, udp_frame(HOST, FAR)), (10.0, udp_frame(HOST, "10.0.1.1"))])
    assert first.verdict == "stolen"
    assert [each.link for each in second.timers] == ["eth1", "eth1", "eth0"]
    assert second.timers[2].frame[34:36] == b"\x03\x01"  # host unreachable
    assert second.timers[2].time - START == 3_000_000_000


def test_what_waits_at_the_end_is_said(tmp_path: Path) -> None:
    made = router(tmp_path, neigh=[])
    run = made.prepare(Source("eth0", made.capture([udp_frame(HOST, FAR)])))
    assert [row.verdict for row in run.rows()] == ["stolen"]
    assert run.waiting() == ["1 packet waits for ARP to find 10.0.2.2 dev eth1 INCOMPLETE"]


def test_without_neighbours_their_macs_are_made_up(tmp_path: Path) -> None:
    """Without neigh.json, or if asked to; each such row says so."""
    note = "the MAC of 10.0.2.9 on eth1 is not known; 02:00:0a:00:02:09 stands in for it"
    bare = make(tmp_path, links=ROUTER, sysctl=FORWARDING)
    (row,) = bare.replay([udp_frame(HOST, "10.0.2.9")])
    assert (row.verdict, row.notes) == ("forwarded", [note])
    assert row.out[0].frame[:6].hex(":") == "02:00:0a:00:02:09"
    assert json.loads(row.to_json())["notes"] == [note]
    bare.write("neigh.json", ROUTER_NEIGHBOURS)
    assert bare.replay([udp_frame(HOST, "10.0.2.9")])[0].verdict == "stolen"
    known, unknown = bare.replay([udp_frame(HOST, FAR), udp_frame(HOST, "10.0.2.9")], assume_neighbours=True)
    assert (known.notes, unknown.notes) == ([], [note])


def test_a_known_neighbour_stays_known(tmp_path: Path) -> None:
    """Linux would probe it now and then; who would answer is in no file."""
    made = router(tmp_path, neigh=[neighbour(HOST, "eth0"), neighbour(FAR, "eth1", state="STALE")])
    rows = made.replay([(float(hour * 3600), udp_frame(HOST, FAR)) for hour in range(24)])
    assert {row.verdict for row in rows} == {"forwarded"}
    assert not any(row.timers for row in rows)


def test_a_neighbour_that_moves_is_followed(tmp_path: Path) -> None:
    """A gratuitous ARP, as keepalived sends it."""
    made = router(tmp_path)
    new = "02:bb:00:00:00:07"
    there = made.capture([(0.0, udp_frame(HOST, FAR)), (20.0, udp_frame(HOST, FAR))])
    moved = made.capture([(10.0, ethernet(BROADCAST, new, arp(1, new, FAR, "00:00:00:00:00:00", FAR), 0x0806))])
    rows = list(made.prepare(Source("eth0", there), Source("eth1", moved)).rows())
    assert [row.out[0].frame[:6].hex(":") for row in rows if row.out] == [PEER, new]


# Text


def test_as_text(tmp_path: Path) -> None:
    rows = router(tmp_path, STATEFUL).replay([udp_frame(HOST, FAR), udp_frame(HOST, FAR, 98)])
    assert rows[0].to_text() == [
        "       1  1700000000.000000  eth0  IP 10.0.1.2.4000 > 10.0.2.2.53: UDP, length 1",
        "          forwarded  NEW",
        "          → eth1  IP 10.0.1.2.4000 > 10.0.2.2.53: UDP, length 1",
        "          udp 17 30 src=10.0.1.2 dst=10.0.2.2 sport=4000 dport=53 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 "
        "sport=53 dport=4000 mark=0 use=1",
        "          filter:FORWARD:rule:2",
    ]
    assert rows[1].to_text()[1:] == ["          dropped NETFILTER_DROP  NEW", "          filter:FORWARD:rule:4"]
