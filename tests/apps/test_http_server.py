"""The HTTP server's promises: whatever a client sends, the next one is served."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import h11
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from emulator.apps.http_message import Request, Response, text
from emulator.apps.http_server import CONNECTION_LIMIT, serve
from emulator.apps.http_service import BODY_LIMIT, IDLE_TIMEOUT, Service

from .conftest import Lab, play

PIECES = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n",
        b"POST /x HTTP/1.1\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"Host: a\r\n",
        b"Content-Length: 5\r\n",
        b"Content-Length: -1\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Expect: 100-continue\r\n",
        b"Connection: Upgrade\r\nUpgrade: x\r\n",
        b"\r\n",
        b"5\r\nhello\r\n0\r\n\r\n",
        b"hello",
        b"\x00",
        b"\n",
    ]
)
INPUT = st.lists(st.one_of(PIECES, st.binary(max_size=40)), max_size=8)


async def start(lab: Lab, garbage: bytes | None = None) -> None:
    listener = await lab.networks["server"].open_tcp_listener(80)

    def handle(request: Request) -> Response:
        if request.path == "/fail":
            raise KeyError("x")
        return text(f"{request.method} {len(request.body)}")

    service = Service(handle, lab.machine.wall_clock, lab.logs.setdefault("server", []).append, garbage=garbage)
    lab.nursery.start_soon(serve, listener, service)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=INPUT, garbage=st.sampled_from([None, b"not HTTP\n"]), ends=st.booleans())
def test_survives_any_bytes(data: list[bytes], garbage: bytes | None, ends: bool) -> None:
    async def scenario(lab: Lab) -> None:
        await start(lab, garbage)
        async with await lab.networks["client"].open_tcp_stream("10.244.1.3", 80) as stream:
            for part in data:
                try:
                    await stream.send_all(part)
                except trio.BrokenResourceError:
                    break
            if ends:
                await stream.send_eof()
            with trio.move_on_after(IDLE_TIMEOUT * 2) as waiting:
                try:
                    while await stream.receive_some():
                        pass
                except trio.BrokenResourceError:
                    pass
            assert not waiting.cancelled_caught, "the server holds a silent connection for ever"
        assert (await lab.run("curl -s http://10.244.1.3/")).out == "GET 0"
        assert lab.logs["server"] == []

    play(scenario)


async def test_keeps_connections_alive_and_pipelines(lab: Lab, autojump_clock: MockClock) -> None:
    await start(lab)
    request = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
    result = await lab.run(["nc", "-N", "10.244.1.3", "80"], stdin=request % 1 + request % 2 + request % 3)
    assert result.out.count("HTTP/1.1 200 OK\r\n") == 3


async def test_chunked_bodies_and_expect(lab: Lab, autojump_clock: MockClock) -> None:
    await start(lab)
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
    result = await lab.run(["nc", "-N", "10.244.1.3", "80"], stdin=head + b"5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n")
    assert "HTTP/1.1 200 OK\r\n" in result.out
    assert result.out.endswith("POST 8")


@pytest.mark.parametrize(
    ("option", "value", "status"), [("-d", "x" * (BODY_LIMIT + 1), "413"), ("-H", "x: " + "y" * 200_000, "431")]
)
async def test_limits(lab: Lab, autojump_clock: MockClock, option: str, value: str, status: str) -> None:
    await start(lab)
    line = ["curl", "-s", "-w", "%{http_code}", "-o", "/dev/null", option, value, "http://10.244.1.3/"]
    assert (await lab.run(line)).out == status


async def test_a_failing_handler_is_logged_and_answered(lab: Lab, autojump_clock: MockClock) -> None:
    await start(lab)
    result = await lab.run("curl -s -w %{http_code} http://10.244.1.3/fail")
    assert result.out == "500 Internal Server Error500"
    assert lab.logs["server"] == ["GET /fail: KeyError: 'x'"]


async def test_many_clients_at_once(lab: Lab, autojump_clock: MockClock) -> None:
    await start(lab)
    answers: list[str] = []

    async def ask() -> None:
        answers.append((await lab.run("curl -s http://10.244.1.3/")).out)

    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(ask)
    assert answers == ["GET 0"] * 100
    assert CONNECTION_LIMIT >= 100


BODIES = st.lists(st.tuples(st.binary(max_size=3000), st.booleans(), st.booleans()), min_size=1, max_size=5)


async def echo_in_parts(request: Request) -> Response:
    """Answer with the body: whole, or bit by bit where the path says so."""

    async def parts() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(request.body), 700):
            await trio.sleep(0.001)
            yield request.body[start : start + 700]

    return Response(200, parts=parts()) if request.path == "/parts" else Response(200, request.body)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(bodies=BODIES, cuts=st.lists(st.integers(1, 4000), max_size=12))
def test_pipelined_requests_are_answered_in_order_whatever_their_framing(
    bodies: list[tuple[bytes, bool, bool]], cuts: list[int]
) -> None:
    """Bodies with a length and in chunks, cut into segments anywhere, come back as they went, each behind the last."""
    sent = b""
    for body, chunked, in_parts in bodies:
        client = h11.Connection(h11.CLIENT)
        framing = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(body)))
        target = "/parts" if in_parts else "/"
        sent += client.send(h11.Request(method="POST", target=target, headers=[("Host", "a"), framing])) or b""
        for start in range(0, len(body), 1000):
            sent += client.send(h11.Data(data=body[start : start + 1000])) or b""
        sent += client.send(h11.EndOfMessage()) or b""

    async def scenario(lab: Lab) -> None:
        listener = await lab.networks["server"].open_tcp_listener(80)
        service = Service(echo_in_parts, lab.machine.wall_clock, lambda _: None)
        lab.nursery.start_soon(serve, listener, service)
        async with await lab.networks["client"].open_tcp_stream("10.244.1.3", 80) as stream:
            rest = sent
            for cut in cuts:
                await stream.send_all(rest[:cut])
                rest = rest[cut:]
                await trio.sleep(0.001)
            await stream.send_all(rest)
            await stream.send_eof()
            received = b""
            while data := await stream.receive_some():
                received += data
        for body, _, in_parts in bodies:
            reader = h11.Connection(h11.CLIENT)
            reader.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
            reader.send(h11.EndOfMessage())
            reader.receive_data(received)
            head = reader.next_event()
            assert isinstance(head, h11.Response)
            assert (b"transfer-encoding", b"chunked") in list(head.headers) or not in_parts
            got = b""
            while isinstance(event := reader.next_event(), h11.Data):
                got += event.data
            assert isinstance(event, h11.EndOfMessage)
            assert got == body
            received = reader.trailing_data[0]
        assert received == b""

    play(scenario)


async def test_a_body_that_breaks_off_ends_its_connection_only(lab: Lab, autojump_clock: MockClock) -> None:
    async def broken() -> AsyncGenerator[bytes, None]:
        yield b"half"
        raise KeyError("x")

    listener = await lab.networks["server"].open_tcp_listener(80)
    log: list[str] = []
    service = Service(lambda _: Response(200, parts=broken()), lab.machine.wall_clock, log.append)
    lab.nursery.start_soon(serve, listener, service)
    for _ in range(2):
        result = await lab.run("curl -sS http://10.244.1.3/")
        assert (result.status, result.out) == (18, "half")
    assert log == ["GET /: KeyError: 'x'"] * 2
