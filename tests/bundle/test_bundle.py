"""Reading bundles: links of all kinds, routes, sysctls; every mistake is told with its place, all at once."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.bundle.bundle import Bundle, load_bundle
from emulator.bundle.files import MOST_JSON
from emulator.bundle.problem import BundleError
from emulator.kernel.link.bridge import Bridge
from emulator.kernel.link.vlan import Vlan
from tests.bundle.maker import (
    FORWARDING,
    MACS,
    PEER,
    ROUTER,
    address,
    link,
    loopback,
    make,
    neighbour,
    port,
    router,
    udp_frame,
)
from tests.kernel.frames import ethernet, ipv4, udp

HOST, FAR = "10.0.1.2", "10.0.2.2"


def load(path: Path) -> Bundle:
    return load_bundle(path, lambda edge, frame: None, Random(1))


def problems(path: Path) -> list[str]:
    with pytest.raises(BundleError) as caught:
        load(path)
    assert all("\n" not in problem for problem in caught.value.problems)
    return list(caught.value.problems)


# Mistakes


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    make(
        tmp_path,
        links=[loopback(), link("eth0", "nonsense", "10.0.1.300/24"), link("eth0"), {"ifname": "x" * 16, "mtu": "big"}],
        routes=[{"dst": "10.0.0.0/33", "dev": "eth9"}, {"type": "odd", "dst": "default"}, "text"],
        rules=[{"priority": 1, "src": "all", "l3mdev": None, "table": "5"}],
        neigh=[{"dst": "10.0.1.2", "dev": "eth9", "lladdr": PEER, "state": ["REACHABLE"]}],
        sysctl="net.ipv4.ip_forward = yes\nno equals sign\n",
        iptables_save="*filter\n-A FORWARD -m nosuch -j ACCEPT\nCOMMIT\n",
        conntrack="udp 17 x\n",
        ipset_save="create a hash:ip\nadd b 10.0.0.1\n",
    )
    found = problems(tmp_path)
    for expected in (
        "links.json: [1].address: not a MAC address: 'nonsense'",
        "links.json: [1].addr_info[0].local: not an IPv4 address: '10.0.1.300'",
        "links.json: [2].ifname: eth0 comes twice",
        "links.json: [3].ifname: 'xxxxxxxxxxxxxxxx' is no name of a link",
        "routes.json: [0].dst: not an IPv4 prefix: '10.0.0.0/33'",
        "routes.json: [0].dev: no link eth9 is in links.json",
        "routes.json: [1].type: 'odd' is not one of unicast",
        "routes.json: [2]: an object is wanted",
        "rules.json: [0].l3mdev: not emulated",
        "neigh.json: [0].dev: no link eth9 is in links.json",
        "sysctl.txt: line 1: 'yes' is no value for net.ipv4.ip_forward",
        "sysctl.txt: line 2: not `name = value`",
        "iptables-save.txt: line 2: Couldn't load match `nosuch'",
        "conntrack.txt: line 1: ",
        "ipset-save.txt: line 2: ",
    ):
        assert any(problem.startswith(expected) for problem in found), (expected, found)
    assert len(found) == 15


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "links.json: empty; save what `ip -j -d addr` prints on the node"),
        ("[]", "links.json: empty; save what `ip -j -d addr` prints on the node"),
        ("{}", "links.json: an array is wanted, as `ip -j -d addr` prints it"),
        ("[1,", "links.json: line 1 column 4: not JSON: Expecting value"),
        ("[" * 100_000, "links.json: nested too deeply for anything that `ip -j` prints"),
        ("[\"\\ud800\"]", "links.json: [0]: an object is wanted"),
        ("[" + "9" * 5000 + "]", "links.json: not JSON: Exceeds the limit (4300 digits) for integer string conversion: "
         "value has 5000 digits; use sys.set_int_max_str_digits() to increase the limit"),
    ],
)  # fmt: skip
def test_links_that_are_no_links(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "links.json").write_text(text)
    assert problems(tmp_path) == [problem]


def test_hostile_sizes_and_files(tmp_path: Path) -> None:
    made = router(tmp_path)
    with (tmp_path / "routes.json").open("wb") as file:
        file.truncate(100 << 20)  # sparse
    (tmp_path / "fdb.json").mkdir()
    (tmp_path / "neigh.json").write_bytes(b'["\xff"]')
    assert problems(tmp_path) == [
        f"routes.json: larger than {MOST_JSON >> 20} MiB, which no node's state is",
        "neigh.json: byte 2 is not UTF-8; save the tool's output as it is",
        "fdb.json: not a regular file",
    ]
    assert problems(tmp_path / "nosuch")[0].endswith(
        "no such directory; a bundle is one, as scripts/snapshot-node makes it"
    )
    assert "not a directory" in problems(tmp_path / "links.json")[0]
    made.write("links.json", "")


FIELDS = [
    "ifname", "dev", "dst", "addr_info", "local", "prefixlen", "flags", "linkinfo", "mtu", "info_kind", "info_data",
    "master", "link", "address", "priority", "src", "nexthops", "state", "lladdr", "mac", "metrics", "table", "ifindex",
]  # fmt: skip
VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False)
ANY_JSON = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(["links.json", "routes.json", "rules.json", "neigh.json", "fdb.json"]),
    value=st.lists(ANY_JSON, max_size=3),
)
def test_any_json_is_loaded_or_refused(name: str, value: object) -> None:
    with tempfile.TemporaryDirectory() as directory:
        made = router(Path(directory), routes=[], rules=[], fdb=[])
        made.write(name, value)
        with contextlib.suppress(BundleError):
            load(made.path)


# Links


def test_ports_of_bridges(tmp_path: Path) -> None:
    links = [
        loopback(),
        link("cbr0", "", "10.1.0.1/24", kind="bridge"),
        {**link("v1", "02:00:00:00:01:01"), **port("cbr0", hairpin=True, isolated=True)},
        {**link("v2", "02:00:00:00:01:02"), **port("cbr0", learning=False, flood=False)},
    ]
    fdb = [
        {"mac": "02:cc:00:00:00:01", "ifname": "v1", "flags": [], "master": "cbr0", "state": ""},
        {"mac": "02:cc:00:00:00:02", "ifname": "v2", "flags": [], "master": "cbr0", "state": "static"},
        {"mac": "33:33:00:00:00:01", "ifname": "v1", "flags": ["self"], "state": "permanent"},
    ]
    make(tmp_path, links=links, fdb=fdb, sysctl=FORWARDING)
    netns = load(tmp_path).netns
    bridge = netns.links["cbr0"]
    assert isinstance(bridge, Bridge)
    ports = [netns.links[name].port for name in ("v1", "v2")]
    assert [(p.hairpin, p.isolated, p.learning, p.unicast_flood) for p in ports if p is not None] == [
        (True, True, True, True),
        (False, False, False, False),
    ]
    entry = bridge.fdb.find(bytes.fromhex("02cc00000001"))
    assert entry is not None
    assert entry.port is ports[0]
    assert not entry.static


def test_br_netfilter_is_on_only_where_the_node_has_it(tmp_path: Path) -> None:
    """Without the sysctl the module is not loaded; a bridge's own nf_call_iptables does alone."""
    links = [loopback(), link("cbr0", "", "10.1.0.1/24", kind="bridge")]
    for number, name in enumerate(("v1", "v2"), 1):
        links.append({**link(name, f"02:00:00:00:01:0{number}"), **port("cbr0")})
    rules = "*filter\n:FORWARD DROP\nCOMMIT\n"
    frame = ethernet(
        "02:cc:00:00:00:02", "02:cc:00:00:00:01", ipv4("10.1.0.2", "10.1.0.3", 17, udp("10.1.0.2", "10.1.0.3", 1, 2))
    )
    for number, (sysctl, own, verdict) in enumerate(
        [
            (FORWARDING, 0, "forwarded"),
            (FORWARDING + "net.bridge.bridge-nf-call-iptables = 1\n", 0, "dropped"),
            (FORWARDING, 1, "dropped"),
        ]
    ):
        links[1]["linkinfo"] = {"info_kind": "bridge", "info_data": {"nf_call_iptables": own}}
        directory = tmp_path / str(number)
        directory.mkdir()
        (row,) = make(directory, links=links, sysctl=sysctl, iptables_save=rules).replay([frame], "v1")
        assert row.verdict == verdict


