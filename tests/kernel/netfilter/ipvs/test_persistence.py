"""Persistence: a client gets the real server that its template remembers, as long as that lasts."""

from __future__ import annotations

from emulator.kernel.drop import DropReason
from tests.kernel.netfilter import wire
from tests.kernel.netfilter.ipvs.balancer import CLIENT, VIP, Balancer

PERSISTENT = f"""
-A -t {VIP}:80 -s rr -p 100
-a -t {VIP}:80 -r 10.0.2.2:8080 -m
-a -t {VIP}:80 -r 10.0.2.3:8080 -m
"""
OTHER = "10.0.1.3"


def templates(balancer: Balancer) -> list[str]:
    return [line for line in balancer.table() if ":0 " in line.split(maxsplit=1)[0] + " "]


def test_a_client_keeps_its_server_and_another_has_its_own() -> None:
    balancer = Balancer(PERSISTENT)
    assert balancer.picks(3) == "333"
    assert balancer.picks(3, client=OTHER) == "222"
    assert templates(balancer) == [
        f"{CLIENT}:0 {VIP}:80 10.0.2.3:8080 0", f"{OTHER}:0 {VIP}:80 10.0.2.2:8080 0",
    ]  # fmt: skip
    assert balancer.server("10.0.2.3").persistent == 1


def test_a_netmask_makes_neighbours_one_client() -> None:
    balancer = Balancer(PERSISTENT.replace("-p 100", "-p 100 -M 255.255.255.0"))
    assert balancer.picks(2) == balancer.picks(2, client=OTHER) == "33"
    assert len(templates(balancer)) == 1


def test_a_template_outlives_its_connections_by_its_timeout() -> None:
    balancer = Balancer(PERSISTENT)
    balancer.open(4000)
    balancer.pass_time(61)  # the connection, still SYN_RECV, has ended
    assert balancer.table() == templates(balancer) != []
    balancer.pass_time(40)
    assert balancer.table() == []
    assert balancer.server("10.0.2.3").persistent == 0
    assert balancer.open(4001) == "10.0.2.2"


def test_a_template_stays_a_minute_longer_while_connections_came_of_it() -> None:
    balancer = Balancer(PERSISTENT)
    balancer.open(4000)
    balancer.open(4000, flags=wire.ACK)  # established: 15 minutes
    balancer.pass_time(500)
    assert len(balancer.table()) == 2
    assert balancer.open(4001) == "10.0.2.3"


def test_a_resting_server_keeps_its_clients_unless_told_otherwise() -> None:
    balancer = Balancer(PERSISTENT)
    rest = f"-e -t {VIP}:80 -r 10.0.2.3:8080 -m -w 0"
    assert balancer.picks(1) == "3"
    balancer.run(rest)
    assert balancer.picks(2, first=20_000) == "33"
    balancer.ns.sysctl.set("net.ipv4.vs.expire_quiescent_template", 1)
    assert balancer.picks(2, first=30_000) == "22"
    assert f"{CLIENT}:0 {VIP}:65535 10.0.2.3:65535 0" in balancer.table()  # the old one, made unfindable


def test_a_deleted_server_loses_its_clients() -> None:
    balancer = Balancer(PERSISTENT)
    balancer.picks(1)
    balancer.run(f"-d -t {VIP}:80 -r 10.0.2.3:8080")
    assert balancer.picks(2, first=20_000) == "22"


def test_a_service_of_all_ports_is_one_choice() -> None:
    balancer = Balancer(f"-A -t {VIP}:0 -s rr -p 100\n-a -t {VIP}:0 -r 10.0.2.2 -m\n-a -t {VIP}:0 -r 10.0.2.3 -m")
    ends = []
    for port in (80, 443, 22):
        ((_, out),) = balancer.send("a", wire.tcp(CLIENT, 4000, VIP, port, wire.SYN, 1))
        ends.append(wire.ends(out)[2:])
    assert ends == [("10.0.2.3", 80), ("10.0.2.3", 443), ("10.0.2.3", 22)]
    assert templates(balancer) == [f"{CLIENT}:0 {VIP}:0 10.0.2.3:0 0"]


def test_a_mark_is_one_service_of_many_addresses_and_protocols() -> None:
    rules = "*mangle\n-A PREROUTING -i a -j MARK --set-mark 7\nCOMMIT\n"
    balancer = Balancer("-A -f 7 -s rr -p 100\n-a -f 7 -r 10.0.2.2:0 -m\n-a -f 7 -r 10.0.2.3:0 -m", rules)
    ((_, out),) = balancer.send("a", wire.tcp(CLIENT, 4000, VIP, 80, wire.SYN, 1))
    assert wire.ends(out)[2:] == ("10.0.2.3", 80)
    ((_, out),) = balancer.send("a", wire.udp(CLIENT, 4000, "10.96.0.11", 53))
    assert wire.ends(out)[2:] == ("10.0.2.3", 53)
    assert templates(balancer) == [f"{CLIENT}:0 0.0.0.7:0 10.0.2.3:0 0"]


def test_no_server_for_a_persistent_service() -> None:
    balancer = Balancer(f"-A -t {VIP}:80 -s rr -p 100")
    assert balancer.open(4000) == ""
    assert balancer.ns.drops[DropReason.IPVS_NO_SERVER] == 1
    assert balancer.table() == []
