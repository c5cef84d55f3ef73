"""ip, bridge, ss and sysctl: the words of the real tools (iproute2 6.1.0, procps 4.0.2) about the same set-up."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from trio.testing import MockClock

from emulator.bundle.bundle import load_bundle
from emulator.kernel.link.text import link_information

from .conftest import Lab

CLIENT_ADDR = """\
1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default qlen 1000
    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00
    inet 127.0.0.1/8 scope host lo
       valid_lft forever preferred_lft forever
4: eth0@if3: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default qlen 1000
    link/ether 0a:58:0a:f4:01:02 brd ff:ff:ff:ff:ff:ff link-netnsid 0
    inet 10.244.1.2/24 scope global eth0
       valid_lft forever preferred_lft forever
"""
NODE_PORT = """\
3: vethclient@if4: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue master cbr0 state UP mode DEFAULT \
group default qlen 1000
    link/ether 0a:00:0a:00:00:02 brd ff:ff:ff:ff:ff:ff link-netns cni-client
"""
STATISTICS = (
    "    RX:  bytes packets errors dropped  missed   mcast           \n"
    "             0       0      0       0       0       0 \n"
    "    TX:  bytes packets errors dropped carrier collsns           \n"
    "             0       0      0       0       0       0 \n"
)


@pytest.mark.parametrize(
    ("line", "out"),
    [
        ("ip addr", CLIENT_ADDR),
        ("ip a show dev eth0", CLIENT_ADDR[CLIENT_ADDR.index("4:") :]),
        ("ip -br a", "lo               UNKNOWN        127.0.0.1/8 \neth0@if3         UP             10.244.1.2/24 \n"),
        (
            "ip -br l show eth0",
            "eth0@if3         UP             0a:58:0a:f4:01:02 <BROADCAST,MULTICAST,UP,LOWER_UP> \n",
        ),
        (
            "ip -4 addr show eth0",
            "4: eth0@if3: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default qlen 1000"
            " link-netnsid 0\n    inet 10.244.1.2/24 scope global eth0\n"
            "       valid_lft forever preferred_lft forever\n",
        ),
        (
            "ip -o addr show eth0",
            "4: eth0    inet 10.244.1.2/24 scope global eth0\\       valid_lft forever preferred_lft forever\n",
        ),
        ("ip r", "default via 10.244.1.1 dev eth0 \n10.244.1.0/24 dev eth0 proto kernel scope link src 10.244.1.2 \n"),
        ("ip route show dev eth0", "default via 10.244.1.1 \n10.244.1.0/24 proto kernel scope link src 10.244.1.2 \n"),
        ("ip route get 8.8.8.8", "8.8.8.8 via 10.244.1.1 dev eth0 src 10.244.1.2 uid 0 \n    cache \n"),
        ("ip route get 10.244.1.2", "local 10.244.1.2 dev lo src 10.244.1.2 uid 0 \n    cache <local> \n"),
        (
            "ip route get 8.8.8.8 from 10.244.1.2",
            "8.8.8.8 from 10.244.1.2 via 10.244.1.1 dev eth0 uid 0 \n    cache \n",
        ),
        ("ip rule", "0:\tfrom all lookup local\n32766:\tfrom all lookup main\n32767:\tfrom all lookup default\n"),
        ("ip netns", ""),
        ("ip -V", "ip utility, iproute2-6.1.0, libbpf 1.1.2\n"),
        ("sysctl net.ipv4.ip_forward", "net.ipv4.ip_forward = 0\n"),
        ("sysctl -n net/ipv4/ip_forward", "0\n"),
        ("sysctl -w net.ipv4.ip_forward=1", "net.ipv4.ip_forward = 1\n"),
        ("cat /etc/resolv.conf", "search default.svc.cluster.local svc.cluster.local cluster.local\n"
         "nameserver 10.244.1.4\noptions ndots:5\n"),
        ("hostname", "client\n"),
    ],
)  # fmt: skip
async def test_in_a_pod(lab: Lab, autojump_clock: MockClock, line: str, out: str) -> None:
    result = await lab.run(line)
    assert (result.status, result.error, result.out) == (0, "", out)


async def test_on_the_node(lab: Lab, autojump_clock: MockClock) -> None:
    assert (await lab.run("ip link show vethclient", "node")).out == NODE_PORT
    assert (await lab.run("ip -s link show vethclient", "node")).out == NODE_PORT + STATISTICS
    assert (await lab.run("ip netns", "node")).out == "cni-dns (id: 2)\ncni-server (id: 1)\ncni-client (id: 0)\n"
    assert "inet 10.244.1.1/24 brd 10.244.1.255 scope global cbr0\n" in (await lab.run("ip addr", "node")).out
    names = [row["ifname"] for row in json.loads((await lab.run("ip -j link show master cbr0", "node")).out)]
    assert names == ["vethclient", "vethserver", "vethdns"]


async def test_json(lab: Lab, autojump_clock: MockClock) -> None:
    assert json.loads((await lab.run("ip -j addr show eth0")).out) == [
        {
            "ifindex": 4,
            "link_index": 3,
            "ifname": "eth0",
            "flags": ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"],
            "mtu": 1500,
            "qdisc": "noqueue",
            "operstate": "UP",
            "group": "default",
            "txqlen": 1000,
            "link_type": "ether",
            "address": "0a:58:0a:f4:01:02",
            "broadcast": "ff:ff:ff:ff:ff:ff",
            "link_netnsid": 0,
            "addr_info": [
                {
                    "family": "inet",
                    "local": "10.244.1.2",
                    "prefixlen": 24,
                    "scope": "global",
                    "label": "eth0",
                    "valid_life_time": 4294967295,
                    "preferred_life_time": 4294967295,
                }
            ],
        }
    ]
    assert json.loads((await lab.run("ip -j route")).out)[0] == {
        "dst": "default",
        "gateway": "10.244.1.1",
        "dev": "eth0",
        "flags": [],
    }
    assert json.loads((await lab.run("ip -j rule")).out)[0] == {"priority": 0, "src": "all", "table": "local"}
    assert (await lab.run("ip -j -p route show default")).out == (
        '[ {\n        "dst": "default",\n        "gateway": "10.244.1.1",\n        "dev": "eth0",\n'
        '        "flags": [ ]\n    } ]\n'
    )


async def test_neighbours_and_what_the_bridge_learned(lab: Lab, autojump_clock: MockClock) -> None:
    assert (await lab.run("ip neigh")).out == ""
    await lab.run("ping -c 1 10.244.1.3")
    assert (await lab.run("ip neigh")).out == "10.244.1.3 dev eth0 lladdr 0a:58:0a:f4:01:03 REACHABLE \n"
    assert (await lab.run("ip neigh show dev eth0")).out == "10.244.1.3 lladdr 0a:58:0a:f4:01:03 REACHABLE \n"
    fdb = await lab.run("bridge fdb show br cbr0 dynamic", "node")
    assert fdb.out == "0a:58:0a:f4:01:02 dev vethclient master cbr0 \n0a:58:0a:f4:01:03 dev vethserver master cbr0 \n"
    fdb = await lab.run("bridge fdb show brport vethclient", "node")
    assert fdb.out == (
        "0a:58:0a:f4:01:02 master cbr0 \n0a:00:0a:00:00:02 master cbr0 permanent\n01:00:5e:00:00:01 self permanent\n"
    )
    ports = (await lab.run("bridge link", "node")).out.splitlines()
    assert ports[0] == (
        "3: vethclient@if4: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 master cbr0 state forwarding priority 32 cost 2 "
    )


async def test_changes(lab: Lab, autojump_clock: MockClock) -> None:
    for line in (
        "ip addr add 10.9.9.1/24 brd + dev eth0",
        "ip link set eth0 mtu 1400",
        "ip route add 10.8.0.0/16 via 10.9.9.2 metric 5",
        "ip route add blackhole 10.7.0.0/16",
        "ip neigh add 10.9.9.2 lladdr 02:00:00:00:00:09 dev eth0",
    ):
        result = await lab.run(line)
        assert (result.status, result.error) == (0, ""), line
    routes = (await lab.run("ip route")).out
    assert "blackhole 10.7.0.0/16 \n10.8.0.0/16 via 10.9.9.2 dev eth0 metric 5 \n" in routes
    assert "inet 10.9.9.1/24 brd 10.9.9.255 scope global eth0\n" in (await lab.run("ip addr")).out
    assert " mtu 1400 " in (await lab.run("ip link show eth0")).out
    assert (await lab.run("ip neigh")).out == "10.9.9.2 dev eth0 lladdr 02:00:00:00:00:09 PERMANENT \n"
    assert (await lab.run("ip link set eth0 down")).status == 0
    assert (await lab.run("ip -br link show eth0")).out.startswith("eth0@if3         DOWN ")
    assert "NO-CARRIER" in (await lab.run("ip link show vethclient", "node")).out


@pytest.mark.parametrize(
    ("line", "status", "error"),
    [
        ("ip foo", 1, 'Object "foo" is unknown, try "ip help".'),
        ("ip addr foo", 255, 'Command "foo" is unknown, try "ip address help".'),
        ("ip link foo", 255, 'Command "foo" is unknown, try "ip link help".'),
        ("ip -Z", 255, 'Option "-Z" is unknown, try "ip -help".'),
        ("ip addr show nope", 1, 'Device "nope" does not exist.'),
        ("ip route add foo", 1, 'Error: any valid prefix is expected rather than "foo".'),
        ("ip route add 10.1.0.0/24 via 99.9.9.9", 2, "Error: Nexthop has invalid gateway."),
        ("ip route del 10.9.0.0/24", 2, "RTNETLINK answers: No such process"),
        ("ip route add 10.244.1.0/24 dev nope", 1, 'Cannot find device "nope"'),
        ("bridge foo", 255, 'Object "foo" is unknown, try "bridge help".'),
        ("bridge fdb foo", 255, 'Command "foo" is unknown, try "bridge fdb help".'),
        ("bridge fdb show br nope", 255, 'Cannot find bridge device "nope"'),
        ("sysctl net.nope", 1, "sysctl: cannot stat /proc/sys/net/nope: No such file or directory"),
        ("sysctl -w net.ipv4.ip_forward=x", 1, 'sysctl: setting key "net.ipv4.ip_forward": Invalid argument'),
        ("sysctl -w net.ipv4.ip_forward", 1, "sysctl: command line(0): invalid syntax, continuing..."),
        ("cat /nope", 1, "cat: /nope: No such file or directory"),
    ],
)
async def test_errors(lab: Lab, autojump_clock: MockClock, line: str, status: int, error: str) -> None:
    result = await lab.run(line)
    assert (result.status, result.out, result.error) == (status, "", f"{error}\n")


async def test_ss(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start("agnhost", args=["netexec", "--http-port=80", "--udp-port=53"])
    assert (await lab.run("ss -tuln", "server")).out == (
        "Netid State  Recv-Q Send-Q Local Address:Port Peer Address:PortProcess\n"
        "udp   UNCONN 0      0            0.0.0.0:53        0.0.0.0:*          \n"
        "tcp   LISTEN 0      128          0.0.0.0:80        0.0.0.0:*          \n"
    )
    assert (await lab.run("ss -H -tl", "server")).out == "LISTEN 0      128    0.0.0.0:http 0.0.0.0:*\n"
    async with await lab.networks["client"].open_tcp_stream("10.244.1.3", 80) as stream:
        port = stream.local_address[1]
        assert (await lab.run("ss -tn", "server")).out == (
            "State Recv-Q Send-Q Local Address:Port Peer Address:Port Process\n"
            f"ESTAB 0      0         10.244.1.3:80     10.244.1.2:{port}       \n"
        )
        assert (await lab.run(f"ss -Htn state established dport = :{port}", "server")).out.startswith("0      0 ")
        assert (await lab.run("ss -Htn dst 10.244.9.0/24", "server")).out == ""


async def test_ss_usage(lab: Lab, autojump_clock: MockClock) -> None:
    result = await lab.run("ss -Q")
    assert result.status == 255
    assert result.error.startswith("ss: invalid option -- 'Q'\nUsage: ss [ OPTIONS ]\n")


async def test_what_a_node_prints_is_a_bundle(lab: Lab, autojump_clock: MockClock, tmp_path: Path) -> None:
    """As of a real node (scripts/snapshot-node): `replay` finds the same links, ports and ways."""
    for name, line in (
        ("links.json", "ip -j -d addr"),
        ("routes.json", "ip -j route show table all"),
        ("rules.json", "ip -j rule"),
        ("neigh.json", "ip -j neigh"),
        ("fdb.json", "bridge -j fdb"),
        ("sysctl.txt", "sysctl -a"),
        ("iptables-save.txt", "iptables-save"),
        ("conntrack.txt", "conntrack -L -o extended"),
    ):
        done = await lab.run(line, "node")
        assert done.status == 0, (line, done)
        (tmp_path / name).write_text(done.out)
    loaded = load_bundle(tmp_path, lambda _link, _frame: None, Random(0))
    node = loaded.netns
    rows = {row["ifname"]: row for row in json.loads((tmp_path / "links.json").read_text())}
    assert rows["cbr0"]["linkinfo"]["info_kind"] == "bridge"
    assert rows["vethclient"]["linkinfo"] == {
        "info_kind": "veth",
        "info_slave_kind": "bridge",
        "info_slave_data": {
            "state": "forwarding",
            "hairpin": False,
            "learning": True,
            "flood": True,
            "isolated": False,
        },
    }
    assert [link_information(node.links[name]) for name in rows] == [row.get("linkinfo", {}) for row in rows.values()]
    assert {name: str(node.links[name].master and node.links[name].master.name) for name in rows} == {
        name: str(row.get("master")) for name, row in rows.items()
    }