def test_vlans_bonds_and_pairs(tmp_path: Path) -> None:
    bond = {"master": "bond0", "linkinfo": {"info_slave_kind": "bond"}, "flags": ["SLAVE", "UP", "LOWER_UP"]}
    links = [
        loopback(),
        {**link("eth0"), **bond},
        {**link("eth1", MACS["eth0"]), **bond},
        link("bond0", MACS["eth0"], "10.0.1.1/24", kind="bond"),
        {**link("bond0.7", MACS["eth0"], "10.7.0.1/24"), "link": "bond0",
         "linkinfo": {"info_kind": "vlan", "info_data": {"protocol": "802.1Q", "id": 7}}},
        {**link("a", "02:00:00:00:02:01", "10.8.0.1/24", kind="veth"), "link": "b"},
        {**link("b", "02:00:00:00:02:02", kind="veth"), "link": "a"},
    ]  # fmt: skip
    neighbours = [neighbour("10.7.0.2", "bond0.7"), neighbour("10.8.0.2", "a", "02:00:00:00:02:02"),
                  neighbour("10.0.1.2", "bond0")]  # fmt: skip
    made = make(tmp_path, links=links, neigh=neighbours, sysctl=FORWARDING)
    netns = load(tmp_path).netns
    assert isinstance(netns.links["bond0.7"], Vlan)
    assert netns.links["a"].peer is netns.links["b"]
    inner = ipv4("10.7.0.2", HOST, 17, udp("10.7.0.2", HOST, 1, 2))
    tagged = ethernet(MACS["eth0"], PEER, b"\x00\x07\x08\x00" + inner, 0x8100)
    (untagged,) = made.replay([tagged], "eth1")  # a slave's frames are the bond's
    assert [each.link for each in untagged.out] == ["bond0"]
    (tagged_row,) = made.replay([udp_frame(HOST, "10.7.0.2")], "eth0")
    assert [each.link for each in tagged_row.out] == ["bond0"]
    assert tagged_row.out[0].frame[12:16] == b"\x81\x00\x00\x07"


