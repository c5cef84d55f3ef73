"""What `ipvsadm` prints, column by column as its source has it (print_service_entry, print_conn), and what it reads."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.kernel.netfilter.ipvs.command import split
from emulator.kernel.netfilter.ipvs.command_line import parse
from emulator.kernel.netfilter.ipvs.error import REFUSED, USAGE, IpvsError
from emulator.kernel.netfilter.ipvs.listing import Listing
from tests.kernel.netfilter import wire
from tests.kernel.netfilter.ipvs.balancer import CLIENT, VIP, Balancer

SERVICES = f"""
-A -t {VIP}:80 -s rr
-a -t {VIP}:80 -r 10.0.2.3:8080 -m -w 2
-a -t {VIP}:80 -r 10.0.2.2:8080 -m
-A -u {VIP}:53 -s wrr -p 10800 -M 255.255.255.0
-a -u {VIP}:53 -r 10.0.2.2:53 -m -w 100
-A --sctp-service {VIP}:9999 -s sh -b sh-fallback,sh-port
-A -t 10.96.0.11:443 -s mh -b mh-port -p
-a -t 10.96.0.11:443 -r 10.0.2.9:443 -g -x 10 -y 5
-a -t 10.96.0.11:443 -r 10.0.2.10:443 -i
-A -u {VIP}:5353 -s rr -o
-A -f 7 -s lc
-a -f 7 -r 10.0.3.2:0 -m
"""


def listed(balancer: Balancer, *said: str) -> str:
    return Listing(balancer.ipvs, {"numeric", *said}).all()


def test_the_table() -> None:
    assert listed(Balancer(SERVICES)) == (
        "IP Virtual Server version 1.2.1 (size=4096)\n"
        "Prot LocalAddress:Port Scheduler Flags\n"
        "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n"
        "TCP  10.96.0.10:80 rr\n"
        "  -> 10.0.2.2:8080                Masq    1      0          0         \n"
        "  -> 10.0.2.3:8080                Masq    2      0          0         \n"
        "TCP  10.96.0.11:443 mh (mh-port) persistent 300\n"
        "  -> 10.0.2.9:443                 Route   1      0          0         \n"
        "  -> 10.0.2.10:443                Tunnel  1      0          0         \n"
        "UDP  10.96.0.10:53 wrr persistent 10800 mask 255.255.255.0\n"
        "  -> 10.0.2.2:53                  Masq    100    0          0         \n"
        "UDP  10.96.0.10:5353 rr ops\n"
        "SCTP 10.96.0.10:9999 sh (sh-fallback,sh-port)\n"
        "FWM  7 lc\n"
        "  -> 10.0.3.2:0                   Masq    1      0          0         \n"
    )


def test_what_is_saved_makes_the_same_table_again() -> None:
    balancer = Balancer(SERVICES)
    saved = Listing(balancer.ipvs, {"numeric"}).save()
    assert saved == (
        "-A -t 10.96.0.10:80 -s rr\n"
        "-a -t 10.96.0.10:80 -r 10.0.2.2:8080 -m -w 1\n"
        "-a -t 10.96.0.10:80 -r 10.0.2.3:8080 -m -w 2\n"
        "-A -t 10.96.0.11:443 -s mh -p 300 -b mh-port\n"
        "-a -t 10.96.0.11:443 -r 10.0.2.9:443 -g -w 1\n"
        "-a -t 10.96.0.11:443 -r 10.0.2.10:443 -i -w 1 --tun-type ipip\n"
        "-A -u 10.96.0.10:53 -s wrr -p 10800 -M 255.255.255.0\n"
        "-a -u 10.96.0.10:53 -r 10.0.2.2:53 -m -w 100\n"
        "-A -u 10.96.0.10:5353 -s rr -o\n"
        "-A --sctp-service 10.96.0.10:9999 -s sh -b sh-fallback,sh-port\n"
        "-A -f 7 -s lc\n"
        "-a -f 7 -r 10.0.3.2:0 -m -w 1\n"
    )
    again = Balancer(saved)
    assert Listing(again.ipvs, {"numeric"}).save() == saved
    assert listed(again) == listed(balancer)


def test_names_of_ports_unless_numbers_are_asked_for() -> None:
    text = Listing(Balancer(SERVICES).ipvs).save()
    assert "-A -t 10.96.0.10:http -s rr\n" in text
    assert "-A -u 10.96.0.10:domain " in text
    assert Listing(Balancer(text).ipvs, {"numeric"}).save() == Listing(Balancer(SERVICES).ipvs, {"numeric"}).save()


def converse(balancer: Balancer) -> None:
    balancer.send("a", wire.tcp(CLIENT, 4000, VIP, 80, wire.SYN, 1))
    balancer.send("b", wire.tcp("10.0.2.2", 8080, CLIENT, 4000, wire.SYN | wire.ACK, 9, 2))
    balancer.send("a", wire.tcp(CLIENT, 4000, VIP, 80, wire.ACK, 2, 10))
    balancer.send("a", wire.udp(CLIENT, 4001, VIP, 53))


def test_connections() -> None:
    balancer = Balancer(SERVICES)
    converse(balancer)
    balancer.pass_time(5)
    assert Listing(balancer.ipvs, {"numeric"}).connections() == (
        "IPVS connection entries\n"
        "pro expire state       source             virtual            destination\n"
        "UDP 179:55 NONE        10.0.1.0:0         10.96.0.10:53      10.0.2.2:53\n"
        "TCP 14:55  ESTABLISHED 10.0.1.2:4000      10.96.0.10:80      10.0.2.2:8080\n"
        "UDP 04:55  UDP         10.0.1.2:4001      10.96.0.10:53      10.0.2.2:53\n"
    )
    balancer.send("b", wire.udp("10.0.2.2", 53, CLIENT, 4001))
    assert "UDP 179:55 ASSURED     10.0.1.0:0 " in Listing(balancer.ipvs, {"numeric"}).connections()


def test_counters_and_other_columns() -> None:
    balancer = Balancer(SERVICES)
    converse(balancer)
    lines = listed(balancer, "stats").splitlines()
    assert lines[1:5] == [
        "Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes",
        "  -> RemoteAddress:Port",
        "TCP  10.96.0.10:80                       1        2        1       80       40",
        "  -> 10.0.2.2:8080                       1        2        1       80       40",
    ]
    assert "  -> 10.0.2.2:53                  100       1           0          1         " in listed(
        balancer, "persistent-conn"
    )
    thresholds = listed(balancer, "thresholds")
    assert "Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn " in thresholds
    assert "  -> 10.0.2.9:443                 10         5          0          0         \n" in thresholds
    assert "  -> 10.0.2.10:443                Tunnel  ipip          1      0          0         \n" in listed(
        balancer, "tun-info"
    )
    balancer.run(f"-Z -t {VIP}:80")
    assert "TCP  10.96.0.10:80                       0        0        0        0        0" in listed(balancer, "stats")
    assert "UDP  10.96.0.10:53                       1        1" in listed(balancer, "stats")


def test_rates_follow_by_a_quarter_each_two_seconds() -> None:
    balancer = Balancer(SERVICES)
    for port in range(64):
        balancer.send("a", wire.tcp(CLIENT, 4000 + port, VIP, 80, wire.SYN, 1))
    balancer.pass_time(2.5)  # 64 in two seconds are 32 a second, of which a quarter: 8 connections, 320 bytes
    line = next(line for line in listed(balancer, "rate").splitlines() if line.startswith("TCP  10.96.0.10:80"))
    assert line.split()[2:] == ["8", "8", "0", "320", "0"]
    balancer.pass_time(2)
    line = next(line for line in listed(balancer, "rate").splitlines() if line.startswith("TCP  10.96.0.10:80"))
    assert line.split()[2:] == ["6", "6", "0", "240", "0"]


@pytest.mark.parametrize(
    ("value", "plain", "exact"),
    [
        (0, "        0", "        0"),
        (99_999_999, " 99999999", " 99999999"),
        (100_000_000, "  100000K", " 100000000"),
        (1_000_000_000, "    1000M", " 1000000000"),
        (123_456_789_012, "     123G", " 123456789012"),
        (5 * 10**14, "     500T", " 500000000000000"),
    ],
)
def test_large_numbers(value: int, plain: str, exact: str) -> None:
    balancer = Balancer()
    assert Listing(balancer.ipvs)._number(value) == plain
    assert Listing(balancer.ipvs, {"exact"})._number(value) == exact


def test_one_service_and_timeouts() -> None:
    balancer = Balancer(SERVICES)
    key = balancer.service().key
    assert Listing(balancer.ipvs, {"numeric"}).one(key).splitlines()[2:4] == [
        "TCP  10.96.0.10:80 rr", "  -> 10.0.2.2:8080                Masq    1      0          0         ",
    ]  # fmt: skip
    balancer.run(f"--set 0 60 0\n-D -t {VIP}:80")
    assert Listing(balancer.ipvs).timeouts() == "Timeout (tcp tcpfin udp): 900 60 300\n"
    with pytest.raises(IpvsError, match="No such service"):
        Listing(balancer.ipvs).one(key)


@pytest.mark.parametrize(
    ("line", "message", "status"),
    [
        ("", "Try `ipvsadm -h' or 'ipvsadm --help' for more information.", REFUSED),
        ("-t 10.0.0.1:80", "Try `ipvsadm -h' or 'ipvsadm --help' for more information.", REFUSED),
        ("-A", "You need to supply the 'service-address' option for the 'add-service' command", USAGE),
        ("-A -t 10.0.0.1:80 -r 10.0.0.2", "Illegal 'real-server' option with the 'add-service' command", USAGE),
        ("-a -t 10.0.0.1:80", "You need to supply the 'real-server' option for the 'add-server' command", USAGE),
        ("-A -t 10.0.0.1:80 -u 10.0.0.1:80", "multiple 'service-address' options specified", USAGE),
        ("-A -t 10.0.0.1:80 -m", "Illegal 'forwarding-method' option with the 'add-service' command", USAGE),
        ("-L -c --timeout", "The option 'timeout' conflicts with the 'connection' option in the 'list' command", USAGE),
        ("-A -t 10.0.0.1", "Zero port specified for non-persistent service", USAGE),
        ("-A -t 10.0.0.1:80 -o", "One-Packet Scheduling is only for UDP virtual services", USAGE),
        ("-A -t 10.0.0.1:x", "illegal virtual server address[:port] specified", USAGE),
        ("-A -t 10.0.0.1:65536", "illegal virtual server address[:port] specified", USAGE),
        ("-A -t [::1]:80", "[::1]:80: IPv6 is not emulated", USAGE),
        ("-a -t 10.0.0.1:80 -r nobody:80", "illegal real server address[:port] specified", USAGE),
        ("-a -t 10.0.0.1:80 -r 10.0.0.2 -w 65536", "illegal weight specified", USAGE),
        ("-a -t 10.0.0.1:80 -r 10.0.0.2 -x -1", "illegal u_threshold specified", USAGE),
        ("-A -f 0", "invalid fwmark value `0' specified", USAGE),
        ("-A -t 10.0.0.1:80 -p 0", "invalid timeout value `0' specified", USAGE),
        ("-A -t 10.0.0.1:80 -s rr -b sh-port", "incompatible scheduler flag `sh-port'", USAGE),
        ("-A -t 10.0.0.1:80 -s sh -b port", "invalid scheduler flag `port'", USAGE),
        ("-A -t 10.0.0.1:80 --pe sip", "Scheduler or persistence engine not found", REFUSED),
        ("-A -t 10.0.0.1:80 rr", "unexpected argument rr", USAGE),
        ("-A -t 10.0.0.1:80 -q", "-q: unknown option", REFUSED),
        ("-A -t 10.0.0.1:80 -s", "-s: missing argument", REFUSED),
        ("-A -D", "invalid option `-D'", USAGE),
        ("--set 1 2", "--set option requires 3 timeout values", USAGE),
        ("--set 1 2 2678401", "invalid timeout value `2678401' specified", USAGE),
        ("-a -t 10.0.0.1:80 -r 10.0.0.2 -m --tun-type ipip", "Tunnel options conflict with forward method", USAGE),
        ("-a -t 10.0.0.1:80 -r 10.0.0.2 -i --tun-type gue", "tunnel type gue is not emulated", USAGE),
    ],
)
def test_command_lines_that_make_no_sense(line: str, message: str, status: int) -> None:
    with pytest.raises(IpvsError) as caught:
        parse(line.split())
    assert (str(caught.value), caught.value.status) == (message, status)


@pytest.mark.parametrize(
    ("line", "same"),
    [
        ("-A -t10.0.0.1:80 -srr", "--add-service --tcp-service=10.0.0.1:80 --scheduler rr"),
        ("-A -t 10.0.0.1:80 -p -M 255.0.0.0", "-A -t 10.0.0.1:80 -p 300 -M 255.0.0.0"),
        ("-A -t 10.0.0.1:80 -p60", "-A -t 10.0.0.1:http -p 60 -s wlc"),
        ("-Lnc", "-L -n -c"),
        ("-ln --stats", "--list --numeric --stats"),
        ("-a -t 10.0.0.1:80 -r 10.0.0.2 -m", "-a -t 10.0.0.1:80 -r 10.0.0.2:80 -w 1 -m"),
        ("-a -t 10.0.0.1:80 -r 10.0.0.2:81", "-a -t 10.0.0.1:80 -r 10.0.0.2:80 -g"),  # packets stay as they are
    ],
)
def test_the_same_in_other_words(line: str, same: str) -> None:
    first, second = parse(line.split()), parse(same.split())
    assert (first.name, first.key, first.service, first.server) == (
        second.name, second.key, second.service, second.server,
    )  # fmt: skip
    assert first.server_options == second.server_options


def test_lines() -> None:
    assert split("ipvsadm -A -t 1.2.3.4:80 # a comment") == ["-A", "-t", "1.2.3.4:80"]
    assert split("  # nothing") == split("") == []


WORDS = tuple(split("-A -a -t -u 10.0.0.1:80 -r -m -w 1 -p -s rr -b sh-port -L -n --set -6 -f 7 - -- -t= --weight="))


@given(st.lists(st.sampled_from(WORDS)))
def test_any_words_are_read_or_refused(words: list[str]) -> None:
    with contextlib.suppress(IpvsError):
        assert parse(words).name
