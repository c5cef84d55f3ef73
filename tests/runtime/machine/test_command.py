"""Commands of exec on a node: Ctrl-C, bytes that are no text, output that nobody reads."""

from random import Random

import trio
import trio.testing
from trio.testing import MockClock

from emulator.api import messages
from emulator.api.messages import ExecOutput, ExecParams, Interrupt, OutputStream
from emulator.runtime.cluster.cluster import Cluster
from emulator.runtime.machine.command import BEHIND, CHUNK, _Output


async def interrupted(cluster: Cluster, *command: str) -> tuple[str, int]:
    """Run a command on a node, press Ctrl-C after 2.5 s; return what it printed and its exit status."""
    printed = b""
    async with (
        cluster.connect_node("node-a") as client,
        client.stream(messages.EXEC, ExecParams(command=command)) as exchange,
        trio.open_nursery() as nursery,
    ):

        async def press() -> None:
            await trio.sleep(2.5)
            await client.send(Interrupt(id=exchange.identity, interrupt=True))

        nursery.start_soon(press)
        async for output in exchange:
            printed += output.data
        result = await exchange.result()
    return printed.decode(), result.exit_status


async def test_interrupted_ping_prints_its_statistics(cluster: Cluster, autojump_clock: MockClock) -> None:
    printed, status = await interrupted(cluster, "ping", "127.0.0.1")
    assert "3 packets transmitted, 3 received, 0% packet loss, time 2000ms\nrtt min/avg/max/mdev" in printed
    assert status == 0
    printed, status = await interrupted(cluster, "ping", "127.0.0.1", "-c", "1", "-i", "100")
    assert (printed.count("statistics"), status) == (1, 0)


async def test_interrupt_ends_what_does_not_heed_it(cluster: Cluster, autojump_clock: MockClock) -> None:
    assert await interrupted(cluster, "sleep", "1000") == ("", 130)


async def test_input_comes_back_byte_by_byte(cluster: Cluster, autojump_clock: MockClock) -> None:
    data = Random(1).randbytes(200_000) + "ünï".encode()
    received = b""
    async with (
        cluster.connect_node("node-a") as client,
        client.stream(messages.EXEC, ExecParams(command=("cat",), stdin=True)) as exchange,
    ):
        for start in range(0, len(data), 1_001):  # cuts through characters
            await exchange.send_input(data[start : start + 1_001])
        await exchange.end_input()
        received = b"".join([output.data async for output in exchange])
    assert received == data


class SlowReader:
    """Takes one event at a time, when told to."""

    def __init__(self) -> None:
        self.taken: list[ExecOutput] = []
        self._room = trio.Semaphore(0)

    async def send(self, event: ExecOutput) -> None:
        await self._room.acquire()
        self.taken.append(event)

    def take(self, count: int) -> None:
        for _ in range(count):
            self._room.release()


async def test_command_waits_for_a_reader_that_is_behind(nursery: trio.Nursery) -> None:
    output, reader = _Output(), SlowReader()
    nursery.start_soon(output.send, reader)
    written = 0

    async def print_without_end() -> None:
        nonlocal written
        while True:
            output.write(OutputStream.STDOUT, "x" * 1_000)
            written += 1_000
            await output.drain()

    nursery.start_soon(print_without_end)
    await trio.testing.wait_all_tasks_blocked()
    assert BEHIND < written < BEHIND + 3 * CHUNK
    before = written
    reader.take(10)
    await trio.testing.wait_all_tasks_blocked()
    assert written > before
    nursery.cancel_scope.cancel()


async def test_one_long_write_goes_in_several_events(nursery: trio.Nursery) -> None:
    output, reader = _Output(), SlowReader()
    output.write(OutputStream.STDOUT, "y" * (3 * CHUNK + 1))
    output.write(OutputStream.STDERR, "z")
    output.end()
    reader.take(10)
    await output.send(reader)
    assert [(event.stream, len(event.data)) for event in reader.taken] == [
        (OutputStream.STDOUT, CHUNK),
        (OutputStream.STDOUT, CHUNK),
        (OutputStream.STDOUT, CHUNK),
        (OutputStream.STDOUT, 1),
        (OutputStream.STDERR, 1),
    ]
