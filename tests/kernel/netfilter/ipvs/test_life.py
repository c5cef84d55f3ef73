"""Services and real servers that change while connections exist; thresholds; ports that are used again."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.kernel.drop import DropReason
from emulator.kernel.netfilter.ipvs.error import IpvsRunError
from tests.kernel.netfilter import wire
from tests.kernel.netfilter.ipvs.balancer import CLIENT, MASQUERADE, VIP, Balancer, describe, service

DELETE = f"-d -t {VIP}:80 -r 10.0.2.3:8080"
ADD = f"-a -t {VIP}:80 -r 10.0.2.3:8080 -m"


def test_a_resting_server_keeps_its_connections_and_gets_no_new_ones() -> None:
    balancer = Balancer(service("rr", 1, 1))
    assert balancer.open(4000) == "10.0.2.3"
    balancer.run(f"-e -t {VIP}:80 -r 10.0.2.3:8080 -m -w 0")
    assert balancer.open(4000, flags=wire.ACK) == "10.0.2.3"
    assert balancer.picks(2) == "22"
    assert balancer.server("10.0.2.3").active == 1


@pytest.mark.parametrize("expire", [0, 1])
def test_connections_of_a_deleted_server_are_dropped_or_ended(expire: int) -> None:
    balancer = Balancer(service("rr", 1, 1))
    balancer.ns.sysctl.set("net.ipv4.vs.expire_nodest_conn", expire)
    balancer.open(4000)
    balancer.run(DELETE)
    assert balancer.open(4000, flags=wire.ACK) == ""
    assert balancer.ns.drops[DropReason.IPVS_SERVER_GONE] == 1 - expire
    assert len(balancer.table()) == 1 - expire
    # Its entry being gone, a new SYN begins anew; else it is dropped too, until the entry's time is over.
    assert balancer.open(4000) == ("10.0.2.2" if expire else "")


def test_a_server_that_comes_back_has_its_connections_and_counters_again() -> None:
    balancer = Balancer(service("rr", 1, 1))
    balancer.open(4000)
    balancer.run(f"{DELETE}\n{ADD}")
    assert balancer.open(4000, flags=wire.ACK) == "10.0.2.3"
    server = balancer.server("10.0.2.3")
    assert (server.active, server.statistics.totals().packets_in) == (1, 2)
    balancer.run(DELETE)
    balancer.pass_time(900 + 121)  # the connection has ended, and the two minutes after it
    balancer.run(ADD)
    assert balancer.server("10.0.2.3").statistics.totals().packets_in == 0


def test_a_service_that_comes_back_has_its_servers_counters_zeroed() -> None:
    balancer = Balancer(service("rr", 1))
    balancer.open(4000)
    balancer.run(f"-D -t {VIP}:80\n{service('rr', 1)}")
    server = balancer.server("10.0.2.2")
    assert (server.active, server.statistics.totals().packets_in) == (1, 0)
    assert balancer.open(4000, flags=wire.ACK) == "10.0.2.2"


def test_without_services_there_are_no_hooks() -> None:
    balancer = Balancer(service("rr", 1))
    balancer.open(4000)
    balancer.run("-C")
    assert len(balancer.ipvs.services) == 0
    assert len(balancer.table()) == 1  # connections stay until their time is over
    out = balancer.send("b", wire.tcp("10.0.2.2", 8080, CLIENT, 4000, wire.SYN | wire.ACK, 9, 2))
    assert wire.ends(out[0][1])[0] == "10.0.2.2"


def test_thresholds() -> None:
    balancer = Balancer(service("rr", 1, 1))
    balancer.run(f"-e -t {VIP}:80 -r 10.0.2.3:8080 -m -x 2 -y 1")
    assert balancer.picks(5) == "32322"
    assert balancer.server("10.0.2.3").overloaded
    balancer.pass_time(61)  # all have ended: fewer than the lower threshold
    assert not balancer.server("10.0.2.3").overloaded
    with pytest.raises(IpvsRunError, match="Numerical result out of range"):
        balancer.run(f"-e -t {VIP}:80 -r 10.0.2.3:8080 -m -x 2 -y 3")


def test_without_a_lower_threshold_three_quarters_are_enough() -> None:
    balancer = Balancer(service("rr", 1))
    balancer.run(f"-e -t {VIP}:80 -r 10.0.2.2:8080 -m -x 4")
    assert balancer.picks(5) == "2222"
    server = balancer.server("10.0.2.2")
    for count, overloaded in ((3, True), (2, False)):
        connection = next(iter(balancer.ipvs.connections))
        balancer.ipvs.expire(connection)
        assert (server.active + server.inactive, server.overloaded) == (count, overloaded)


def close(balancer: Balancer, sport: int, server: str = "10.0.2.3") -> None:
    """Shut a connection down from both sides, so that it waits in TIME_WAIT."""
    balancer.open(sport)
    for source, flags in (("b", wire.SYN | wire.ACK), ("a", wire.ACK), ("a", wire.FIN | wire.ACK), ("b", wire.FIN)):
        if source == "a":
            balancer.open(sport, flags=flags)
        else:
            balancer.send("b", wire.tcp(server, 8080, CLIENT, sport, flags | wire.ACK, 9, 2))


def converse(balancer: Balancer, conversation: str) -> None:
    """Let the client (>) and 10.0.2.3 (<) say segments whose numbers fit. B is a SYN with ACK, F a FIN with ACK."""
    flags = {"S": wire.SYN, "B": wire.SYN | wire.ACK, "A": wire.ACK, "F": wire.FIN | wire.ACK}
    said = {">": 1, "<": 9}
    for way, kind in conversation.split():
        acknowledged = said["<" if way == ">" else ">"] if kind != "S" else 0
        ends = (CLIENT, 4000, VIP, 80) if way == ">" else ("10.0.2.3", 8080, "10.0.2.1", 4000)
        assert balancer.send("a" if way == ">" else "b", wire.tcp(*ends, flags[kind], said[way], acknowledged))
        said[way] += kind != "A"


@pytest.mark.parametrize(("mode", "again"), [(0, "10.0.2.3"), (1, "10.0.2.2")])
def test_a_client_port_that_is_used_again(mode: int, again: str) -> None:
    balancer = Balancer(service("rr", 1, 1))
    balancer.ns.sysctl.set("net.ipv4.vs.conn_reuse_mode", mode)
    close(balancer, 4000)
    assert [describe(each).rpartition(" ")[2] for each in balancer.ipvs.connections] == ["5"]
    assert balancer.open(4000) == again
    assert len(balancer.table()) == 1


def test_a_port_that_is_used_again_with_conntrack() -> None:
    """Connection tracking begins anew with such a SYN too, so that nothing leads to the old server."""
    balancer = Balancer(service("rr", 1, 1), MASQUERADE)
    converse(balancer, ">S <B >A >F <F >A")
    assert balancer.open(4000) == "10.0.2.2"
    (entry,) = balancer.entries()
    assert "SYN_SENT" in entry
    assert "src=10.0.2.2 " in entry


def test_a_syn_that_is_sent_again_to_a_resting_server_is_lost_once_with_conntrack() -> None:
    """Its entry leads to that server: both are ended, and the client's next try is new."""
    balancer = Balancer(service("rr", 1, 1), MASQUERADE)
    balancer.ns.sysctl.set("net.ipv4.vs.expire_nodest_conn", 1)
    assert balancer.open(4000) == "10.0.2.3"
    balancer.run(f"-e -t {VIP}:80 -r 10.0.2.3:8080 -m -w 0")
    assert balancer.open(4000) == ""
    assert balancer.ns.drops[DropReason.IPVS_OLD_CONNTRACK] == 1
    assert balancer.entries() == [] == balancer.table()
    assert balancer.open(4000) == "10.0.2.2"


