"""The socket interface of pods beside the machine's own: each case runs on both, and both say the same."""

import errno
import socket as stdlib
import struct
from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from emulator.runtime.sockets import pod_network
from tests.runtime.conftest import Pair

Open = Callable[[int], trio.socket.SocketType]
TCP, UDP = stdlib.SOCK_STREAM, stdlib.SOCK_DGRAM
LOOPBACK = "127.0.0.1"


def name(error: BaseException) -> str:
    """The errno's name, or the type of an error without one."""
    number = error.errno if isinstance(error, OSError) else None
    return errno.errorcode[number] if number else type(error).__name__


async def attempt(action: Callable[[], object]) -> str:
    """What an action, which may be async, fails with; "" if it does not."""
    try:
        outcome = action()
        if isinstance(outcome, Awaitable):
            await outcome
    except (OSError, ValueError, TypeError, OverflowError, trio.ClosedResourceError) as error:
        return name(error)
    return ""


async def options(open_socket: Open) -> object:
    said = []
    for kind in (TCP, UDP):
        with open_socket(kind) as sock:
            for level, option in (
                (stdlib.SOL_SOCKET, stdlib.SO_TYPE),
                (stdlib.SOL_SOCKET, stdlib.SO_DOMAIN),
                (stdlib.SOL_SOCKET, stdlib.SO_PROTOCOL),
                (stdlib.SOL_SOCKET, stdlib.SO_ERROR),
                (stdlib.SOL_SOCKET, stdlib.SO_ACCEPTCONN),
                (stdlib.SOL_SOCKET, stdlib.SO_REUSEADDR),
            ):
                said.append(sock.getsockopt(level, option))
            sock.setsockopt(stdlib.SOL_SOCKET, stdlib.SO_REUSEADDR, 5)
            said.append(sock.getsockopt(stdlib.SOL_SOCKET, stdlib.SO_REUSEADDR))
            said.append(sock.getsockopt(stdlib.SOL_SOCKET, stdlib.SO_REUSEADDR, 4))
            said.append(await attempt(lambda: sock.setsockopt(stdlib.SOL_SOCKET, stdlib.SO_REUSEADDR, b"\1")))
            said.append(await attempt(lambda: sock.setsockopt(stdlib.SOL_SOCKET, stdlib.SO_TYPE, 1)))
            said.append(await attempt(lambda: sock.getsockopt(stdlib.IPPROTO_TCP, 999)))
    with open_socket(TCP) as sock:
        for option in (stdlib.TCP_NODELAY,):
            sock.setsockopt(stdlib.IPPROTO_TCP, option, 1)
            said.append(sock.getsockopt(stdlib.IPPROTO_TCP, option))
        sock.setsockopt(stdlib.SOL_SOCKET, stdlib.SO_KEEPALIVE, struct.pack("i", 1))
        said.append(sock.getsockopt(stdlib.SOL_SOCKET, stdlib.SO_KEEPALIVE))
        sock.setsockopt(stdlib.SOL_SOCKET, stdlib.SO_LINGER, struct.pack("ii", 1, 3))
        said.append(sock.getsockopt(stdlib.SOL_SOCKET, stdlib.SO_LINGER, 8))
    with open_socket(UDP) as sock:
        sock.setsockopt(stdlib.SOL_SOCKET, stdlib.SO_BROADCAST, 1)
        said.append(sock.getsockopt(stdlib.SOL_SOCKET, stdlib.SO_BROADCAST))
        said.append(sock.getsockopt(stdlib.SOL_SOCKET, stdlib.SO_RCVBUF))
        sock.setsockopt(stdlib.SOL_SOCKET, stdlib.SO_RCVBUF, 10_000)
        said.append(sock.getsockopt(stdlib.SOL_SOCKET, stdlib.SO_RCVBUF))
        sock.setsockopt(stdlib.SOL_SOCKET, stdlib.SO_RCVBUF, 1)
        said.append(sock.getsockopt(stdlib.SOL_SOCKET, stdlib.SO_RCVBUF))
        said.append(sock.getsockopt(stdlib.IPPROTO_IP, stdlib.IP_TTL))
        said.append(await attempt(lambda: sock.setsockopt(stdlib.IPPROTO_IP, stdlib.IP_TTL, 256)))
        sock.setsockopt(stdlib.IPPROTO_IP, stdlib.IP_TTL, 9)
        said.append(sock.getsockopt(stdlib.IPPROTO_IP, stdlib.IP_TTL))
    return said


