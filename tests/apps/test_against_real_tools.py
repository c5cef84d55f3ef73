"""The same set-up in real namespaces: what the machine's own ip, bridge and ss print is what ours print."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator

import pytest
from trio.testing import MockClock

from .conftest import ADDRESSES, Lab

pytestmark = pytest.mark.kernel

PREFIX = f"pwi{os.getpid()}"
NODE = f"{PREFIX}-node"
SET_UP = f"""
netns add {NODE}
-n {NODE} link add cbr0 address 0a:58:0a:f4:01:01 type bridge
-n {NODE} link set cbr0 up
-n {NODE} addr add 10.244.1.1/24 brd + dev cbr0
-n {NODE} link set lo up
"""
SET_UP_POD = f"""
netns add {PREFIX}-{{name}}
link add veth{{name}} netns {NODE} address 0a:00:0a:00:00:{{last:02x}} type veth peer name eth0 netns {PREFIX}-{{name}}
-n {PREFIX}-{{name}} link set eth0 address 0a:58:0a:f4:01:{{last:02x}}
-n {NODE} link set veth{{name}} master cbr0 up
-n {PREFIX}-{{name}} link set lo up
-n {PREFIX}-{{name}} link set eth0 up
-n {PREFIX}-{{name}} addr add {{address}}/24 dev eth0
-n {PREFIX}-{{name}} route add default via 10.244.1.1
"""


def ip(lines: str) -> None:
    for line in lines.strip().splitlines():
        subprocess.run(["ip", *line.split()], check=True, capture_output=True)


def remove() -> None:
    for name in (NODE, *(f"{PREFIX}-{name}" for name in ADDRESSES)):
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@pytest.fixture(scope="module")
def real() -> Iterator[None]:
    remove()
    try:
        ip(SET_UP)
        without_ipv6(NODE)
        for name, address in ADDRESSES.items():
            text = SET_UP_POD.format(name=name, address=address, last=int(address.rpartition(".")[2]))
            add, *rest = text.strip().splitlines()
            ip(add)
            without_ipv6(f"{PREFIX}-{name}")
            ip("\n".join(rest))
        yield
    finally:
        remove()


def without_ipv6(name: str) -> None:
    for scope in ("all", "default"):
        knob = f"net.ipv6.conf.{scope}.disable_ipv6=1"
        subprocess.run(["ip", "netns", "exec", name, "sysctl", "-qw", knob], check=True, capture_output=True)


def alike(text: str) -> str:
    """Take out what tells two equal set-ups apart: interface indexes, names and ids of namespaces, idle routes."""
    text = re.sub(r"(?m)^\d+: ", "N: ", text)
    text = re.sub(r"@if\d+", "@ifN", text)
    text = re.sub(r'"(ifindex|link_index|link_netnsid)": ?\d+', r'"\1":N', text)
    text = re.sub(r"link-netns(id)? \S+", "link-netns X", text)
    return re.sub(r" +(?=\b(?:UP|UNKNOWN)\b)", " ", text)


LINES = (
    "ip addr",
    "ip -4 addr",
    "ip -br addr",
    "ip -br link",
    "ip link",
    "ip -o addr",
    "ip -o link",
    "ip -j addr",
    "ip -j link",
    "ip route",
    "ip route show table all",
    "ip -j route",
    "ip route get 8.8.8.8",
    "ip route get 127.0.0.1",
    "ip rule",
    "ip -j rule",
    "ip neigh",
    "ip nonsense",
    "ip route nonsense",
    "ip addr show nope",
    "ip addr show master nope",
    "ip addr add 1.2.3.4",
    "ip addr del 1.2.3.4",
    "ip -c=never addr",
    "ip -c=nope addr",
    "ip link show master nope",
    "ip link set",
    "ip link set lo mtu",
    "ip link set lo mtu abc",
    "ip link set eth0 mtu 10",
    "ip link set lo address zz",
    "ip link set lo master nope",
    "ip neigh add 1.2.3.4",
    "ip neigh add 1.2.3.4 dev eth0",
    "ip neigh add 1.2.3.4 lladdr zz dev lo",
    "ip neigh add 1.2.3.4 lladdr 02:00 dev lo",
    "ip neigh del dev lo",
    "ip neigh flush",
    "curl -sS http://[::1]/",
    "ip -j -p addr show eth0",
    "bridge link nonsense",
    "bridge nonsense",
    "sysctl net.ipv4.ip_default_ttl",
    "sysctl net.nope",
    "ss -tan",
    "ss -tuan",
    "ss -u",
    "conntrack -L -p foo",
    "conntrack -L",
    "iptables-save -Z",
)
POD_ONLY = frozenset({"ip route get 8.8.8.8", "ip -j -p addr show eth0"})
CASES = [(place, line) for line in LINES for place in ("client", "node") if place == "client" or line not in POD_ONLY]


def judged(place: str, line: str) -> subprocess.CompletedProcess[str]:
    """Run the real tool. It asks for every named namespace; one of another test may go away meanwhile: asked again."""
    words = ["ip", "netns", "exec", f"{PREFIX}-{place}", *line.split()]
    while "Peer netns reference is invalid" in (done := _run(words)).stderr:
        pass
    return done


def _run(words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, check=False, capture_output=True, text=True)


@pytest.mark.parametrize(("place", "line"), CASES)
async def test_prints_the_same(lab: Lab, autojump_clock: MockClock, real: None, place: str, line: str) -> None:
    judge = judged(place, line)
    ours = await lab.run(line, place)
    assert alike(ours.out) == alike(judge.stdout)
    assert ours.error == judge.stderr
    assert ours.status == judge.returncode
