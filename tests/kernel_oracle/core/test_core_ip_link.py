"""`ip link add`, `set` and `del` against the real tool and kernel: what is printed, how it ends, what links there are.

Of the kinds this kernel has veth and bridge; for VLANs and dummies see tests/apps/test_ip_link.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kernel_oracle.harness import Testbed
from tests.kernel_oracle.ip_command import check

pytestmark = pytest.mark.kernel

A, B = "address 02:00:00:00:00:0a", "address 02:00:00:00:00:0b"

LINES = f"""
ip link add
ip link add x
ip link add x type
ip link add x type nope
ip link add v0 {A} type veth peer name v1 {B}
ip -br link
ip link
ip link add v0 type veth peer name v2
ip link add v2 type veth peer name v0
ip link add v2 type veth foo
ip link add v2 type veth peer name
ip link add v2 type veth peer name v3 netns nosuch
ip link add v2 foo type veth
ip link add v2 v3 type bridge
ip link add verylongname1234567 type veth
ip link add sixteencharname1 type bridge
ip link add a/b type bridge
ip link add . type bridge
ip link add v2 mtu 20 type veth
ip link add v2 mtu x type veth
ip link add v2 address zz type veth
ip link add {A} type veth peer {B}
ip link add {A} mtu 1400 type veth peer name w1 {B} mtu 1300
ip -br link
ip link
ip link add b0 {A} type bridge
ip link add {B} type bridge
ip link add b1 {A} index 777 type bridge stp_state 0 ageing_time 1000
ip link add b2 index 777 type bridge
ip -br link
ip link set v0 up
ip -br link
ip link set v1 up
ip -br link
ip -s -s link show v0
ip -j -s -s link show v0
ip addr add 10.9.0.1/24 dev v0
ip link set v0 name w0
ip route
ip link set w0 name w0
ip link set w0 name v1
ip link set w0 name toolongname123456
ip link set w0 name a/b
ip link set w0 name .
ip link set nosuch name x
ip link set w0 down name ww
ip -s -s link show ww
ip -s -s link show b0
ip link set w1 master b0
ip link set b0 up
ip link set w1 up
ip link set veth2 up
ip -br link
ip -j -s -s link show w1
ip link set b0 netns nosuch
ip link set b0 type bridge ageing_time 500
ip link set w1 type bridge ageing_time 500
ip link del
ip link del nosuch
ip link del b1 foo
ip link del v1 type bridge
ip link set b0 down
ip link del dev w1
ip link del bridge0
ip -br link
ip link add link nosuch x type vlan id 3
ip link add v2 type veth peer name v3 up
bridge vlan
bridge -j vlan
bridge vlan show dev b0
bridge vlan add dev b0 vid 5 self
bridge vlan add dev b0
bridge vlan add dev nosuch vid 5
""".strip().splitlines()


@pytest.fixture
def bed() -> Iterator[Testbed]:
    with Testbed() as bed:
        yield bed


def test_lines(bed: Testbed) -> None:
    for line in LINES:
        check(bed, line)
