"""Links that users make: VLANs, dummies, pairs into other namespaces; packets take them, and names are kept up."""

from __future__ import annotations

import json

import pytest
from trio.testing import MockClock

from .conftest import Lab


async def run(lab: Lab, place: str, *lines: str) -> None:
    """Run lines that print nothing and succeed."""
    for line in lines:
        result = await lab.run(line, place)
        assert (result.status, result.out, result.error) == (0, "", ""), line


async def test_pod_and_node_talk_over_a_new_pair_with_vlans(lab: Lab, autojump_clock: MockClock) -> None:
    namespace = lab.netns("client").name
    await run(
        lab,
        "node",
        f"ip link add up0 type veth peer name down0 netns {namespace}",
        "ip link set up0 up",
        "ip link add link up0 name up0.7 type vlan id 7",
        "ip addr add 10.7.0.1/24 dev up0.7",
        "ip link set up0.7 up",
    )
    await run(
        lab,
        "client",
        "ip link set down0 name eth1 up",
        "ip link add link eth1 type vlan id 7 protocol 802.1Q reorder_hdr on",
        "ip link set vlan0 name eth1.7 up",
        "ip addr add 10.7.0.2/24 dev eth1.7",
    )
    assert (await lab.run("ping -c 1 10.7.0.1", "client")).status == 0
    assert "eth1.7@eth1 " in (await lab.run("ip -br link", "client")).out
    (row,) = json.loads((await lab.run("ip -d -j link show eth1.7", "client")).out)
    assert (row["link"], row["linkinfo"]["info_kind"], row["linkinfo"]["info_data"]["id"]) == ("eth1", "vlan", 7)
    await run(lab, "node", "ip link del up0")  # its VLAN and the other end with its VLAN go too
    assert "up0" not in (await lab.run("ip -br link", "node")).out
    assert "eth1" not in (await lab.run("ip -br link", "client")).out


async def test_a_new_name_takes_along_what_is_known_by_name(lab: Lab, autojump_clock: MockClock) -> None:
    await run(lab, "client", "ip link set eth0 name net1")
    assert (await lab.run("ping -c 1 10.244.1.3", "client")).status == 0
    assert (await lab.run("ip route", "client")).out.startswith("default via 10.244.1.1 dev net1 \n")
    assert (await lab.run("sysctl -n net.ipv4.conf.net1.rp_filter", "client")).status == 0
    assert (await lab.run("sysctl -n net.ipv4.conf.eth0.rp_filter", "client")).status == 1
    await run(lab, "client", "iptables -A OUTPUT -o net1 -p icmp -j DROP")
    assert (await lab.run("ping -c 1 -W 1 10.244.1.3", "client")).status == 1
    await run(lab, "client", "ip link set net1 name eth0")  # the rule names a link that is not there any more
    assert (await lab.run("ping -c 1 10.244.1.3", "client")).status == 0


async def test_a_dummy_has_an_address_that_is_ours(lab: Lab, autojump_clock: MockClock) -> None:
    await run(lab, "client", "ip link add d0 type dummy", "ip addr add 192.0.2.7/32 dev d0", "ip link set d0 up")
    assert (await lab.run("ping -c 1 192.0.2.7", "client")).status == 0
    assert "d0               UNKNOWN " in (await lab.run("ip -br link", "client")).out
    await run(lab, "client", "ip link add type dummy", "ip link del d0", "ip link del dummy0")
    assert (await lab.run("ip route get 192.0.2.7", "client")).out.startswith("192.0.2.7 via 10.244.1.1 dev eth0 ")


async def test_a_bridge_of_the_users_forwards(lab: Lab, autojump_clock: MockClock) -> None:
    namespace = lab.netns("client").name
    await run(
        lab,
        "node",
        "ip link add br9 type bridge ageing_time 1000 nf_call_iptables 0",
        "ip addr add 10.9.0.1/24 dev br9",
        "ip link set br9 up",
        f"ip link add p9 type veth peer name eth9 netns {namespace}",
        "ip link set p9 master br9 up",
    )
    await run(lab, "client", "ip addr add 10.9.0.2/24 dev eth9", "ip link set eth9 up")
    assert (await lab.run("ping -c 1 10.9.0.1", "client")).status == 0
    assert " dev p9 master br9 " in (await lab.run("bridge fdb show br br9", "node")).out


@pytest.mark.parametrize(
    ("line", "status", "error"),
    [
        ("ip link add link eth0 x type vlan", 2, "Error: 8021q: VLAN id not specified."),
        ("ip link add link eth0 x type vlan id 4095", 2, "Error: 8021q: Invalid VLAN id."),
        ("ip link add x type vlan id 5", 2, "Error: 8021q: link not specified."),
        ("ip link add link eth0 x type vlan id y", 255, 'Error: argument "y" is wrong: id is invalid\n'),
        ("ip link add link eth0 x mtu 9000 type vlan id 5", 2, "RTNETLINK answers: Numerical result out of range"),
        ("ip link add link nope x type vlan id 5", 1, 'Cannot find device "nope"'),
        ("ip link add x type vxlan id 5", 2, "Error: Unknown device type."),
        ("ip link add x type bridge stp_state 1", 2, "RTNETLINK answers: Operation not supported"),
        ("ip link add x type bridge vlan_filtering 1", 2, "RTNETLINK answers: Operation not supported"),
        ("ip link add x type bridge foo", 1, 'bridge: unknown command "foo"?'),
        ("ip link set eth0 type bridge ageing_time 1", 2, "RTNETLINK answers: Operation not supported"),
        ("ip link del lo", 2, "RTNETLINK answers: Operation not supported"),
        ("ip link set lo netns x", 255, 'Error: argument "x" is wrong: Invalid "netns" value\n'),
    ],
)
async def test_errors(lab: Lab, autojump_clock: MockClock, line: str, status: int, error: str) -> None:
    result = await lab.run(line, "client")
    assert (result.status, result.out, result.error) == (status, "", f"{error}\n")
    assert [link.name for link in lab.netns("client").links.values()] == ["lo", "eth0"]
