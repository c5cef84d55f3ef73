import socket
from collections.abc import Iterator

import pytest
import trio
import trio.testing

from emulator.runtime.underlay.udp import UdpUnderlay
from emulator.runtime.underlay.underlay import Peer

MAC = 0x02000000000B


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    made = []
    for _ in range(2):
        each = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        each.bind(("127.0.0.1", 0))
        each.setblocking(False)
        made.append(each)
    yield made
    for each in made:
        each.close()


async def test_frames_cross_in_order(sockets: list[socket.socket]) -> None:
    a, b = (UdpUnderlay(name, 1, each) for name, each in zip("ab", sockets, strict=True))
    peers = [Peer("a", a.address, 0x02000000000A), Peer("b", b.address, MAC)]
    a.set_peers(peers)
    b.set_peers(peers)
    sender, receiver = trio.open_memory_channel[bytes](1000)
    frames = [MAC.to_bytes(6, "big") + bytes(8) + index.to_bytes(2, "big") + bytes(1000) for index in range(200)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(b.run, lambda _sender, received, *_: [sender.send_nowait(each) for each in received])
        await trio.testing.wait_all_tasks_blocked()
        for start in range(0, 200, 20):
            for each in frames[start : start + 20]:
                a.send(each)
            a.flush()
        with trio.fail_after(5):
            assert [await receiver.receive() for _ in frames] == frames
        nursery.cancel_scope.cancel()
    assert (b.lost, a.sent_datagrams) == (0, 10)


async def test_peer_without_process_ends_nothing(sockets: list[socket.socket]) -> None:
    a = UdpUnderlay("a", 1, sockets[0])
    gone = UdpUnderlay("b", 1, sockets[1]).address
    sockets[1].close()
    a.set_peers([Peer("b", gone, MAC)])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(a.run, lambda *_: None)
        for _ in range(3):
            a.send(MAC.to_bytes(6, "big") + bytes(54))
            a.flush()
            await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert a.sent_datagrams == 3


async def test_what_came_before_the_start_is_not_heard(sockets: list[socket.socket]) -> None:
    b = UdpUnderlay("b", 1, sockets[1])
    sockets[0].sendto(b"old", b.address)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(b.run, lambda *_: None)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert b.refused.total() == 0


async def test_garbage_is_counted(sockets: list[socket.socket]) -> None:
    b = UdpUnderlay("b", 1, sockets[1])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(b.run, lambda *_: None)
        await trio.testing.wait_all_tasks_blocked()
        for data in (b"", b"\xc1", b"\x96" * 50, bytes(65_000)):
            sockets[0].sendto(data, b.address)
        with trio.fail_after(5):
            while b.refused.total() < 4:
                await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert b.received_datagrams == 0
