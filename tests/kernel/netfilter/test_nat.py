"""NAT as seen from the packets: Services, exhaustion, eviction, traces."""

from __future__ import annotations

from emulator.kernel.drop import DropReason
from emulator.kernel.jhash import jhash2
from emulator.kernel.netfilter.conntrack.tuple import Tuple
from emulator.kernel.trace import StepKind
from emulator.packet.address import ipv4_to_int
from tests.kernel.netfilter import wire
from tests.kernel.netfilter.kube_rules import kube_proxy_rules
from tests.kernel.netfilter.router import Router

CLIENT, SERVER, VIP = "10.0.1.2", "10.0.2.2", "10.96.0.10"
SERVICE = f"""*nat
:SVC - [0:0]
-A PREROUTING -d {VIP}/32 -p tcp -m tcp --dport 80 -m comment --comment "default/web" -j SVC
-A POSTROUTING -o b -j MASQUERADE
-A SVC -p tcp -j DNAT --to-destination {SERVER}:8080
COMMIT
"""


def test_both_rewrites_and_back() -> None:
    router = Router(SERVICE)
    ((link, out),) = router.send("a", wire.tcp(CLIENT, 4000, VIP, 80, wire.SYN, 1))
    assert (link, wire.ends(out)) == ("b", ("10.0.2.1", 4000, SERVER, 8080))
    ((link, back),) = router.send("b", wire.tcp(SERVER, 8080, "10.0.2.1", 4000, wire.SYN | wire.ACK, 9, 2))
    assert (link, wire.ends(back)) == ("a", (VIP, 80, CLIENT, 4000))


def test_a_trace_tells_every_rule_and_rewrite() -> None:
    router = Router(SERVICE)
    router.send("a", wire.tcp(CLIENT, 4000, VIP, 80, wire.SYN, 1), traced=True)
    wanted = (StepKind.CONNTRACK, StepKind.RULE, StepKind.NAT, StepKind.POLICY)
    steps = [(step.kind, step.detail) for step in router.steps() if step.kind in wanted]
    assert [kind for kind, _ in steps] == [
        StepKind.CONNTRACK, StepKind.RULE, StepKind.RULE, StepKind.NAT, StepKind.RULE, StepKind.NAT,
    ]  # fmt: skip
    assert steps[0][1]["state"] == "NEW"
    assert steps[1][1] == {
        "table": "nat",
        "chain": "PREROUTING",
        "number": 1,
        "rule": f"-A PREROUTING -d {VIP}/32 -p tcp -m tcp --dport 80 -m comment --comment default/web -j SVC".replace(
            "default/web", '"default/web"'
        ),
        "verdict": "SVC",
    }
    assert steps[3][1] == {
        "kind": "DNAT", "before": f"{CLIENT}:4000 > {VIP}:80", "after": f"{CLIENT}:4000 > {SERVER}:8080",
    }  # fmt: skip
    assert steps[5][1]["kind"] == "SNAT"


def test_a_trace_of_the_answer_tells_what_is_taken_back() -> None:
    router = Router(SERVICE)
    router.send("a", wire.tcp(CLIENT, 4000, VIP, 80, wire.SYN, 1))
    router.send("b", wire.tcp(SERVER, 8080, "10.0.2.1", 4000, wire.SYN | wire.ACK, 9, 2), traced=True)
    kinds = [step.detail["kind"] for step in router.steps() if step.kind is StepKind.NAT]
    assert kinds == ["un-SNAT", "un-DNAT"]


def test_a_drop_names_its_rule() -> None:
    router = Router("*filter\n:ONE - [0:0]\n-A FORWARD -j ONE\n-A ONE -p tcp\n-A ONE -p udp -j DROP\nCOMMIT\n")
    router.send("a", wire.udp(CLIENT, 1, SERVER, 2), traced=True)
    (drop,) = [step for step in router.steps() if step.kind is StepKind.DROP]
    assert drop.detail["table"] == "filter"
    assert (drop.detail["chain"], drop.detail["rule"]) == ("ONE", 2)


def test_a_mark_is_traced() -> None:
    router = Router("*mangle\n-A FORWARD -j MARK --or-mark 0x4000\nCOMMIT\n")
    router.send("a", wire.udp(CLIENT, 1, SERVER, 2), traced=True)
    (mark,) = [step for step in router.steps() if step.kind is StepKind.MARK]
    assert mark.detail == {"before": "0x0", "after": "0x4000"}