def test_the_conntrack_entry_of_a_connection_goes_with_it() -> None:
    balancer = Balancer(f"{service('rr', 1, 1)}\n--set 30 0 0", MASQUERADE)
    converse(balancer, ">S <B >A")
    assert len(balancer.entries()) == 1
    balancer.pass_time(31)
    assert balancer.entries() == [] == balancer.table()


def test_one_packet_scheduling_remembers_nothing() -> None:
    balancer = Balancer(f"-A -u {VIP}:53 -s rr -o\n-a -u {VIP}:53 -r 10.0.2.2:53 -m\n-a -u {VIP}:53 -r 10.0.2.3:53 -m")
    out = [balancer.send("a", wire.udp(CLIENT, 4000, VIP, 53))[0][1] for _ in range(4)]
    assert [wire.ends(each)[2] for each in out] == ["10.0.2.3", "10.0.2.2"] * 2
    assert balancer.table() == []


def test_sloppy_tcp_takes_what_does_not_begin_with_a_syn() -> None:
    balancer = Balancer(service("rr", 1))
    assert balancer.open(4000, flags=wire.ACK) == ""
    balancer.ns.sysctl.set("net.ipv4.vs.sloppy_tcp", 1)
    assert balancer.open(4000, flags=wire.RST) == ""
    assert balancer.open(4000, flags=wire.ACK) == "10.0.2.2"
    assert balancer.server("10.0.2.2").active == 1