async def unconnected(open_socket: Open) -> object:
    said: list[object] = []
    for kind in (TCP, UDP):
        with open_socket(kind) as sock:
            said += [
                sock.getsockname(),
                sock.fileno() >= 0,
                sock.did_shutdown_SHUT_WR,
                await attempt(sock.getpeername),
                await attempt(lambda: sock.shutdown(stdlib.SHUT_WR)),
                await attempt(lambda: sock.shutdown(7)),
                await attempt(lambda: sock.bind(("192.0.2.7", 0))),
                await attempt(lambda: sock.bind("nonsense")),
                await attempt(lambda: sock.bind((LOOPBACK, 70_000))),
            ]
            await sock.bind(("", 0))
            said += [sock.getsockname()[0], sock.getsockname()[1] > 0]
            said += [await attempt(lambda: sock.bind((LOOPBACK, 0))), await attempt(lambda: sock.send(b"x"))]
        said += [sock.fileno(), await attempt(sock.getsockname), await attempt(lambda: sock.send(b"x"))]
    with open_socket(TCP) as sock:
        said += [await attempt(lambda: sock.recv(1)), await attempt(sock.accept)]
    with open_socket(UDP) as sock:
        said += [await attempt(lambda: sock.recv(-1)), await attempt(sock.listen), await attempt(sock.accept)]
    return said


async def listening(open_socket: Open) -> object:
    said: list[object] = []
    with open_socket(TCP) as first, open_socket(TCP) as second, open_socket(TCP) as third:
        await first.bind((LOOPBACK, 0))
        address = first.getsockname()
        said.append(await attempt(lambda: second.bind(address)))  # neither has SO_REUSEADDR
        for sock in (first, third):
            sock.setsockopt(stdlib.SOL_SOCKET, stdlib.SO_REUSEADDR, 1)
        said.append(await attempt(lambda: third.bind(address)))
        first.listen(1)
        said.append(await attempt(third.listen))
        said.append(first.getsockopt(stdlib.SOL_SOCKET, stdlib.SO_ACCEPTCONN))
        said.append(await attempt(lambda: first.connect(address)))
        with open_socket(TCP) as client:
            await client.connect(address)
            said.append(first.is_readable())
            accepted, peer = await first.accept()
            said += [first.is_readable(), peer == client.getsockname(), accepted.getpeername() == peer]
            said += [await attempt(lambda: client.connect(address)), await attempt(client.listen)]
            said.append(await attempt(lambda: client.connect(address)))
            said.append(await attempt(lambda: accepted.connect(address)))
            accepted.close()
            said += [await client.recv(5), await client.recv(5)]
    with open_socket(TCP) as client:
        said += [await attempt(lambda: client.connect(address)) for _ in range(4)]
    with open_socket(TCP) as implicit:
        implicit.listen()
        said.append(implicit.getsockname()[0])
    return said


async def conversation(open_socket: Open) -> object:
    said: list[object] = []
    with open_socket(TCP) as listener, open_socket(TCP) as client:
        await listener.bind((LOOPBACK, 0))
        listener.listen()
        await client.connect(listener.getsockname())
        server, _ = await listener.accept()
        await client.wait_writable()
        said.append(await client.send(b"hello"))
        buffer = bytearray(3)
        said += [await server.recv_into(buffer), bytes(buffer), await server.recv(0), await server.recv(10)]
        said.append(await server.sendmsg([b"ab", b"cd", b"ef"]))
        parts = [bytearray(2), bytearray(3)]
        said += [
            (await client.recvmsg_into(parts))[0],
            parts,
            await client.recvmsg(9),
            await client.sendto(b"g", client.getpeername()),
        ]
        said += [await server.recvfrom(9), server.is_readable()]
        client.shutdown(stdlib.SHUT_WR)
        said += [client.did_shutdown_SHUT_WR, await server.recv(1), await attempt(lambda: client.send(b"x"))]
        server.setsockopt(stdlib.SOL_SOCKET, stdlib.SO_LINGER, struct.pack("ii", 1, 0))
        server.close()  # a reset
        said += [await attempt(lambda: client.recv(1)), await client.recv(1)]
    return said


