"""hey: closed and open loops against a server that stalls, and the report."""

from __future__ import annotations

import re

import pytest
import trio
from trio.testing import MockClock

from emulator.apps.http_message import Request, Response, text
from emulator.apps.http_server import serve
from emulator.apps.http_service import Service

from .conftest import Lab

U = "http://10.244.1.3/"


@pytest.fixture
async def web(lab: Lab) -> Lab:
    """A server that takes 10 ms, but stands still from second 2 to 3."""
    began = trio.current_time()

    async def handle(request: Request) -> Response:
        await trio.sleep(0.01)
        if 2 <= trio.current_time() - began < 3:
            await trio.sleep(began + 3 - trio.current_time())
        return text("x" * 100, 404 if request.path == "/404" else 200)

    listener = await lab.networks["server"].open_tcp_listener(80)
    lab.nursery.start_soon(serve, listener, Service(handle, lab.machine.wall_clock, lambda _: None))
    return lab


async def test_a_closed_loop_in_full(web: Lab, autojump_clock: MockClock) -> None:
    result = await web.run(f"hey -n 20 -c 2 {U}")
    assert (result.status, result.error) == (0, "")
    assert re.sub(r"[0-9]+\.[0-9]+", "N", result.out) == (
        "\nSummary:\n  Total:\tN secs\n  Slowest:\tN secs\n  Fastest:\tN secs\n  Average:\tN secs\n"
        "  Requests/sec:\tN\n  \n  Total data:\t2000 bytes\n  Size/request:\t100 bytes\n\n"
        "Response time histogram:\n"
        + "".join(re.findall(r"  N \[\d+\]\t\|■*\n", re.sub(r"[0-9]+\.[0-9]+", "N", result.out)))
        + "\n\nLatency distribution:\n"
        + "".join(f"  {share}% in N secs\n" for share in (10, 25, 50, 75, 90, 95, 99))
        + "\nDetails (average, fastest, slowest):\n"
        + "".join(
            f"  {name}:\tN secs, N secs, N secs\n"
            for name in ("DNS+dialup", "DNS-lookup", "req write", "resp wait", "resp read")
        )
        + "\nStatus code distribution:\n  [200]\t20 responses\n\n\n\n"
    )
    marks = re.findall(r"\[(\d+)\]\t\|", result.out)
    assert (len(marks), sum(map(int, marks))) == (11, 20)
    assert "  Total:\t0.1000 secs\n" in result.out
    assert "  Requests/sec:\t200.0" in result.out


@pytest.mark.parametrize(("option", "slow"), [("", False), ("-open ", True)])
async def test_an_open_loop_sees_the_stall(web: Lab, autojump_clock: MockClock, option: str, slow: bool) -> None:
    """Coordinated omission: 20 % of the time stands still, which a closed loop meets in one request only."""
    result = await web.run(f"hey {option}-z 5s -c 1 -q 50 -t 0 {U}")
    tenth = re.search(r"90% in ([0-9.]+) secs", result.out)
    assert tenth is not None
    assert (float(tenth[1]) > 0.4) == slow


async def test_errors_and_statuses(web: Lab, autojump_clock: MockClock) -> None:
    result = await web.run(f"hey -n 4 -c 2 -disable-keepalive {U}404")
    assert "  [404]\t4 responses\n" in result.out
    result = await web.run("hey -n 2 -c 1 http://10.244.1.3:81/")
    refused = 'Get "http://10.244.1.3:81/": dial tcp 10.244.1.3:81: connect: connection refused'
    assert result.out.endswith(f"\nError distribution:\n  [2]\t{refused}\n\n")
    await trio.sleep(1)
    result = await web.run(f"hey -n 1 -c 1 -t 0.005 {U}")
    assert "context deadline exceeded" in result.out


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("", "Usage: hey"),
        (f"-n 1 -c 2 {U}", "-n cannot be less than -c."),
        (f"-open {U}", "-open needs a rate: -q."),
        (f"-y {U}", "flag provided but not defined: -y"),
        ("-n", "flag needs an argument: -n"),
        (f"-z 5 {U}", 'time: invalid duration "5"'),
    ],
)
async def test_usage(lab: Lab, autojump_clock: MockClock, words: str, error: str) -> None:
    result = await lab.run(f"hey {words}")
    assert result.status == 1
    assert result.error.startswith(error)


async def test_as_a_program(web: Lab, autojump_clock: MockClock) -> None:
    assert await web.start("podwire/load", "client", args=["-n", "2", "-c", "1", U]) == []
    await trio.sleep(2)
    assert "[200]\t2 responses" in "".join(web.logs["client"])


async def test_a_connection_that_the_server_gave_up_costs_no_request(lab: Lab, autojump_clock: MockClock) -> None:
    """A worker that asks every two seconds, of a server that waits one: each request needs a connection of its own."""
    listener = await lab.networks["server"].open_tcp_listener(80)
    service = Service(lambda _: text("x"), lab.machine.wall_clock, lambda _: None, idle_timeout=1.0)
    lab.nursery.start_soon(serve, listener, service)
    result = await lab.run(f"hey -n 4 -c 1 -q 0.5 {U}")
    assert "  [200]\t4 responses\n" in result.out
    assert "Error distribution" not in result.out
