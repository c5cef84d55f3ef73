"""`trio.socket` inside a pod: trio's own functions act in its namespace, and nowhere else do they change."""

import socket as stdlib

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from emulator.runtime.sockets import pod_network
from emulator.runtime.sockets.pod_socket import PodSocket
from tests.runtime.conftest import Pair, joined_namespaces


async def _shout(stream: trio.SocketStream) -> None:
    async for data in stream:
        await stream.send_all(data.upper())


async def _serve(pair: Pair, port: int, task_status: trio.TaskStatus[list[trio.SocketListener]]) -> None:
    with pod_network.inside(pair.b):
        await trio.serve_tcp(_shout, port, task_status=task_status)


async def test_open_tcp_stream_and_serve_tcp_act_in_the_pod(pair: Pair, autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(_serve, pair, 7)
        assert listener.socket.getsockname() == ("0.0.0.0", 7)
        with pod_network.inside(pair.a):
            async with await trio.open_tcp_stream("10.0.0.2", 7) as stream:
                await stream.send_all(b"hello")
                assert await stream.receive_some() == b"HELLO"
                assert stream.socket.getpeername() == ("10.0.0.2", 7)
                assert stream.socket.getsockname()[0] == "10.0.0.1"
                await stream.send_eof()
                assert await stream.receive_some() == b""
        nursery.cancel_scope.cancel()


async def test_names_are_looked_up_from_the_pod(pair: Pair, autojump_clock: MockClock) -> None:
    with pod_network.inside(pair.a):
        found = await trio.socket.getaddrinfo("me", "http", type=trio.socket.SOCK_STREAM)
        assert found == [(stdlib.AF_INET, stdlib.SOCK_STREAM, stdlib.IPPROTO_TCP, "", ("10.0.0.1", 80))]
        assert await trio.socket.getnameinfo(("10.0.0.1", 80), stdlib.NI_NUMERICSERV) == ("me", "80")
        assert await trio.socket.getnameinfo(("10.0.0.9", 80), stdlib.NI_NUMERICSERV) == ("10.0.0.9", "80")
        with pytest.raises(stdlib.gaierror) as caught:  # port 53 of the name server is closed
            await trio.socket.getaddrinfo("nobody", 80)
        assert caught.value.errno == stdlib.EAI_AGAIN
        for arguments in ({"family": stdlib.AF_INET6}, {"type": stdlib.SOCK_RAW}):
            with pytest.raises(stdlib.gaierror):
                await trio.socket.getaddrinfo("me", 80, **arguments)
        with pytest.raises(stdlib.gaierror, match="Servname"):
            await trio.socket.getaddrinfo("me", "no-such-service")


async def test_outside_of_pods_sockets_stay_real(pair: Pair) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(_serve, pair, 7)
        with trio.socket.socket() as real:
            assert not isinstance(real, PodSocket)
            await real.bind(("127.0.0.1", 0))
            assert real.getsockname()[1] != 0
        assert (await trio.socket.getaddrinfo("localhost", 80, family=stdlib.AF_INET))[0][4] == ("127.0.0.1", 80)
        nursery.cancel_scope.cancel()


async def test_tasks_inherit_the_pod_and_the_rest_does_not(pair: Pair, autojump_clock: MockClock) -> None:
    seen = {}

    async def look(name: str) -> None:
        with trio.socket.socket() as opened:
            seen[name] = isinstance(opened, PodSocket)

    async with trio.open_nursery() as nursery:
        with pod_network.inside(pair.a):
            nursery.start_soon(look, "inside")
        nursery.start_soon(look, "after")
    assert seen == {"inside": True, "after": False}


async def test_what_was_installed_before_stays_for_tasks_outside(pair: Pair, autojump_clock: MockClock) -> None:
    class Factory(trio.abc.SocketFactory):
        def socket(self, *_: object) -> trio.socket.SocketType:
            raise RuntimeError("the user's own")

    trio.socket.set_custom_socket_factory(Factory())
    with pod_network.inside(pair.a):
        assert isinstance(trio.socket.socket(), PodSocket)
    with pytest.raises(RuntimeError, match="the user's own"):
        trio.socket.socket()


async def test_only_ipv4_tcp_and_udp_are_there_and_unix_sockets_are_real(pair: Pair) -> None:
    with pod_network.inside(pair.a):
        for family, kind, protocol in (
            (stdlib.AF_INET6, stdlib.SOCK_STREAM, 0),
            (stdlib.AF_INET, stdlib.SOCK_RAW, stdlib.IPPROTO_ICMP),
            (stdlib.AF_INET, stdlib.SOCK_DGRAM, stdlib.IPPROTO_ICMP),
        ):
            with pytest.raises(OSError, match="not supported"):
                trio.socket.socket(family, kind, protocol)
        with trio.socket.socket(stdlib.AF_UNIX) as local:
            assert not isinstance(local, PodSocket)


async def test_trio_stream_contract_of_socket_streams_in_pods() -> None:
    async with joined_namespaces() as pair:

        async def connected() -> tuple[trio.SocketStream, trio.SocketStream]:
            with pod_network.inside(pair.b):
                (listener,) = await trio.open_tcp_listeners(0)
            port = listener.socket.getsockname()[1]
            with pod_network.inside(pair.a):
                client = await trio.open_tcp_stream("10.0.0.2", port)
            async with listener:
                return client, await listener.accept()

        await trio.testing.check_half_closeable_stream(connected, None)
