"""Rules that ask sets and change them: what matches, what is counted, and when an element is gone."""

from __future__ import annotations

import pytest

from emulator.kernel.netfilter.error import RestoreError
from emulator.kernel.netfilter.ipset.error import IpsetError
from emulator.kernel.trace import StepKind
from tests.kernel.netfilter import wire
from tests.kernel.netfilter.ipset.world import members
from tests.kernel.netfilter.router import Router

CLIENT, SERVER = "10.0.1.2", "10.0.2.2"


def router(sets: str, *rules: str) -> Router:
    made = Router()
    made.ns.netfilter.sets.restore(sets)
    made.ns.netfilter.restore("*filter\n" + "".join(f"-A FORWARD {rule}\n" for rule in rules) + "COMMIT\n")
    return made


def counted(made: Router) -> list[int]:
    return [rule.packets for rule in made.ns.netfilter.tables["filter"].chains["FORWARD"].rules]


def test_the_packets_own_values_are_looked_up() -> None:
    made = router(
        "create x hash:ip,port,net\nadd x 10.0.2.2,udp:53,10.0.1.0/24\nadd x 10.0.2.2,udp:53,10.0.1.9 nomatch\n",
        "-m set --match-set x dst,dst,src",
        "-m set --match-set x src,dst,src",
        "-m set --match-set x dst,dst",
        "-m set --match-set x dst,dst,src --return-nomatch",
        "-m set ! --match-set x dst,dst,src",
    )
    for host in (2, 9):
        made.send("a", wire.udp(f"10.0.1.{host}", 4000, SERVER, 53))
    assert counted(made) == [1, 0, 0, 1, 1]


def test_a_deadline_is_the_last_moment_of_an_element() -> None:
    made = router("create x hash:ip timeout 10\nadd x 10.0.1.2\nadd x 10.0.1.3 timeout 0\n", "-m set --match-set x src")
    made.pass_time(10.0)
    made.send("a", wire.udp(CLIENT, 1, SERVER, 2))
    assert counted(made) == [1]
    made.pass_time(0.01)
    made.send("a", wire.udp(CLIENT, 1, SERVER, 2))
    assert counted(made) == [1]
    made.send("a", wire.udp("10.0.1.3", 1, SERVER, 2))
    assert counted(made) == [2]
    assert members(made.ns.netfilter.sets, "x") == ["10.0.1.3 timeout 0"]


def test_a_rule_adds_refreshes_and_deletes() -> None:
    made = router(
        "create x hash:net timeout 60 counters\ncreate y bitmap:port range 1-9\n",
        "-i a -j SET --add-set x src --exist --timeout 5 --del-set y dst",
        "-i b -j SET --del-set x src --add-set y dst",
    )
    made.send("b", wire.udp(CLIENT, 1, SERVER, 2))
    made.send("a", wire.udp(CLIENT, 1, SERVER, 3))
    assert members(made.ns.netfilter.sets, "x") == ["10.0.1.2 timeout 5 packets 1 bytes 32"]
    made.pass_time(2)
    made.send("a", wire.udp(CLIENT, 1, SERVER, 2))
    assert members(made.ns.netfilter.sets, "x") == ["10.0.1.2 timeout 5 packets 1 bytes 32"]
    assert members(made.ns.netfilter.sets, "y") == []
    made.send("b", wire.udp(CLIENT, 1, SERVER, 4))
    assert members(made.ns.netfilter.sets, "x") == []
    assert members(made.ns.netfilter.sets, "y") == ["4"]


def test_rules_hold_sets_and_a_swap_changes_what_they_see() -> None:
    made = router(
        "create x hash:ip\nadd x 10.0.1.2\ncreate y hash:ip\n", "-m set --match-set x src", "-j SET --add-set y dst"
    )
    sets = made.ns.netfilter.sets
    assert [sets.references(slot) for slot in sets] == [1, 1]
    for name in ("x", "y"):
        with pytest.raises(IpsetError, match="in use by a kernel component"):
            sets.destroy(name)
    made.send("a", wire.udp(CLIENT, 1, SERVER, 2))
    sets.swap("x", "y")
    made.send("a", wire.udp(CLIENT, 1, SERVER, 2))
    assert counted(made)[0] == 1
    made.ns.netfilter.restore("*filter\nCOMMIT\n")
    sets.destroy()


def test_a_rule_with_a_set_that_there_is_not_is_refused() -> None:
    with pytest.raises(RestoreError, match=r"Set x doesn't exist\."):
        router("", "-m set --match-set x src")