def test_exhausted_ports_drop_and_count_and_reuse_nothing() -> None:
    router = Router("*nat\n-A POSTROUTING -o b -p udp -j SNAT --to-source 10.0.2.1:4000-4002\nCOMMIT\n")
    outs = [router.send("a", wire.udp(f"10.0.1.{host}", 5000, SERVER, 53)) for host in range(2, 8)]
    ports = [wire.ends(out[0][1])[1] for out in outs if out]
    assert sorted(ports) == [4000, 4001, 4002]
    assert router.ns.drops[DropReason.NAT_EXHAUSTED] == 3
    originals = [Tuple(2, 17, ipv4_to_int(f"10.0.1.{host}"), 0, 5000, 0) for host in range(2, 8)]
    assert [len(list(router.ns.netfilter.nat.of_source(original))) for original in originals] == [1, 1, 1, 0, 0, 0]


def test_connections_of_one_source_are_known_until_they_end() -> None:
    router = Router("*nat\n-A POSTROUTING -o b -j MASQUERADE\nCOMMIT\n")
    for host in range(2, 7):
        router.send("a", wire.udp(CLIENT, 5000, f"10.0.2.{host}", 53))
    connections = router.connections()
    original = connections[0].original
    assert list(router.ns.netfilter.nat.of_source(original)) == connections[::-1]
    for gone in (2, 4, 0):  # in the middle, the newest, the oldest
        router.ns.netfilter.conntrack.delete(connections[gone])
    assert list(router.ns.netfilter.nat.of_source(original)) == [connections[3], connections[1]]
    router.pass_time(32)
    assert list(router.ns.netfilter.nat.of_source(original)) == []


def test_a_closing_connection_gives_its_port_to_a_newer_one() -> None:
    router = Router("*nat\n-A POSTROUTING -o b -p tcp -j SNAT --to-source 10.0.2.1:4000\nCOMMIT\n")
    router.ns.netfilter.restore(
        "*nat\n-A POSTROUTING -o b -p tcp -j SNAT --to-source 10.0.2.1:4000-4001 --random\nCOMMIT\n"
    )
    for host, port in ((2, 5000), (3, 5001)):
        ((_, out),) = router.send("a", wire.tcp(f"10.0.1.{host}", port, SERVER, 80, wire.SYN, 100))
        taken = wire.ends(out)[1]
        router.send("b", wire.tcp(SERVER, 80, "10.0.2.1", taken, wire.SYN | wire.ACK, 500, 101))
        router.send("a", wire.tcp(f"10.0.1.{host}", port, SERVER, 80, wire.ACK, 101, 501))
    assert router.send("a", wire.tcp("10.0.1.4", 5002, SERVER, 80, wire.SYN, 9000)) == []
    router.send("a", wire.tcp("10.0.1.2", 5000, SERVER, 80, wire.RST, 101))
    ((_, out),) = router.send("a", wire.tcp("10.0.1.4", 5002, SERVER, 80, wire.SYN, 9000))
    assert wire.ends(out)[1] in (4000, 4001)
    assert len(router.connections()) == 2


def test_the_fast_way_through_many_services_is_the_slow_way() -> None:
    """The dict over KUBE-SERVICES finds the same rules, and counts them, as a walk over a chain too short for one."""
    router = Router(kube_proxy_rules(40))
    chain = router.ns.netfilter.tables["nat"].chains["KUBE-SERVICES"]
    for n in (0, 7, 39):
        router.send("a", wire.tcp(CLIENT, 4000 + n, f"10.96.0.{n}", 80, wire.SYN, 1))
        router.send("a", wire.tcp(CLIENT, 4000 + n, f"10.96.0.{n}", 81, wire.SYN, 1))
    assert [n for n, rule in enumerate(chain.rules[:40]) if rule.packets] == [0, 7, 39]
    assert chain.program is not None
    assert len(chain.program) == 2


def test_the_hash_is_the_kernels() -> None:
    assert jhash2((), 0) == 0xDEADBEEF
    assert jhash2((0, 0, 0, 0), 0) != jhash2((0, 0, 0, 0), 1)
