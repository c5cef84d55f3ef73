"""Bundles and captures that are damaged, or made to do harm: one line says what is wrong, and nothing goes round."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from emulator.bundle.complete import complete
from emulator.bundle.inputs import Source, read_inputs
from emulator.bundle.problem import MOST_CHARACTERS, Problems
from emulator.packet.pcap import pcap_header, pcap_record
from emulator.packet.pcapng import enhanced_packet, interface_description, section_header
from tests.bundle.maker import ROUTER, START, Json, link, make, port, router, udp_frame
from tests.bundle.test_bundle import problems

HOST, FAR = "10.0.1.2", "10.0.2.2"
SECOND = 10**9


def vlan(name: str, parent: str, **more: str) -> Json:
    return link(name, "02:00:00:00:00:11") | more | {
        "link": parent, "linkinfo": {"info_kind": "vlan", "info_data": {"id": 5}},
    }  # fmt: skip


# Captures


@pytest.mark.parametrize(
    ("contents", "problem"),
    [
        (pcap_header(1) + pcap_record(START, udp_frame(HOST, FAR))[:-1], "the file ends inside packet 1"),
        (section_header() + interface_description(1, "x") + enhanced_packet(1 << 63, b"x"), "as no clock has"),
        (b"\0" * 64, "neither pcap nor pcapng"),
    ],
)
def test_a_capture_that_is_none(contents: bytes, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(contents)
    found = Problems()
    assert read_inputs([Source("eth0", str(path))], found) == []
    assert len(found.found) == 1
    assert problem in found.found[0]


def test_a_device_that_never_ends() -> None:
    found = Problems()
    assert read_inputs([Source("eth0", "/dev/zero")], found) == []
    assert found.found == ["/dev/zero: byte 0: neither pcap nor pcapng: it begins with 00 00 00 00"]


def test_a_packet_that_claims_to_have_been_huge() -> None:
    """Nothing is made up beyond the end of the IP packet: a damaged file may claim 4 GiB."""
    whole = udp_frame(HOST, FAR)
    frame = bytearray(whole)
    assert complete(frame, 0xFFFF_FFFF) == ""
    assert frame == whole
    cut = bytearray(whole[:-1])
    assert complete(cut, 0xFFFF_FFFF).startswith(f"only {len(whole) - 1} of its {len(whole)} bytes were captured;")
    assert len(cut) == len(whole)


@pytest.mark.parametrize("linktype", [101, 113, 276])
def test_packets_shorter_than_their_link_layer(linktype: int, tmp_path: Path) -> None:
    made = router(tmp_path)
    path = made.capture([b"", b"\x45"], linktype=linktype)
    assert [row.verdict for row in made.prepare(Source("eth0", path)).rows()] == ["dropped", "dropped"]


# Links, routes and rules that would send packets round


@pytest.mark.parametrize(
    ("links", "problem"),
    [
        (
            [link("a", "02:00:00:00:00:11", kind="bond", master="b"), link("b", "02:00:00:00:00:12", kind="bond",
                                                                           master="a")],
            "links.json: [3].master: a is above itself",
        ),
        (
            [link("br", "02:00:00:00:00:11", kind="bridge"), vlan("v", "br", master="br")],
            "links.json: [3].master: br is above itself",
        ),
        ([vlan(f"v{n}", f"v{n + 1}") for n in range(2000)], "links.json: [3].link: v0 is above more than 8 others"),
    ],
)  # fmt: skip
def test_links_above_themselves(links: list[Json], problem: str, tmp_path: Path) -> None:
    make(tmp_path, links=[*ROUTER, *links])
    assert problems(tmp_path)[0].startswith(problem)


def test_ports_and_vlans_of_one_bridge_are_fine(tmp_path: Path) -> None:
    more = [
        link("br", "02:00:00:00:00:11", kind="bridge"),
        link("p", "02:00:00:00:00:12", **port("br")),
        vlan("v", "br"),
    ]
    made = router(tmp_path, links=[*ROUTER, *more])
    assert made.prepare(Source("p", made.capture([]))).bundle.netns.links["v"].name == "v"


@pytest.mark.parametrize("target", [4, 5])
def test_a_rule_that_goes_back(target: int, tmp_path: Path) -> None:
    make(tmp_path, links=ROUTER, rules=[{"priority": 5, "src": "all", "goto": target}])
    assert problems(tmp_path) == [f"rules.json: [0].goto: {target} is not behind the rule's own priority 5"]


def test_a_route_with_an_mtu_that_no_fragment_fits_into(tmp_path: Path) -> None:
    route = {"dst": "10.0.2.0/24", "dev": "eth1", "metrics": [{"mtu": 27}]}
    (row,) = router(tmp_path, routes=[route]).replay([udp_frame(HOST, FAR)])
    assert (row.verdict, row.reason) == ("dropped", "PKT_TOO_BIG")


# Files


def test_a_link_to_a_file_that_is_gone(tmp_path: Path) -> None:
    """As no rules, it would be answered wrongly."""
    router(tmp_path)
    (tmp_path / "iptables-save.txt").unlink(missing_ok=True)
    os.symlink("nowhere", tmp_path / "iptables-save.txt")
    assert problems(tmp_path) == ["iptables-save.txt: a symbolic link to a file that is not there"]


def test_one_mistake_is_told_once_and_not_at_length(tmp_path: Path) -> None:
    make(tmp_path, links=ROUTER, iptables_save="*filter\n-A FORWARD -m " + "x" * 1000 + " -j ACCEPT\nCOMMIT\n")
    assert len(problems(tmp_path)[0]) == MOST_CHARACTERS
    (tmp_path / "iptables-save.txt").unlink()
    (tmp_path / "iptables-save.txt").mkdir()
    assert problems(tmp_path) == ["iptables-save.txt: not a regular file"]


def test_a_mistake_that_ipset_tells_in_several_lines(tmp_path: Path) -> None:
    make(tmp_path, links=ROUTER, ipset_save="create a hash:ip,port family inet\nadd a 10.0.0.1,tcp:1e90\n")
    (problem,) = problems(tmp_path)
    assert problem.startswith("ipset-save.txt: line 2: Syntax error: '1e90' is invalid as number; Syntax error: ")


def test_line_ends_of_windows(tmp_path: Path) -> None:
    rules = "*filter\r\n:FORWARD ACCEPT [0:0]\r\n-A FORWARD -p udp -j DROP\r\nCOMMIT\r\n"
    made = router(tmp_path, rules, sysctl="net.ipv4.ip_forward = 1\r\n")
    (row,) = made.replay([udp_frame(HOST, FAR)])
    assert row.rules == ["filter:FORWARD:rule:1"]


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "a:b", "a/b"])
def test_names_that_no_link_has(name: str, tmp_path: Path) -> None:
    make(tmp_path, links=[*ROUTER, link(name, "02:00:00:00:00:11")])
    assert [problem[:24] for problem in problems(tmp_path)] == ["links.json: [3].ifname: "]


def test_what_a_terminal_acts_on_is_shown_as_it_is_written(tmp_path: Path) -> None:
    made = router(tmp_path, links=[*ROUTER, link("\x1b[31m", "02:00:00:00:00:11")])
    (row,) = made.replay([udp_frame(HOST, FAR)], "\x1b[31m")
    assert "\\x1b[31m" in row.to_text()[0]
    assert all(line.isprintable() for line in row.to_text())
