"""Connections as `ipvsadm -Lnc` prints them, read back: the same text comes out again, and packets go the same way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.kernel.netfilter.ipvs.entry_text import IpvsEntryError, load_entries
from emulator.kernel.netfilter.ipvs.listing import Listing
from tests.kernel.netfilter import wire
from tests.kernel.netfilter.ipvs.balancer import CLIENT, VIP, Balancer, service

LINES = f"""{service("rr", 1, 1)}
-A -u {VIP}:53 -s rr -p 100
-a -u {VIP}:53 -r 10.0.2.4:53 -m
-A -f 7 -s rr -p
-a -f 7 -r 10.0.3.2:0 -m
"""
RULES = "*mangle\n-A PREROUTING -d 10.96.0.11/32 -j MARK --set-mark 7\nCOMMIT\n"


def listed(balancer: Balancer) -> str:
    return Listing(balancer.ipvs, {"numeric"}).connections()


def counts(balancer: Balancer) -> list[tuple[str, int, int, int]]:
    return [
        (str(each), each.active, each.inactive, each.persistent)
        for found in balancer.ipvs.services
        for each in found.destinations
    ]


def test_there_and_back() -> None:
    first = Balancer(LINES, RULES)
    first.open(4000)
    first.send("b", wire.tcp("10.0.2.3", 8080, CLIENT, 4000, wire.SYN | wire.ACK, 9, 2))
    first.open(4000, flags=wire.ACK)
    first.open(4001)
    first.send("a", wire.udp(CLIENT, 4000, VIP, 53))
    first.send("b", wire.udp("10.0.2.4", 53, CLIENT, 4000))
    first.send("a", wire.udp(CLIENT, 4000, "10.96.0.11", 99))
    again = Balancer(LINES, RULES)
    assert load_entries(again.ipvs, listed(first)) == 6
    assert sorted(listed(again).splitlines()) == sorted(listed(first).splitlines())
    assert counts(again) == counts(first)
    assert again.open(4000, flags=wire.ACK) == "10.0.2.3"
    assert sorted(each.controls for each in again.ipvs.connections) == [0, 0, 0, 0, 1, 1]
    again.pass_time(2000)
    assert again.table() == []


def test_an_entry_whose_server_is_gone_is_passed_over() -> None:
    balancer = Balancer(LINES)
    assert load_entries(balancer.ipvs, f"TCP 00:10 CLOSE {CLIENT}:1 {VIP}:80 10.0.2.99:80\n") == 0


@pytest.mark.parametrize(
    "line",
    [
        "TCP 00:10 CLOSE 10.0.1.2:1 10.96.0.10:80",
        "ICMP 00:10 CLOSE 10.0.1.2:1 10.96.0.10:80 10.0.2.2:80",
        "TCP 0:1 CLOSE 10.0.1.2:1 10.96.0.10:80 10.0.2.2:80",
        "TCP 00:10 OPEN 10.0.1.2:1 10.96.0.10:80 10.0.2.2:80",
        "TCP 00:10 CLOSE 10.0.1.2:99999 10.96.0.10:80 10.0.2.2:80",
    ],
)
def test_no_entry(line: str) -> None:
    with pytest.raises(IpvsEntryError) as caught:
        load_entries(Balancer(LINES).ipvs, f"pro expire state\n{line}\n")
    assert caught.value.line == 2


@given(st.text(alphabet="TCPUDIX 0123456789:.NOESA\n", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    balancer = Balancer()
    try:
        load_entries(balancer.ipvs, text)
    except IpvsEntryError as error:
        assert error.line  # noqa: PT017 - either is right