def test_links_without_ethernet_headers(tmp_path: Path) -> None:
    """tun, ipip, WireGuard: raw IP in and out."""
    tunnel = link(
        "tun0", PEER, "10.9.0.1/24", kind="tun", link_type="none", flags=["POINTOPOINT", "NOARP", "UP", "LOWER_UP"]
    )
    tunnel.pop("address")
    made = make(tmp_path, links=[*ROUTER, tunnel], neigh=[neighbour(HOST, "eth0")], sysctl=FORWARDING)
    (out,) = made.replay([udp_frame(HOST, "10.9.0.7")])
    assert [(each.link, each.frame[0]) for each in out.out] == [("tun0", 0x45)]
    packet = ipv4("10.9.0.7", HOST, 17, udp("10.9.0.7", HOST, 1, 2))
    (back,) = made.replay([packet], "tun0", linktype=101)
    assert [each.link for each in back.out] == ["eth0"]
    (framed,) = made.replay([ethernet(PEER, PEER, packet)], "tun0")  # the header is not looked at
    assert framed.out == back.out


def test_links_that_are_down_or_without_carrier(tmp_path: Path) -> None:
    links = [
        ROUTER[0],
        {**ROUTER[1], "flags": ["BROADCAST"]},
        {**ROUTER[2], "flags": ["NO-CARRIER", "BROADCAST", "UP"]},
    ]
    made = router(tmp_path, links=[*links, link("eth2", "02:00:00:00:00:04", "10.0.3.1/24")])
    (down,) = made.replay([udp_frame(HOST, FAR)])
    assert (down.verdict, down.reason) == ("dropped", "DEV_READY")
    frame = ethernet("02:00:00:00:00:04", PEER, ipv4("10.0.3.2", FAR, 17, udp("10.0.3.2", FAR, 1, 2)))
    (no_carrier,) = made.replay([frame], "eth2")
    assert (no_carrier.verdict, no_carrier.reason) == ("dropped", "DEV_READY")


