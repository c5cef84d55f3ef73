"""The controller as a process of its own: what it acknowledged survives every end."""

import contextlib
import random
import signal
import socket
import sys

import pytest
import trio

from emulator.api import messages
from emulator.api.cluster_file import ClusterConfig
from emulator.api.messages import ControlError, Empty, ErrorCode
from emulator.runtime.control.client import ConnectionLostError, open_client
from emulator.runtime.supervisor import arguments
from emulator.runtime.supervisor.arguments import ControllerArguments
from tests.runtime.lab import config_map

PROGRAM = """
import socket, sys
from emulator.runtime.controller.controller import main
from emulator.runtime.supervisor.processes import Inherited

listener = socket.socket(fileno=int(sys.argv[1]))
main(Inherited("controller", bytes.fromhex(sys.argv[2]), listener, None))
"""


class Process:
    """Controllers one after the other on one listening socket, as the launcher has them."""

    def __init__(self, path, nursery):
        self.path = path
        self.nursery = nursery
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path / "controller.sock"))
        self.listener.listen()
        given = ControllerArguments(config=ClusterConfig(name="lab"), database=str(path / "store.sqlite"))
        self.arguments = arguments.encode(given).hex()

    async def start(self):
        number = self.listener.fileno()
        command = [sys.executable, "-c", PROGRAM, str(number), self.arguments]

        async def run(*, task_status):
            await trio.run_process(
                command, pass_fds=[number], check=False, capture_stderr=True, task_status=task_status
            )

        return await self.nursery.start(run)

    async def connect(self):
        return await trio.open_unix_socket(str(self.path / "controller.sock"))


@pytest.fixture
async def process(tmp_path, nursery):
    process = Process(tmp_path, nursery)
    with process.listener:
        yield process


async def test_what_was_acknowledged_survives_kills_at_any_moment(process):
    choose = random.Random(1)
    acknowledged = set()
    number = 0

    async def write(client):
        nonlocal number
        with contextlib.suppress(ConnectionLostError):
            while True:
                number += 1
                name = f"a{number}"
                await client.call(messages.CREATE, messages.CreateParams(object=config_map(name)))
                acknowledged.add(name)

    for epoch in range(1, 4):
        running = await process.start()
        async with open_client(await process.connect()) as client:
            assert (await client.call(messages.VERSION, Empty())).epoch == epoch
            found = await client.call(messages.LIST, messages.ListParams(kind="ConfigMap"))
            assert acknowledged <= {obj["metadata"]["name"] for obj in found.items}
            async with trio.open_nursery() as writers:
                for _ in range(3):
                    writers.start_soon(write, client)
                await trio.sleep(choose.random() / 10)
                running.send_signal(signal.SIGKILL)
        await running.wait()
    assert len(acknowledged) > 10


async def test_sigterm_ends_it_cleanly(process):
    running = await process.start()
    async with open_client(await process.connect()) as client:
        await client.call(messages.CREATE, messages.CreateParams(object=config_map("a")))
        running.send_signal(signal.SIGTERM)
        with trio.fail_after(10):
            assert await running.wait() == 0
    running = await process.start()
    async with open_client(await process.connect()) as client:
        with pytest.raises(ControlError, check=lambda error: error.code is ErrorCode.ALREADY_EXISTS):
            await client.call(messages.CREATE, messages.CreateParams(object=config_map("a")))
    running.terminate()


async def test_a_store_that_cannot_be_used_is_one_line_in_the_log(process):
    (process.path / "store.sqlite").write_bytes(b"no database" * 1_000)
    number = process.listener.fileno()
    result = await trio.run_process(
        [sys.executable, "-c", PROGRAM, str(number), process.arguments],
        pass_fds=[number],
        check=False,
        capture_stderr=True,
    )
    assert result.returncode == 1
    (line,) = result.stderr.decode().splitlines()
    assert "store.sqlite: the store cannot be opened" in line