def test_a_bucket_that_is_full_takes_no_element_of_a_rule() -> None:
    """A rule cannot make the table grow; a command can (mtype_add of ip_set_hash_gen.h)."""
    made = router("create x hash:ip,port hashsize 64 bucketsize 2 initval 1\n", "-j SET --add-set x src,src")
    for port in range(1, 200):
        made.send("a", wire.udp(CLIENT, port, SERVER, 2))
    sets = made.ns.netfilter.sets
    known = len(members(sets, "x"))
    assert 100 < known <= 128
    sets.restore("-exist add x 10.0.1.2,udp:1-199\n")
    assert len(members(sets, "x")) == 199


def test_kube_proxys_sets_for_ipvs() -> None:
    """The sets of IPVS mode (pkg/proxy/ipvs/ipset.go), and the rule that finds hairpins by one of them."""
    ports = (
        *("CLUSTER-IP", "EXTERNAL-IP", "EXTERNAL-IP-LOCAL", "NODE-PORT-SCTP-HASH", "NODE-PORT-LOCAL-SCTP-HASH"),
        *("LOAD-BALANCER", "LOAD-BALANCER-FW", "LOAD-BALANCER-LOCAL"),
    )
    maps = ("NODE-PORT-TCP", "NODE-PORT-UDP", "NODE-PORT-LOCAL-TCP", "NODE-PORT-LOCAL-UDP", "HEALTH-CHECK-NODE-PORT")
    kinds = {
        "KUBE-LOOP-BACK": "hash:ip,port,ip",
        "KUBE-LOAD-BALANCER-SOURCE-IP": "hash:ip,port,ip",
        "KUBE-LOAD-BALANCER-SOURCE-CIDR": "hash:ip,port,net",
        "KUBE-IPVS-IPS": "hash:ip",
        **{f"KUBE-{name}": "hash:ip,port" for name in ports},
        **{f"KUBE-{name}": "bitmap:port range 0-65535" for name in maps},
    }
    text = "".join(
        f"create {name} {kind}{'' if kind.startswith('bitmap') else ' family inet hashsize 1024 maxelem 65536'}\n"
        for name, kind in kinds.items()
    )
    text += "add KUBE-LOOP-BACK 10.0.1.2,tcp:8080,10.0.1.2\nadd KUBE-CLUSTER-IP 10.96.0.1,tcp:80\n"
    text += "add KUBE-NODE-PORT-TCP 30080\n"
    made = router(
        text,
        "-m set --match-set KUBE-LOOP-BACK dst,dst,src",
        "-m set --match-set KUBE-CLUSTER-IP src,dst",
        "-p tcp -m set --match-set KUBE-NODE-PORT-TCP dst",
    )
    sets = made.ns.netfilter.sets
    assert {slot.name: slot.set.name for slot in sets} == {name: kind.split()[0] for name, kind in kinds.items()}
    made.send("a", wire.tcp(CLIENT, 4000, CLIENT, 8080, wire.SYN))
    made.send("a", wire.tcp(CLIENT, 4000, SERVER, 30080, wire.SYN))
    assert counted(made) == [1, 0, 1]


def test_a_trace_tells_what_was_looked_up_and_where() -> None:
    made = router(
        "create x hash:ip,port counters\nadd x 10.0.1.2,udp:9\ncreate b bitmap:port range 1-9\ncreate l list:set\n"
        "create n hash:net\nadd n 10.0.0.0/8\n",
        "-m set --match-set x dst,dst",
        "-m set --match-set x src",
        "-m set --match-set x src,dst --packets-gt 5",
        "-m set --match-set b src",
        "-m set --match-set l src",
        "-m set ! --match-set n src",
    )
    packet = made.nics["a"].mac.to_bytes(6, "big") + b"\x02\xaa\0\0\0\2\x08\0" + wire.udp(CLIENT, 4000, SERVER, 9)
    made.nics["a"].receive_frame(packet, made.kernel.open_trace(1, considered=True))
    made.kernel.run(made.kernel.now)
    assert [step.detail["seen"] for step in made.steps() if step.kind is StepKind.CONSIDERED] == [
        "10.0.2.2,udp:9 is not in x",
        "x is a hash:ip,port, which needs 2 directions",
        "10.0.1.2,udp:9 is not in x with such counters",
        "port 4000 is not in b",
        "the packet is not in l",
        "10.0.1.2 is in n",
    ]