def test_what_is_not_emulated_is_said(tmp_path: Path) -> None:
    links = [
        *ROUTER,
        link("vrf0", "02:00:00:00:00:05", kind="vrf"),
        {**link("eth3", "02:00:00:00:00:06"), "master": "vrf0", "linkinfo": {"info_slave_kind": "vrf"}},
        {**link("br1", "02:00:00:00:00:07"), "linkinfo": {"info_kind": "bridge", "info_data": {"vlan_filtering": 1}}},
        {**link("v1", "02:00:00:00:01:01"), **port("br1", state="blocking")},
    ]
    router(
        tmp_path,
        links=links,
        ip6tables_save="*filter\n-A INPUT -j DROP\nCOMMIT\n",
        nft="table ip filter {\n}\ntable inet own {\n}\n",
        iptables_save="*filter\nCOMMIT\n",
    )
    notes = [note for note in load(tmp_path).notes if not note.startswith("not there: ")]
    assert notes == [
        "eth3: its master vrf0 is a VRF, which is not emulated; it has no effect",
        "v1: its port state blocking is not emulated; it is taken as forwarding",
        "br1: VLAN filtering of bridges is not emulated; it has no effect",
        "ip6tables-save.txt is not evaluated: IPv6 is not emulated",
    ]


def test_a_minimal_file(tmp_path: Path) -> None:
    """Names, MACs and addresses are enough, and empty objects of old ip(8) are passed over."""
    links = [{}, {"ifname": "eth0", "address": MACS["eth0"], "addr_info": [{"local": "10.0.1.1", "prefixlen": 24}]}]
    make(tmp_path, links=links)
    bundle = load(tmp_path)
    assert [route.format() for route in bundle.netns.fib.routes()] == [
        "10.0.1.0/24 dev eth0 proto kernel scope link src 10.0.1.1"
    ]
    assert bundle.notes[0].startswith("sysctl.txt is not there: forwarding is taken to be on")


# Routes, rules, sysctls


def test_routes_take_the_place_of_connected_ones(tmp_path: Path) -> None:
    routes = [
        {"dst": "default", "gateway": FAR, "dev": "eth1", "metric": 5, "metrics": [{"mtu": 1400}], "flags": []},
        {"dst": "10.0.2.0/24", "dev": "eth1", "scope": "link", "flags": []},
        {"type": "local", "dst": "10.0.1.1", "dev": "eth0", "table": "local", "scope": "host", "flags": []},
        {"dst": "192.0.2.0/24", "flags": [], "nexthops": [
            {"gateway": "10.0.2.2", "dev": "eth1", "weight": 2, "flags": []},
            {"gateway": "10.0.2.3", "dev": "eth1", "weight": 1, "flags": ["onlink"]}]},
        {"dst": "192.0.3.0/24", "dev": "eth1", "table": "mine", "flags": []},
        {"dst": "fe80::/64", "dev": "eth0", "pref": "medium", "flags": []},
        {"dst": "default", "dev": "eth0", "pref": "medium", "flags": []},
    ]  # fmt: skip
    rules = [
        {"priority": 0, "src": "all", "table": "local"},
        {"priority": 10, "src": "10.0.1.0", "srclen": 24, "fwmark": "0x1", "fwmask": "0xf", "table": "mine"},
        {"priority": 20, "not": None, "src": "all", "dst": "10.0.0.0", "dstlen": 8, "ipproto": "udp", "dport": 53,
         "action": "prohibit"},
        {"priority": 30, "src": "all", "goto": 32766},
        {"priority": 31, "src": "all", "nop": None},
        {"priority": 32766, "src": "all", "table": "main", "suppress_prefixlen": 0},
        {"priority": 40, "src": "fd00::", "srclen": 8, "table": "9"},
    ]  # fmt: skip
    router(tmp_path, routes=routes, rules=rules)
    fib = load(tmp_path).netns.fib
    assert [route.format() for route in fib.routes()] == [
        "default via 10.0.2.2 dev eth1 metric 5 mtu 1400",
        "10.0.2.0/24 dev eth1 scope link",
        "192.0.2.0/24 nexthop via 10.0.2.2 dev eth1 weight 2 nexthop via 10.0.2.3 dev eth1 weight 1 onlink",
    ]
    named = next(number for number in fib.tables if number > 255)
    assert [route.format() for route in fib.routes(named)] == ["192.0.3.0/24 dev eth1"]
    assert [rule.format() for rule in fib.rules] == [
        "0:\tfrom all lookup local",
        f"10:\tfrom 10.0.1.0/24 fwmark 0x1/0xf lookup {named}",
        "20:\tnot from all to 10.0.0.0/8 ipproto udp dport 53 prohibit",
        "30:\tfrom all goto 32766",
        "31:\tfrom all nop",
        "32766:\tfrom all lookup main suppress_prefixlength 0",
    ]