async def datagrams(open_socket: Open) -> object:
    said: list[object] = []
    with open_socket(UDP) as one, open_socket(UDP) as other, open_socket(UDP) as closed:
        for sock in (one, other, closed):
            await sock.bind((LOOPBACK, 0))
        address = other.getsockname()
        said.append(await one.sendto(b"hello", address))
        data, source = await other.recvfrom(3)  # the rest is lost
        said += [data, source == one.getsockname(), other.is_readable()]
        await one.connect(address)
        said += [
            one.getpeername() == address,
            await one.send(b""),
            await other.recv(9),
            await one.sendmsg([b"a", b"b"]),
        ]
        said.append((await other.recvmsg(9))[0])
        said.append(await attempt(lambda: one.sendto(bytes(65_508), address)))
        said.append(await attempt(lambda: one.sendto(b"x", (LOOPBACK, 0))))
        said.append(await attempt(lambda: other.sendto(b"x", ("255.255.255.255", 9))))
        nobody = closed.getsockname()
        closed.close()
        await one.connect(nobody)
        await one.send(b"x")
        said.append(await attempt(lambda: one.recv(1)))  # the ICMP error
        one.shutdown(stdlib.SHUT_WR)
        said.append(await attempt(lambda: one.send(b"x")))
    return said


CASES = [options, unconnected, listening, conversation, datagrams]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_pod_and_machine_say_the_same(pair: Pair, case: Callable[[Open], Awaitable[object]]) -> None:
    def real(kind: int) -> trio.socket.SocketType:
        return trio.socket.from_stdlib_socket(stdlib.socket(stdlib.AF_INET, kind))

    with pod_network.inside(pair.a):
        in_pod = await case(lambda kind: trio.socket.socket(stdlib.AF_INET, kind))
    assert in_pod == await case(real)


async def test_waiting_tasks_hear_of_close_and_of_each_other(pair: Pair, autojump_clock: MockClock) -> None:
    with pod_network.inside(pair.a), trio.socket.socket(type=UDP) as sock:
        await sock.bind(("", 5))
        async with trio.open_nursery() as nursery:

            async def receive() -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await sock.recv(1)

            nursery.start_soon(receive)
            await trio.sleep(1)
            with pytest.raises(trio.BusyResourceError):
                await sock.recv(1)
            sock.close()


async def test_cancelled_connect_closes_and_cancelled_receive_loses_nothing(
    pair: Pair, autojump_clock: MockClock
) -> None:
    with pod_network.inside(pair.a), trio.socket.socket() as sock:
        with trio.move_on_after(0.5) as scope:
            await sock.connect(("10.0.0.99", 80))
        assert scope.cancelled_caught
        assert sock.fileno() == -1
        assert pair.a.netns.sockets.listing() == []
        with trio.socket.socket(type=UDP) as receiver:
            await receiver.bind(("", 5))
            with trio.move_on_after(1):
                await receiver.recv(9)
            await receiver.sendto(b"kept", ("10.0.0.1", 5))
            await trio.sleep(1)
            with trio.CancelScope() as cancelled:
                cancelled.cancel()
                await receiver.recv(9)
            assert await receiver.recv(9) == b"kept"


async def test_a_pod_that_goes_away_takes_its_sockets_along(pair: Pair, autojump_clock: MockClock) -> None:
    with pod_network.inside(pair.a):
        udp, listener = trio.socket.socket(type=UDP), trio.socket.socket()
        await udp.bind(("", 5))
        await listener.bind(("", 80))
        listener.listen()
        pair.a.netns.close()
        assert await attempt(lambda: udp.recv(1)) == "ENETDOWN"
        assert await attempt(listener.accept) == "EINVAL"
        udp.close()
        listener.close()


async def test_a_bound_port_is_held_and_no_row_of_ss(pair: Pair, autojump_clock: MockClock) -> None:
    with pod_network.inside(pair.a), trio.socket.socket() as sock:
        await sock.bind(("10.0.0.1", 4000))
        assert pair.a.netns.sockets.listing() == []
        with pytest.raises(OSError, match="Address already in use"):
            await pair.a.open_tcp_listener(4000)
        async with await pair.b.open_tcp_listener(80) as listener:
            await sock.connect(("10.0.0.2", 80))
            accepted = await listener.accept()
            assert accepted.remote_address == ("10.0.0.1", 4000)
            await accepted.aclose()
