"""Neighbours over time: who is asked, what waits, when an entry is trusted."""

from __future__ import annotations

from emulator.kernel.drop import DropReason
from emulator.kernel.neigh import NudState
from emulator.kernel.trace import StepKind
from emulator.packet.address import ipv4_to_int, mac_to_int
from emulator.packet.describe import describe_frame
from tests.kernel.frames import arp, echo, ethernet, ipv4
from tests.kernel.router import A_MAC, B_MAC, CLIENT, CLIENT_MAC, HERE, SERVER, SERVER_MAC, Router, datagram

BROADCAST, ZERO = "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"
ASK_SERVER = "ARP, Request who-has 10.2.0.2 tell 10.2.0.1, length 28"


def answer(mac: str = SERVER_MAC) -> bytes:
    return ethernet(B_MAC, mac, arp(2, mac, SERVER, B_MAC, "10.2.0.1"), 0x0806)


def state(router: Router, address: str = SERVER) -> NudState:
    entry = router.ns.neighbours.get(router.b if address == SERVER else router.a, ipv4_to_int(address))
    assert entry is not None
    return entry.state


def unknown_server() -> Router:
    router = Router(neighbours=False)
    router.know(router.a, CLIENT, CLIENT_MAC)
    return router


def test_packets_wait_for_the_answer_and_leave_in_order() -> None:
    router = unknown_server()
    router.feed(router.a, *(datagram(identification=number) for number in range(5)))
    assert [describe_frame(frame) for frame in router.taken(router.b)] == [ASK_SERVER]
    assert state(router) is NudState.INCOMPLETE
    router.feed(router.b, answer())
    assert [int.from_bytes(frame[18:20], "big") for frame in router.taken(router.b)] == [0, 1, 2, 3, 4]
    assert state(router) is NudState.REACHABLE


def test_after_three_questions_the_senders_are_told() -> None:
    router = unknown_server()
    router.feed(router.a, datagram())
    router.run(2.9)
    assert [describe_frame(frame) for frame in router.taken(router.b)] == [ASK_SERVER] * 3
    assert router.taken(router.a) == []
    router.run(0.2)
    (told,) = router.taken(router.a)
    assert describe_frame(told) == "IP 10.1.0.1 > 10.1.0.2: ICMP host 10.2.0.2 unreachable, length 46"
    assert state(router) is NudState.FAILED
    assert dict(router.ns.drops) == {DropReason.NEIGH_FAILED: 1}
    router.feed(router.a, datagram())
    assert state(router) is NudState.INCOMPLETE


def test_the_queue_is_bounded_and_keeps_the_newest() -> None:
    router = unknown_server()
    router.feed(router.a, *(datagram(identification=number, size=1400) for number in range(200)))
    router.feed(router.b, answer())
    sent = [int.from_bytes(frame[18:20], "big") for frame in router.taken(router.b)[1:]]
    assert sent == list(range(108, 200))
    assert router.ns.drops[DropReason.NEIGH_QUEUEFULL] == 108


def test_a_reachable_entry_goes_stale_then_is_probed_when_used() -> None:
    router = unknown_server()
    router.feed(router.a, datagram())
    router.feed(router.b, answer())
    router.run(46.0)
    assert state(router) is NudState.STALE
    router.taken(router.b)
    router.feed(router.a, datagram())
    assert state(router) is NudState.DELAY
    router.run(5.1)
    assert state(router) is NudState.PROBE
    assert router.taken(router.b)[-1][:6] == mac_to_int(SERVER_MAC).to_bytes(6, "big")
    router.feed(router.b, answer())
    assert state(router) is NudState.REACHABLE


def test_a_probe_without_answer_fails_after_three() -> None:
    router = unknown_server()
    router.feed(router.a, datagram())
    router.feed(router.b, answer())
    router.run(46.0)
    router.feed(router.a, datagram())
    router.taken(router.b)
    router.run(9.0)
    assert [describe_frame(frame) for frame in router.taken(router.b)] == [ASK_SERVER] * 3
    assert state(router) is NudState.FAILED


def test_progress_of_upper_layers_keeps_an_entry_reachable() -> None:
    router = unknown_server()
    router.feed(router.a, datagram())
    router.feed(router.b, answer())
    entry = router.ns.neighbours.get(router.b, ipv4_to_int(SERVER))
    assert entry is not None
    for _ in range(20):
        router.run(5.0)
        router.ns.neighbours.confirm(entry)
    assert entry.state is NudState.REACHABLE


