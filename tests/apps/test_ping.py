"""ping: what iputils 20221126 printed for the same events in network namespaces; only times differ."""

from __future__ import annotations

import pytest
from trio.testing import MockClock

from .conftest import Lab, Names


async def test_replies_and_statistics(lab: Lab, autojump_clock: MockClock) -> None:
    result = await lab.run("ping -c 3 -i 0.2 10.244.1.3")
    assert result.status == 0
    assert result.out == (
        "PING 10.244.1.3 (10.244.1.3) 56(84) bytes of data.\n"
        "64 bytes from 10.244.1.3: icmp_seq=1 ttl=64 time=0.000 ms\n"
        "64 bytes from 10.244.1.3: icmp_seq=2 ttl=64 time=0.000 ms\n"
        "64 bytes from 10.244.1.3: icmp_seq=3 ttl=64 time=0.000 ms\n"
        "\n"
        "--- 10.244.1.3 ping statistics ---\n"
        "3 packets transmitted, 3 received, 0% packet loss, time 400ms\n"
        "rtt min/avg/max/mdev = 0.000/0.000/0.000/0.000 ms\n"
    )


async def test_unanswered_arp_is_host_unreachable(lab: Lab, autojump_clock: MockClock) -> None:
    result = await lab.run("ping -c 5 10.244.1.9")
    assert result.status == 1
    assert result.out == (
        "PING 10.244.1.9 (10.244.1.9) 56(84) bytes of data.\n"
        + "".join(f"From 10.244.1.2 icmp_seq={n} Destination Host Unreachable\n" for n in range(1, 6))
        + "\n--- 10.244.1.9 ping statistics ---\n"
        "5 packets transmitted, 0 received, +5 errors, 100% packet loss, time 4000ms\n"
        "pipe 4\n"
    )


async def test_short_payload_carries_no_time(lab: Lab, autojump_clock: MockClock) -> None:
    result = await lab.run("ping -c 2 -i 0.1 -s 8 10.244.1.3")
    assert result.out.splitlines()[:2] == [
        "PING 10.244.1.3 (10.244.1.3) 8(36) bytes of data.",
        "16 bytes from 10.244.1.3: icmp_seq=1 ttl=64",
    ]
    assert result.out.endswith("2 packets transmitted, 2 received, 0% packet loss, time 100ms\n\n")


@pytest.mark.parametrize(
    ("line", "status", "out", "error"),
    [
        ("ping -c 1 -W 1 10.244.1.9", 1, "1 packets transmitted, 0 received, 100% packet loss, time 0ms\n\n", ""),
        ("ping -c 3 -w 2 -q 10.244.1.9", 1, "2 packets transmitted, 0 received, 100% packet loss, time 1000ms\n\n", ""),
        ("ping -c 1 -t 1 8.8.8.8", 1, "From 10.244.1.1 icmp_seq=1 Destination Net Unreachable\n", ""),
        ("ping -c 1 -t 1 10.9.0.1", 1, "From 10.244.1.1 icmp_seq=1 Time to live exceeded\n", ""),
        ("ping -c 1 -s 2000 10.244.1.3", 0, "2008 bytes from 10.244.1.3: icmp_seq=1 ttl=64 time=0.000 ms\n", ""),
        (
            "ping -c 2 -s 2000 -M do 10.244.1.3",
            1,
            "2 packets transmitted, 0 received, +2 errors, 100% packet loss, time 1000ms\n\n",
            "ping: local error: message too long, mtu=1500\n" * 2,
        ),
        ("ping -c 1 web", 0, "64 bytes from web.default.svc.cluster.local (10.244.1.3): icmp_seq=1 ttl=64", ""),
        ("ping -c 1 nope", 2, "", "ping: nope: Name or service not known\n"),
        ("ping -c 1 example.com", 2, "", "ping: example.com: Temporary failure in name resolution\n"),
        ("ping -c x 1.2.3.4", 1, "", "ping: invalid argument: 'x'\n"),
        (
            "ping -c 0 1.2.3.4",
            1,
            "",
            "ping: invalid argument: '0': out of range: 1 <= value <= 9223372036854775807\n",
        ),
        ("ping -c 1", 1, "", "ping: usage error: Destination address required\n"),
        ("ping -Z", 2, "", "ping: invalid option -- 'Z'\n\nUsage\n  ping [options] <destination>\n"),
        ("ping -c", 2, "", "ping: option requires an argument -- 'c'\n\nUsage\n"),
    ],
)
async def test_outcomes(lab: Lab, autojump_clock: MockClock, line: str, status: int, out: str, error: str) -> None:
    await lab.start("coredns", "dns", zone=Names())
    await lab.run("ip route add 10.9.0.0/16 via 10.244.1.4", "node")
    result = await lab.run(line)
    assert result.status == status
    assert out in result.out
    assert result.error.startswith(error)
    assert bool(result.error) == bool(error)


async def test_no_route(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.run("ip route del default")
    result = await lab.run("ping -c 1 8.8.8.8")
    assert (result.status, result.out, result.error) == (2, "", "ping: connect: Network is unreachable\n")


async def test_rules_that_reject_are_named(lab: Lab, autojump_clock: MockClock) -> None:
    rule = "*filter\n-A INPUT -p icmp -j REJECT --reject-with icmp-admin-prohibited\nCOMMIT\n"
    lab.netns("server").netfilter.restore(rule)
    assert "From 10.244.1.3 icmp_seq=1 Packet filtered\n" in (await lab.run("ping -c 1 10.244.1.3")).out
