"""Binding, ports and the listing: what UDP and TCP share."""

from __future__ import annotations

import errno

import pytest

from emulator.kernel.socket.base import SocketInfo

from .socket_world import CLIENT, SERVER, World


def errno_of(caught: pytest.ExceptionInfo[OSError]) -> int | None:
    return caught.value.errno


@pytest.mark.parametrize(
    ("first", "second", "free"),
    [
        ("0.0.0.0", "0.0.0.0", False),
        ("0.0.0.0", SERVER, False),
        (SERVER, "0.0.0.0", False),
        (SERVER, SERVER, False),
        (SERVER, "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", True),
    ],
)
@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_one_port_on_overlapping_addresses(protocol: str, first: str, second: str, free: bool) -> None:
    sockets = World().server.sockets

    def bind(host: str) -> None:
        if protocol == "udp":
            sockets.udp().bind((host, 80))
        else:
            sockets.listen((host, 80))

    bind(first)
    if free:
        bind(second)
        return
    with pytest.raises(OSError, match="Address already in use") as caught:
        bind(second)
    assert errno_of(caught) == errno.EADDRINUSE


def test_udp_and_tcp_have_ports_of_their_own() -> None:
    sockets = World().server.sockets
    sockets.udp().bind(("0.0.0.0", 53))
    sockets.listen(("0.0.0.0", 53))
    assert len(list(sockets.listing())) == 2


def test_an_address_of_another_machine_cannot_be_bound() -> None:
    sockets = World().server.sockets
    for bind in (lambda: sockets.udp().bind((CLIENT, 80)), lambda: sockets.listen((CLIENT, 80))):
        with pytest.raises(OSError, match="Cannot assign requested address") as caught:
            bind()
        assert errno_of(caught) == errno.EADDRNOTAVAIL


def test_words_that_are_no_address_are_refused() -> None:
    sockets = World().server.sockets
    for address in (("localhost", 80), ("10.0.0.2", 65_536), ("10.0.0.2", -1)):
        with pytest.raises(OSError, match="not a") as caught:
            sockets.listen(address)
        assert errno_of(caught) == errno.EINVAL


def test_drawn_ports_come_from_the_sysctl_and_run_out() -> None:
    world = World()
    world.server.sysctl.set("net.ipv4.ip_local_port_range", "40000 40003")
    sockets = [world.server.sockets.udp() for _ in range(4)]
    for socket in sockets:
        socket.bind(("0.0.0.0", 0))
    assert sorted(socket.local_address[1] for socket in sockets) == [40000, 40001, 40002, 40003]
    with pytest.raises(OSError, match="Address already in use"):
        world.server.sockets.udp().bind(("0.0.0.0", 0))


def test_connects_share_a_port_towards_different_peers_only() -> None:
    world = World()
    world.client.sysctl.set("net.ipv4.ip_local_port_range", "40000 40000")
    world.client.sockets.connect((SERVER, 80))
    world.client.sockets.connect((SERVER, 81))
    with pytest.raises(OSError, match="Cannot assign requested address"):
        world.client.sockets.connect((SERVER, 80))


def test_a_bad_port_range_is_refused() -> None:
    from emulator.kernel.sysctl import SysctlError

    sysctl = World().server.sysctl
    for text in ("5", "9 5", "0 5", "1 65536", "a b"):
        with pytest.raises(SysctlError):
            sysctl.set("net.ipv4.ip_local_port_range", text)


def test_the_listing_shows_every_socket() -> None:
    world = World()
    listener = world.server.sockets.listen(("0.0.0.0", 80), 5)
    world.server.sockets.udp().bind((SERVER, 53))
    client = world.client.sockets.connect((SERVER, 80), source=(CLIENT, 5555))
    world.run()
    client.send(b"hello")
    world.run()
    assert listener.readable
    rows = set(world.server.sockets.listing())
    assert rows == {
        SocketInfo("udp", "UNCONN", 0, 0, (SERVER, 53), ("0.0.0.0", 0)),
        SocketInfo("tcp", "LISTEN", 1, 5, ("0.0.0.0", 80), ("0.0.0.0", 0)),
        SocketInfo("tcp", "ESTAB", 5, 0, (SERVER, 80), (CLIENT, 5555)),
    }


def test_closing_the_namespace_ends_its_sockets_silently() -> None:
    world = World()
    world.server.sockets.listen(("0.0.0.0", 80))
    client = world.client.sockets.connect((SERVER, 80))
    world.run()
    frames = world.far.counters.tx_packets
    world.server.sockets.close()
    assert world.server.sockets.listing() == []
    assert world.far.counters.tx_packets == frames
    assert client.state.value == "ESTAB"


def test_loopback_reaches_a_wildcard_listener() -> None:
    world = World()
    listener = world.server.sockets.listen(("0.0.0.0", 80))
    socket = world.server.sockets.connect(("127.0.0.1", 80))
    world.run()
    accepted = listener.accept()
    assert accepted is not None
    assert accepted.local_address == ("127.0.0.1", 80)
    assert accepted.remote_address == socket.local_address
