"""Bundles with virtual services: ipvsadm-save.txt beside the links, rules and sysctls that go with it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.bundle.maker import ROUTER, link, router, tcp_frame
from tests.bundle.test_bundle import load, problems

VIP = "10.96.0.1"
SAVED = f"-A -t {VIP}:80 -s rr\n-a -t {VIP}:80 -r 10.0.2.2:8080 -m -w 1\n"
DUMMY = link("kube-ipvs0", "02:00:00:00:00:09", f"{VIP}/32", kind="dummy")
SYSCTLS = "net.ipv4.ip_forward = 1\nnet.ipv4.vs.conntrack = 1\nnet.ipv4.vs.unheard_of = 1\n"
MASQUERADE = "*nat\n-A POSTROUTING -j MASQUERADE\nCOMMIT\n"


def test_a_packet_is_balanced(tmp_path: Path) -> None:
    made = router(tmp_path, MASQUERADE, links=[*ROUTER, DUMMY], ipvsadm_save=SAVED, sysctl=SYSCTLS)
    (row,) = made.replay([tcp_frame("10.0.1.2", VIP, 80)])
    assert (row.verdict, row.reason) == ("forwarded", None)
    value = json.loads(row.to_json())
    assert [each["link"] for each in value["out"]] == ["eth1"]
    assert "dst=10.96.0.1 sport=4000 dport=80 [UNREPLIED] src=10.0.2.2 dst=10.0.2.1 sport=8080" in value["ct"]["entry"]
    assert value["rules"] == ["nat:POSTROUTING:rule:1"]


def test_the_reason_of_a_refusal_is_ipvs_own(tmp_path: Path) -> None:
    made = router(tmp_path, links=[*ROUTER, DUMMY], ipvsadm_save=SAVED.replace("-w 1", "-w 0"), sysctl=SYSCTLS)
    (row,) = made.replay([tcp_frame("10.0.1.2", VIP, 80)])
    assert (row.verdict, row.reason) == ("dropped", "IPVS_NO_SERVER")


def test_a_wrong_line_is_named(tmp_path: Path) -> None:
    router(tmp_path, ipvsadm_save=f"{SAVED}-a -t {VIP}:81 -r 10.0.2.2:80 -m\n", sysctl=SYSCTLS)
    assert problems(tmp_path) == ["ipvsadm-save.txt: line 3: Service not defined"]


def test_what_is_taken_for_granted_is_said(tmp_path: Path) -> None:
    router(tmp_path, ipvsadm_save=SAVED)
    bundle = load(tmp_path)
    assert bundle.netns.netfilter.ipvs.settings.conntrack == 1
    notes = [note for note in bundle.notes if "ipvs" in note or "net.ipv4.vs" in note]
    assert notes[0] == "sysctl.txt does not have net.ipv4.vs.conntrack: it is taken to be 1, as kube-proxy sets it"
    assert notes[1].startswith("not there: ipvs-connections.txt (no connections of IPVS")
    assert len(notes) == 2


def test_no_services_are_nothing_to_tell_of(tmp_path: Path) -> None:
    router(tmp_path, ipvsadm_save="\n")
    assert not any("ipvs" in note for note in load(tmp_path).notes)


def test_sysctls_of_ipvs_are_known_where_there_are_some(tmp_path: Path) -> None:
    router(tmp_path, sysctl=SYSCTLS)
    bundle = load(tmp_path)
    assert bundle.ignored_sysctls == 1
    assert bundle.netns.sysctl.get("net.ipv4.vs.conntrack") == "1"


CONNECTIONS = f"""IPVS connection entries
pro expire state       source             virtual            destination
TCP 14:55  ESTABLISHED 10.0.1.2:4000      {VIP}:80         10.0.2.3:8080
TCP 00:10  CLOSE       10.0.1.2:4001      {VIP}:80         10.0.2.9:8080
"""


def test_connections_that_are_under_way(tmp_path: Path) -> None:
    """An ACK goes to the real server that its connection has; without the file it is not IPVS's."""
    saved = f"{SAVED}-a -t {VIP}:80 -r 10.0.2.3:8080 -m -w 0\n"
    made = router(tmp_path, links=[*ROUTER, DUMMY], ipvsadm_save=saved, sysctl=SYSCTLS)
    ack = tcp_frame("10.0.1.2", VIP, 80, 16)
    (row,) = made.replay([ack])
    assert row.verdict == "delivered"
    made.write("ipvs-connections.txt", CONNECTIONS)
    (row,) = made.replay([ack])
    assert row.verdict == "forwarded"
    assert json.loads(row.to_json())["out"][0]["frame"][60:68] == "0a000203"
    (server,) = load(tmp_path).netns.netfilter.ipvs.services
    counts = {str(each): (each.active, each.inactive) for each in server.destinations}
    assert counts == {"10.0.2.2:8080": (0, 0), "10.0.2.3:8080": (1, 0)}


def test_a_line_that_is_no_connection(tmp_path: Path) -> None:
    router(tmp_path, ipvsadm_save=SAVED, sysctl=SYSCTLS, ipvs_connections=f"{CONNECTIONS}TCP 1:2 NEVER a b c\n")
    assert problems(tmp_path) == ["ipvs-connections.txt: line 5: no entry as `ipvsadm -Lnc` prints it"]
