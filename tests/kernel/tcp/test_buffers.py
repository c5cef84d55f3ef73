"""Buffers grow with what a connection needs, up to the sysctls, and not beyond what it needs."""

from __future__ import annotations

import pytest

from emulator.kernel.sysctl import SysctlError
from emulator.kernel.tcp.connection import TcpSocket
from tests.kernel.socket_world import SERVER, Unreliable, World

SIZE = 6_000_000


def bulk(wire: Unreliable, size: int = SIZE, *, rate: float = 1e12) -> tuple[TcpSocket, TcpSocket, float]:
    """Send `size` bytes from client to server, which reads at a `rate`: both sockets, and how long it took."""
    listener = wire.server.sockets.listen((SERVER, 80))
    client, server = wire.client.sockets.connect((SERVER, 80)), None
    wire.settle()
    left, got, began = size, 0, wire.now
    while got < size:
        assert wire.step()
        if not client.connecting:
            left -= client.send(bytes(min(left, 100_000)))
        server = server or listener.accept()
        while server is not None and got < rate * wire.now and (data := server.receive(min(100_000, int(rate / 10)))):
            got += len(data)
        wire.settle()
    assert server is not None
    return client, server, wire.now - began


def long_path(**sysctls: str) -> Unreliable:
    wire = Unreliable(1, loss=0.0, duplicate=0.0, jitter=0.0, delay=0.05)
    for netns in (wire.client, wire.server):
        for name, value in sysctls.items():
            netns.sysctl.set(f"net.ipv4.{name}", value)
    return wire


def test_a_long_path_gets_long_windows() -> None:
    client, server, seconds = bulk(long_path())
    assert server.rx.limit > 1_000_000
    assert client.tx.limit > 1_000_000
    assert server.rx.limit <= 6_291_456 // 2
    fixed = long_path(tcp_moderate_rcvbuf="0")
    _, server, slow = bulk(fixed)
    assert server.rx.limit == 65_536
    assert slow > 3 * seconds
    assert slow == pytest.approx(SIZE / 65_536 * 0.1, rel=0.2)  # a window in each round trip


def test_the_sysctls_bound_them() -> None:
    wire = long_path(tcp_rmem="4096 65536 400000", tcp_wmem="4096 65536 300000")
    client, server, _ = bulk(wire, 2_000_000)
    assert server.rx.limit == 200_000
    assert client.tx.limit == 150_000


def test_a_program_that_reads_slowly_gets_no_more() -> None:
    """It holds the peer back itself; a longer queue would not make it faster."""
    client, server, _ = bulk(long_path(), 800_000, rate=20_000)
    assert server.rx.limit == 65_536
    assert client.tx.limit == 524_288


def test_without_window_scaling_there_is_no_more_to_tell() -> None:
    _, server, _ = bulk(long_path(tcp_window_scaling="0"), 1_000_000)
    assert server.rx.limit == 65_535


@pytest.mark.parametrize(
    ("most", "shift"), [(65_536, 2), (212_992, 2), (6_291_456, 7), (33_554_432, 10), (2_000_000_000, 14)]
)
def test_the_window_scale_fits_the_largest_buffer(most: int, shift: int) -> None:
    world = World()
    world.client.sysctl.set("net.ipv4.tcp_rmem", f"4096 65536 {most}")
    socket = world.client.sockets.connect((SERVER, 80))
    assert socket.tcp.buffers.shift == shift


def test_three_numbers_are_wanted() -> None:
    world = World()
    for text in ("4096 65536", "1 2 x", "0 0 0"):
        with pytest.raises(SysctlError):
            world.client.sysctl.set("net.ipv4.tcp_rmem", text)
    assert world.client.sysctl.get("net.ipv4.tcp_rmem") == "4096\t131072\t6291456"
