"""tracepath and ping over a hop with a small MTU: what iputils 20221126 printed on Linux, times aside."""

from __future__ import annotations

import re

import pytest
from trio.testing import MockClock

from emulator.kernel.link import veth
from emulator.kernel.routing.route import Route
from emulator.packet.address import ipv4_to_int

from .conftest import Lab


async def extend(lab: Lab) -> None:
    """Put a link of MTU 1450 between the node and a namespace `far` (10.244.2.3), as behind an overlay."""
    node, far = lab.netns("node"), lab.netns("dns")
    for line in ("ip route del default", "ip addr del 10.244.1.4/24 dev eth0"):
        assert (await lab.run(line, "dns")).status == 0
    outer, inner = veth.pair(node, "vethfar", far, "eth1", 0x0A000A0000FE, 0x0A580AF402FE)
    outer.mtu = inner.mtu = 1450
    outer.set_up()
    inner.set_up()
    node.add_address(outer, ipv4_to_int("10.244.2.1"), 24)
    far.add_address(inner, ipv4_to_int("10.244.2.3"), 24)
    far.fib.add(Route(0, 0, gateway=ipv4_to_int("10.244.2.1"), link=inner))


def masked(text: str) -> str:
    return re.sub(r" *[0-9]+\.[0-9]{3}ms", " Tms", text)


async def test_the_mtu_of_a_path_is_found(lab: Lab, autojump_clock: MockClock) -> None:
    await extend(lab)
    first = await lab.run("tracepath -n 10.244.2.3")
    assert first.error == ""
    assert first.out.splitlines()[1] == " 1:  10.244.1.1                                            0.000ms "
    assert masked(first.out) == (
        " 1?: [LOCALHOST]                      pmtu 1500\n"
        " 1:  10.244.1.1 Tms \n"
        " 1:  10.244.1.1 Tms \n"
        " 2:  10.244.1.1 Tms pmtu 1450\n"
        " 2:  10.244.2.3 Tms reached\n"
        "     Resume: pmtu 1450 hops 2 back 2 \n"
    )
    again = await lab.run("tracepath -n 10.244.2.3")  # what was learned is known now
    assert again.out.startswith(" 1?: [LOCALHOST]                      pmtu 1450\n")
    short = await lab.run("tracepath -b -m 5 -l 1000 -p 5000 10.244.2.3")
    assert masked(short.out) == (
        " 1:  ??? (10.244.1.1) Tms \n 2:  ??? (10.244.2.3) Tms reached\n     Resume: pmtu 1000 hops 2 back 2 \n"
    )


async def test_ends_of_a_path(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.run("ip route add unreachable 10.244.9.0/24", "node")
    await lab.run("ip route add blackhole 10.244.8.0/24", "node")
    assert masked((await lab.run("tracepath -n 10.244.9.1")).out) == (
        " 1?: [LOCALHOST]                      pmtu 1500\n"
        " 1:  10.244.1.1 Tms !H\n"
        " 1:  10.244.1.1 Tms !H\n"
        "     Resume: pmtu 1500 \n"
    )
    assert (await lab.run("tracepath -n -m 2 10.244.8.1")).out == (
        " 1?: [LOCALHOST]                      pmtu 1500\n"
        " 1:  no reply\n"
        " 2:  no reply\n"
        "     Too many hops: pmtu 1500\n"
        "     Resume: pmtu 1500 \n"
    )
    for line, status, error in (
        ("tracepath nope", 1, "tracepath: nope: Temporary failure in name resolution\n"),
        ("tracepath -m x 10.244.2.3", 1, "tracepath: invalid argument: 'x'\n"),
        ("tracepath", 255, "\nUsage\n  tracepath [options] <destination>\n"),
    ):
        result = await lab.run(line)
        assert (result.status, result.error[: len(error)]) == (status, error)


@pytest.mark.parametrize(
    ("line", "status", "out", "error"),
    [
        (
            "ping -c 2 -i 0.2 -M do -s 1472 10.244.2.3",
            1,
            "PING 10.244.2.3 (10.244.2.3) 1472(1500) bytes of data.\n"
            "From 10.244.1.1 icmp_seq=1 Frag needed and DF set (mtu = 1450)\n"
            "\n--- 10.244.2.3 ping statistics ---\n"
            "2 packets transmitted, 0 received, +2 errors, 100% packet loss, time 200ms\n\n",
            "ping: local error: message too long, mtu=1450\n",
        ),
        ("ping -c 1 -I eth0 10.244.2.3", 0, "PING 10.244.2.3 (10.244.2.3) from 10.244.1.2 eth0: 56(84) bytes", ""),
        ("ping -c 1 -I 10.244.1.2 10.244.2.3", 0, "PING 10.244.2.3 (10.244.2.3) from 10.244.1.2 : 56(84) bytes", ""),
        ("ping -c 1 -I nope 10.244.2.3", 2, "", "ping: SO_BINDTODEVICE nope: No such device\n"),
        ("ping -c 1 -I 10.9.9.9 10.244.2.3", 2, "", "ping: bind: Cannot assign requested address\n"),
        (
            "ping -c 1 10.244.1.255",
            2,
            "",
            "ping: Do you want to ping broadcast? Then -b. If not, check your local firewall rules\n",
        ),
        ("ping -c 1 -p ff00 10.244.2.3", 0, "PATTERN: 0xff00\nPING ", ""),
        ("ping -c 1 -p xx 10.244.2.3", 1, "", "ping: patterns must be specified as hex digits: xx\n"),
        ("ping -f -c 2 10.244.2.3", 0, "PING 10.244.2.3 (10.244.2.3) 56(84) bytes of data.\n.\b \b.\b \b\n---", ""),
        ("ping -f -c 2 -W 1 10.244.2.9", 1, "PING 10.244.2.9 (10.244.2.9) 56(84) bytes of data.\n..\n---", ""),
    ],
)
async def test_ping(lab: Lab, autojump_clock: MockClock, line: str, status: int, out: str, error: str) -> None:
    await extend(lab)
    result = await lab.run(line)
    assert (result.status, result.error) == (status, error)
    assert result.out[: len(out)] == out
