"""The other commands: nc, wget, traceroute, and what is said of commands that there are not."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from emulator.apps import commands

from .conftest import Lab, Names, Result


def test_every_command_can_be_found() -> None:
    for name in commands.MODULES:
        assert commands.find(name) is not None
        assert commands.find(f"/usr/bin/{name}") is commands.find(name)
    assert commands.find("vi") is None
    assert "ping" in commands.names()
    assert "sh" in commands.names()


@pytest.mark.parametrize(
    ("line", "status", "error"),
    [
        ("nc -zv 10.244.1.3 80", 0, "Connection to 10.244.1.3 80 port [tcp/http] succeeded!\n"),
        ("nc -zv 10.244.1.3 81", 1, "nc: connect to 10.244.1.3 port 81 (tcp) failed: Connection refused\n"),
        ("nc -z 10.244.1.3 81", 1, ""),
        (
            "nc -zv -w 1 10.244.1.9 82",
            1,
            "nc: connect to 10.244.1.9 port 82 (tcp) timed out: Operation now in progress\n",
        ),
        ("nc -zvu 10.244.1.3 82", 1, ""),
        ("nc -zvu 10.244.1.4 53", 0, "Connection to 10.244.1.4 53 port [udp/domain] succeeded!\n"),
        ("nc -zv nope 80", 1, 'nc: getaddrinfo for host "nope" port 80: Name or service not known\n'),
        ("wget -qO- http://10.244.1.3:81/", 1, "wget: can't connect to remote host (10.244.1.3): Connection refused\n"),
        ("nc -zv -s 10.244.1.2 -p 3333 10.244.1.3 80", 0, "Connection to 10.244.1.3 80 port [tcp/http] succeeded!\n"),
        ("nc -zv -s 9.9.9.9 10.244.1.3 80", 1, "nc: bind failed: Cannot assign requested address\n"),
        ("nc -zvu -s 9.9.9.9 10.244.1.3 80", 1, "nc: bind failed: Cannot assign requested address\n"),
        (
            "wget -qO- https://10.244.1.3:81/",
            1,
            "wget: can't connect to remote host (10.244.1.3): Connection refused\n",
        ),
        ("traceroute -I -n -s 9.9.9.9 10.244.1.3", 1, "bind: Cannot assign requested address\n"),
        (
            "traceroute -T 10.244.1.3",
            2,
            "-T is not there: a pod's programs have no raw sockets here; -I and -U are\n",
        ),
        ("wget -qO- http://nope/", 1, "wget: bad address 'nope'\n"),
        ("wget -qO- http://web/nope", 1, "wget: server returned error: HTTP/1.1 404 Not Found\n"),
        ("wget --spider http://web/", 0, "Connecting to web (10.244.1.3:80)\nremote file exists\n"),
        ("wget -T 1 -qO- http://10.244.1.9/", 1, "wget: download timed out\n"),
        ("traceroute -Z", 2, "Bad option `-Z' (argc 1)\n"),
        (
            "getent",
            1,
            "getent: wrong number of arguments\nTry `getent --help' or `getent --usage' for more information.\n",
        ),
    ],
)
async def test_outcomes(lab: Lab, autojump_clock: MockClock, line: str, status: int, error: str) -> None:
    await lab.start("coredns", "dns", zone=Names())
    await lab.start("nginx")
    result = await lab.run(line)
    assert (result.status, result.error) == (status, error)


async def test_wget_prints_the_page(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start("httpd")
    assert (await lab.run("wget -qO- http://10.244.1.3/")).out == "<html><body><h1>It works!</h1></body></html>\n"


@pytest.mark.parametrize("udp", [False, True])
async def test_nc_talks_to_nc(lab: Lab, autojump_clock: MockClock, udp: bool) -> None:
    option = "-u " if udp else ""
    results: list[Result] = []

    async def listen() -> None:
        results.append(await lab.run(f"nc {option}-l -v -w 1 99", "server", b"" if udp else b"welcome\n"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        await trio.sleep(0.1)
        client = await lab.run(f"nc {option}-w 1 10.244.1.3 99", stdin=b"hello\n")
    assert results[0].out == "hello\n"
    assert client.out == ("" if udp else "welcome\n")
    assert f"{'Bound' if udp else 'Listening'} on 0.0.0.0 99\nConnection received on 10.244.1.2 " in results[0].error


async def test_traceroute(lab: Lab, autojump_clock: MockClock) -> None:
    times = "  0.000 ms" * 3
    assert (await lab.run("traceroute -n 10.244.1.3")).out == (
        f"traceroute to 10.244.1.3 (10.244.1.3), 30 hops max, 60 byte packets\n 1  10.244.1.3{times}\n"
    )
    await lab.run("ip route add 10.8.0.0/16 via 10.244.1.3", "node")
    await lab.run("sysctl -w net.ipv4.ip_forward=1", "server")
    await lab.run("ip addr add 10.8.0.1/32 dev lo", "server")
    assert (await lab.run("traceroute -n -q 1 10.8.0.1")).out.splitlines()[1:] == [
        " 1  10.244.1.1  0.000 ms",
        " 2  10.8.0.1  0.000 ms",
    ]
    assert (await lab.run("traceroute -n -m 2 -q 1 -w 1 10.244.1.9")).out.splitlines()[1:] == [" 1  *", " 2  *"]


async def test_traceroute_with_echo_requests(lab: Lab, autojump_clock: MockClock) -> None:
    assert (await lab.run("ip route add 10.8.0.0/16 via 10.244.1.4", "node")).status == 0
    await lab.run("sysctl -w net.ipv4.ip_forward=1", "dns")
    await lab.run("ip route add unreachable 10.244.9.0/24", "node")
    title = "traceroute to {0} ({0}), 30 hops max, 60 byte packets\n"
    direct = await lab.run("traceroute -I -n 10.244.1.3")
    assert direct.out == title.format("10.244.1.3") + " 1  10.244.1.3  0.000 ms  0.000 ms  0.000 ms\n"
    refused = await lab.run("traceroute -I -n -q 1 10.244.9.1")
    assert refused.out == title.format("10.244.9.1") + " 1  10.244.1.1  0.000 ms !H\n"
    assert (await lab.run("traceroute -V")).out.startswith("Modern traceroute for Linux, version 2.1.2\n")


async def test_wget_over_tls(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start("ghcr.io/acme/shop", ports=[("https", "TCP", 443)])
    result = await lab.run("wget -qO- https://10.244.1.3/x")
    assert (result.status, result.error) == (0, "wget: note: TLS certificate validation not implemented\n")
    assert "request: GET /x\n" in result.out
    assert (await lab.run("wget --no-check-certificate -qO- https://10.244.1.3/x")).error == ""


async def test_nc_ends_after_as_much_as_it_wants(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start("httpd")
    result = await lab.run("nc -W 1 10.244.1.3 80", stdin=b"GET / HTTP/1.0\r\n\r\n")
    assert result.out.startswith("HTTP/1.1 200 OK\r\n")


async def test_date(lab: Lab, autojump_clock: MockClock) -> None:
    assert (await lab.run("date -u")).out == "Tue Nov 14 22:13:20 UTC 2023\n"
    assert (await lab.run("date +%s")).out == "1700000000\n"
    assert (await lab.run("date +%Y-%m-%dT%H:%M:%S%z.%N")).out == "2023-11-14T22:13:20+0000.000000000\n"
    assert (await lab.run("date -q")).status == 1