def test_drop_packet_drops_one_in_so_many_new_connections() -> None:
    balancer = Balancer(service("rr", 1))
    balancer.ns.sysctl.set("net.ipv4.vs.am_droprate", 3)
    balancer.ns.sysctl.set("net.ipv4.vs.drop_packet", 3)
    assert balancer.picks(9) == "222222"
    assert balancer.ns.drops[DropReason.IPVS_DROP_PACKET] == 3


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["syn", "ack", "fin", "rst", "answer", "add", "delete", "rest", "wake", "time", "clear"]),
        st.integers(0, 5),
    ),
    max_size=40,
)


@given(OPERATIONS, st.booleans(), st.booleans(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_counts_are_those_of_the_table_whatever_happens(
    operations: list[tuple[str, int]], expire: bool, persistent: bool, conntrack: bool
) -> None:
    start = service("rr", 1, 1)
    balancer = Balancer(start.replace("-s rr", "-s rr -p 50") if persistent else start, conntrack=conntrack)
    balancer.ns.sysctl.set("net.ipv4.vs.expire_nodest_conn", int(expire))
    seen = dict.fromkeys(balancer.service().destinations)
    for kind, number in operations:
        act(balancer, kind, number)
        found = balancer.ipvs.services.get(next(iter(seen)).service.key)
        seen.update(dict.fromkeys(found.destinations if found is not None else []))
        counted: Counter[tuple[int, str]] = Counter()
        for each in balancer.ipvs.connections:
            assert each.destination is not None
            which = "persistent" if each.template else "inactive" if each.inactive else "active"
            counted[id(each.destination), which] += 1
        for destination in seen:
            told = (destination.active, destination.inactive, destination.persistent)
            assert told == tuple(counted[id(destination), which] for which in ("active", "inactive", "persistent"))
            assert destination.references == sum(told)
    balancer.pass_time(3000)
    assert balancer.table() == []
    assert all(destination.references == 0 for destination in seen)


def act(balancer: Balancer, kind: str, number: int) -> None:
    flags = {"syn": wire.SYN, "ack": wire.ACK, "fin": wire.FIN | wire.ACK, "rst": wire.RST}
    server = f"10.0.2.{2 + number % 2}"
    try:
        if kind in flags:
            balancer.open(4000 + number, flags=flags[kind])
        elif kind == "answer":
            balancer.send("b", wire.tcp(server, 8080, CLIENT, 4000 + number, wire.SYN | wire.ACK, 9, 2))
        elif kind == "time":
            balancer.pass_time((1, 10, 59, 61, 200, 1000)[number])
        elif kind == "clear":
            balancer.run(f"-D -t {VIP}:80\n{service('wrr', 1, 1)}")
        elif kind == "add":
            balancer.run(f"-a -t {VIP}:80 -r {server}:8080 -m")
        elif kind == "delete":
            balancer.run(f"-d -t {VIP}:80 -r {server}:8080")
        else:
            balancer.run(f"-e -t {VIP}:80 -r {server}:8080 -m -w {int(kind == 'wake')}")
    except IpvsRunError:
        pass  # there already, or not there


@pytest.mark.parametrize("address", ["224.0.0.1", "255.255.255.255", "0.0.0.0", "10.0.2.255"])
def test_a_real_server_is_one_machine(address: str) -> None:
    balancer = Balancer(f"-A -t {VIP}:80 -s rr")
    with pytest.raises(IpvsRunError, match="address not unicast"):
        balancer.run(f"-a -t {VIP}:80 -r {address}:80 -m")