def test_a_request_to_us_is_answered_and_learned_from() -> None:
    router = Router(neighbours=False)
    router.feed(router.a, ethernet(BROADCAST, CLIENT_MAC, arp(1, CLIENT_MAC, CLIENT, ZERO, HERE), 0x0806))
    (reply,) = router.taken(router.a)
    assert describe_frame(reply) == f"ARP, Reply 10.1.0.1 is-at {A_MAC}, length 28"
    assert state(router, CLIENT) is NudState.STALE
    router.feed(router.a, ethernet(A_MAC, CLIENT_MAC, ipv4(CLIENT, HERE, 1, echo())))
    assert len(router.taken(router.a)) == 1


def test_unsolicited_answers_make_no_entries_but_gratuitous_ones_move_them() -> None:
    router = Router(neighbours=False)
    router.feed(router.b, answer())
    assert len(router.ns.neighbours) == 0
    router.ns.neighbours.add(router.b, ipv4_to_int(SERVER), mac_to_int(SERVER_MAC), NudState.REACHABLE)
    router.feed(router.b, ethernet(BROADCAST, CLIENT_MAC, arp(1, CLIENT_MAC, SERVER, ZERO, SERVER), 0x0806))
    (entry,) = router.ns.neighbours
    assert str(entry) == f"10.2.0.2 dev b lladdr {CLIENT_MAC} STALE"


def test_a_permanent_entry_does_not_move() -> None:
    router = Router()
    router.feed(router.b, answer(CLIENT_MAC))
    entry = router.ns.neighbours.get(router.b, ipv4_to_int(SERVER))
    assert entry is not None
    assert entry.mac == mac_to_int(SERVER_MAC)


def test_an_arp_flood_does_not_grow_the_table_without_bound() -> None:
    router = Router(neighbours=False)
    router.ns.sysctl.set("net.ipv4.neigh.default.gc_thresh3", 64)
    router.ns.add_address(router.a, ipv4_to_int("10.8.0.1"), 16)
    for number in range(500):
        sender = f"10.8.{number // 250 + 1}.{number % 250 + 1}"
        router.feed(router.a, ethernet(BROADCAST, CLIENT_MAC, arp(1, CLIENT_MAC, sender, ZERO, HERE), 0x0806))
    assert len(router.ns.neighbours) <= 64
    assert len(router.taken(router.a)) == 500


def test_a_link_that_goes_down_forgets_its_neighbours() -> None:
    router = unknown_server()
    router.feed(router.a, datagram())
    router.b.set_up(False)
    assert [entry.link.name for entry in router.ns.neighbours] == ["a"]
    assert router.ns.drops[DropReason.NEIGH_FAILED] == 1
    router.run(10.0)


def test_a_new_mac_of_ours_is_used_at_once() -> None:
    router = Router()
    router.feed(router.a, datagram())
    router.b.mac = mac_to_int("02:00:00:00:0b:0b")
    router.feed(router.a, datagram())
    assert [frame[6:12].hex() for frame in router.taken(router.b)] == ["02000000000b", "020000000b0b"]


def crowd(router: Router, count: int) -> None:
    for number in range(2, count + 2):
        sender = f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}"
        host = f"10.1.{number >> 8}.{number & 255}"
        router.feed(router.a, ethernet(BROADCAST, sender, arp(1, sender, host, ZERO, HERE), 0x0806))


def test_many_unused_entries_are_forgotten_and_few_are_not() -> None:
    router = Router(neighbours=False)
    crowd(router, 100)
    router.run(86_400.0)
    assert len(router.ns.neighbours) == 100
    crowd(router, 300)
    assert len(router.ns.neighbours) > 250
    router.run(80.0)
    assert len(router.ns.neighbours) == 0
    assert router.kernel.next_deadline() is None


def test_a_flood_stays_below_the_limit_and_others_still_get_an_entry() -> None:
    router = Router(neighbours=False)
    crowd(router, 3000)
    assert len(router.ns.neighbours) <= 1024
    router.feed(router.a, datagram())
    router.feed(router.b, answer())
    assert state(router) is NudState.REACHABLE


def test_the_loopback_has_one_entry() -> None:
    router = Router(neighbours=False)
    for number in range(2000):
        router.ns.sockets.ping().send_echo(ipv4_to_int("127.0.0.1") + number, 1, b"")
        router.run()
    assert len(router.ns.neighbours) == 1
    assert dict(router.ns.drops) == {}


def test_each_question_is_in_the_trace_of_a_packet_that_waits_behind_others() -> None:
    router = unknown_server()
    router.a.receive_frame(datagram(), router.kernel.open_trace(1))
    router.run(0.5)
    router.feed(router.a, datagram(identification=2))
    router.run(4.0)
    asked = [step for step in router.kernel.take_steps() if step.packet == ASK_SERVER]
    assert [step.kind for step in asked] == [StepKind.TRANSMIT] * 3
