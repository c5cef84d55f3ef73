"""Runs a cluster's supervisor as a process of its own, for programs in which trio runs already: the Python API.

The two are tied by a pipe: when the program goes, however it goes, the supervisor ends the cluster.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import trio
from msgspec import Struct

from emulator.api.cluster_file import ClusterConfig
from emulator.api.codec import FrameReader, encode_frame
from emulator.api.messages import Object
from emulator.errors import PodwireError
from emulator.runtime import state_directory
from emulator.runtime.state_directory import StateDirectory
from emulator.runtime.supervisor import arguments
from emulator.runtime.supervisor.interruptions import Interruptions
from emulator.runtime.supervisor.readiness import Progress
from emulator.runtime.supervisor.supervisor import Restarted, StartError, run_supervisor

_LONGEST_END = 10.0


class SupervisorArguments(Struct, frozen=True, kw_only=True):
    """What the supervisor's process is told, on its standard input."""

    config: ClusterConfig
    objects: list[Object]
    path: str


class SupervisorWord(Struct, frozen=True, kw_only=True):
    """What it says, on its standard output: that it began, that all is ready, or why it failed."""

    ready: bool = False
    error: str = ""


@asynccontextmanager
async def supervised(
    config: ClusterConfig, objects: Sequence[Object], directory: StateDirectory, *, wait: bool
) -> AsyncIterator[None]:
    """Run a cluster of real processes as long as the block lasts; with `wait` it begins when all is ready.

    Raises StartError if the cluster does not come up.
    """
    command = [sys.executable, "-m", "emulator.runtime.supervisor.supervised"]
    process = await trio.lowlevel.open_process(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        given = SupervisorArguments(config=config, objects=list(objects), path=str(directory.path))
        encoded = arguments.encode(given)
        await process.stdin.send_all(len(encoded).to_bytes(4, "big") + encoded)
        await _wait_for_word(process.stdout, ready=wait)
        yield
    finally:
        with trio.CancelScope(shield=True):
            await process.stdin.aclose()
            with trio.move_on_after(_LONGEST_END):
                await process.wait()
            if process.returncode is None:
                process.kill()
                await process.wait()
            await process.stdout.aclose()


async def _wait_for_word(output: trio.abc.ReceiveStream, *, ready: bool) -> None:
    reader = FrameReader()
    while data := await output.receive_some():
        for message in reader.feed(data):
            word = msgspec.convert(message, SupervisorWord)
            if word.error:
                raise StartError(word.error)
            if word.ready or not ready:
                return
    raise StartError("the cluster's supervisor ended without a word")


def main() -> int:
    """Be the supervisor's process: arguments in on standard input, which is then the lifeline; words out."""
    gc.disable()  # until all is imported
    output = os.dup(1)
    os.dup2(2, 1)  # nothing that prints may get between the words
    length = int.from_bytes(_read(4), "big")
    given = arguments.decode(_read(length), SupervisorArguments)
    config = given.config

    def say(word: SupervisorWord) -> None:
        try:
            os.write(output, encode_frame(msgspec.to_builtins(word)))
        except BrokenPipeError:
            return  # nobody listens any more; the lifeline tells the rest

    def report(event: Progress | Restarted) -> None:
        if isinstance(event, Progress):
            say(SupervisorWord(ready=event.ready))

    try:
        directory = StateDirectory(Path(given.path), config.name)
        with Interruptions() as interruptions:
            lock = state_directory.create(directory, [node.name for node in config.nodes])
            run_supervisor(config, given.objects, lock, report, interruptions, lifeline=0)
    except PodwireError as error:
        say(SupervisorWord(error=str(error)))
        return 1
    return 0


def _read(count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = os.read(0, count - len(data))
        if not more:
            raise SystemExit("this process is started by emulator.Cluster, which tells it what to run")
        data += more
    return data


if __name__ == "__main__":
    sys.exit(main())