def test_default_rules_change_nothing(tmp_path: Path) -> None:
    rules = [
        {"priority": 0, "src": "all", "table": "local"},
        {"priority": 32766, "src": "all", "table": "main"},
        {"priority": 32767, "src": "all", "table": "default"},
    ]
    router(tmp_path, rules=rules)
    assert not load(tmp_path).netns.fib.custom_rules


def test_sysctls(tmp_path: Path) -> None:
    links = [*ROUTER, link("eth0.5", "02:00:00:00:00:08")]
    text = (
        "kernel.ostype = Linux\nnet.ipv4.conf.eth0/5.rp_filter = 2\nnet.ipv4.conf.all.forwarding = 1\n"
        "net.ipv4.conf.eth0.forwarding = 0\nnet.ipv4.ip_forward = 1\nnet.ipv4.ip_local_port_range = 1000\t2000\n"
        'sysctl: permission denied on key "kernel.x"\nnet.netfilter.nf_conntrack_udp_timeout = 7\n'
        "net.ipv4.tcp_congestion_control = bbr\n"
    )
    router(tmp_path, links=links, sysctl=text)
    bundle = load(tmp_path)
    sysctl = bundle.netns.sysctl
    assert sysctl.get("net.ipv4.conf.eth0.5.rp_filter") == "2"
    assert sysctl.get("net.ipv4.conf.eth0.forwarding") == "0"  # whatever the order of the lines
    assert sysctl.get("net.ipv4.conf.eth1.forwarding") == "1"
    assert sysctl.get("net.netfilter.nf_conntrack_udp_timeout") == "7"
    assert sysctl.get("net.bridge.bridge-nf-call-iptables") == "0"
    assert bundle.ignored_sysctls == 3  # kernel.ostype, tcp_congestion_control, and all.forwarding, which is ip_forward


def test_sets(tmp_path: Path) -> None:
    router(tmp_path, ipset_save="create good hash:ip\nadd good 10.0.1.2\ncreate odd bitmap:ip,mac range 10.0.0.0/16\n")
    (problem,) = problems(tmp_path)
    assert problem.startswith("ipset-save.txt: line 3: ")
    assert "bitmap:ip,mac" in problem
    made = router(tmp_path, ipset_save="create good hash:ip\nadd good 10.0.1.2\n")
    assert load(made.path).netns.netfilter.sets.find("good") is not None


def test_a_point_to_point_address_and_scopes(tmp_path: Path) -> None:
    eth0 = link("eth0")
    eth0["addr_info"] = [
        address("10.9.0.1/32", address="10.9.0.2"),
        address("10.0.1.1/24", scope="link", broadcast="10.0.1.255"),
        address("10.0.1.9/24", scope="200"),
        {"family": "inet6", "local": "fe80::1", "prefixlen": 64},
    ]
    make(tmp_path, links=[eth0], sysctl=FORWARDING)
    netns = load(tmp_path).netns
    assert [str(own.scope) for own in netns.links["eth0"].addresses] == ["global", "link", "site"]
    assert [route.format() for route in netns.fib.routes()] == [
        "10.0.1.0/24 dev eth0 proto kernel scope link src 10.0.1.1",
        "10.9.0.2 dev eth0 proto kernel scope link src 10.9.0.1",
    ]
