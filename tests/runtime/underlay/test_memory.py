"""The simulated wire: the same seed does the same, and time is the mock clock's."""

from random import Random

import pytest
import trio
import trio.testing

from emulator.runtime.underlay.memory import Conditions, MemoryNetwork
from emulator.runtime.underlay.underlay import Peer

A, B = ("127.0.0.1", 1), ("127.0.0.1", 2)
PEERS = [Peer("a", A, 0x02000000000A), Peer("b", B, 0x02000000000B)]


async def exchange(seed: int, conditions: Conditions, count: int = 200) -> tuple[list[tuple[float, int]], int]:
    """Send numbered frames 1 ms apart; return when each arrived, and how many count as lost."""
    network = MemoryNetwork(Random(seed), conditions)
    a, b = network.attach("a", 1, A), network.attach("b", 1, B)
    a.set_peers(PEERS)
    b.set_peers(PEERS)
    arrived: list[tuple[float, int]] = []
    start = trio.current_time()

    def deliver(_sender: str, frames: object, _marks: object, _sizes: object) -> None:
        assert isinstance(frames, list)
        arrived.extend((round(trio.current_time() - start, 6), int.from_bytes(each[14:16], "big")) for each in frames)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(b.run, deliver)
        for index in range(count):
            a.send(PEERS[1].mac.to_bytes(6, "big") + bytes(8) + index.to_bytes(2, "big"))
            a.flush()
            await trio.sleep(0.001)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    return arrived, b.lost


async def test_a_good_wire_delivers_all_in_order(autojump_clock: trio.testing.MockClock) -> None:
    arrived, lost = await exchange(1, Conditions(delay=0.005))
    assert [number for _, number in arrived] == list(range(200))
    assert arrived[0][0] == pytest.approx(0.005)
    assert lost == 0


async def test_a_seed_replays_exactly(autojump_clock: trio.testing.MockClock) -> None:
    bad = Conditions(loss=0.1, duplication=0.1, reorder=0.1, delay=0.001, jitter=0.002)
    assert await exchange(7, bad) == await exchange(7, bad)
    assert await exchange(7, bad) != await exchange(8, bad)


async def test_loss_is_counted_by_the_receiver(autojump_clock: trio.testing.MockClock) -> None:
    arrived, lost = await exchange(3, Conditions(loss=0.2))
    assert len(arrived) + lost == pytest.approx(200, abs=2)  # what is lost at the very end leaves no gap
    assert 20 < lost < 60


async def test_a_cut_wire_carries_nothing(autojump_clock: trio.testing.MockClock) -> None:
    network = MemoryNetwork(Random(1))
    a, b = network.attach("a", 1, A), network.attach("b", 1, B)
    a.set_peers(PEERS)
    b.set_peers(PEERS)
    network.cut.add(frozenset((A, B)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(b.run, lambda *_: None)
        a.send(PEERS[1].mac.to_bytes(6, "big") + bytes(54))
        a.flush()
        await trio.sleep(1)
        assert b.received_datagrams == 0
        network.cut.clear()
        a.send(PEERS[1].mac.to_bytes(6, "big") + bytes(54))
        a.flush()
        await trio.sleep(1)
        assert b.received_datagrams == 1
        nursery.cancel_scope.cancel()
