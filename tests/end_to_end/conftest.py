"""A cluster as a user has it: `emulator start` in a process of its own, commands in others."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio

from emulator.api import messages
from emulator.api.messages import Empty, ExecParams, SupervisorStatusResult
from emulator.runtime.control.client import open_client

CONFIG = Path(__file__).parents[2] / "configs" / "3node.toml"
PATIENCE = 30.0


def wait_until(condition: Callable[[], bool], within: float = PATIENCE) -> None:
    """Look again and again until something that other processes do has happened."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def state(pid: int) -> str:
    """The state of a process as ps(1) prints it ("T": stopped, "Z": zombie); empty if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    return state(pid) not in ("", "Z")


def pause(pid: int) -> None:
    """Stop a process, as if it hung."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: state(pid) == "T")


class Running:
    """One `emulator start` in the foreground."""

    def __init__(self, directory: Path, config: Path = CONFIG) -> None:
        self.directory = directory
        self.output = directory.with_name("output")
        command = [sys.executable, "-m", "emulator", "--state-dir", str(directory), "start", str(config)]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)

    def text(self) -> str:
        """What it has printed so far."""
        return self.output.read_text()

    def wait_ready(self) -> None:
        """Wait until it says so."""
        wait_until(lambda: "ready after" in self.text() or self.process.poll() is not None)
        assert self.process.poll() is None, self.text()

    def run(self, *arguments: str, within: float = PATIENCE) -> "subprocess.CompletedProcess[str]":
        """Run another `emulator` command against it."""
        command = [sys.executable, "-m", "emulator", "--state-dir", str(self.directory), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=within, check=False)

    def ask(self, url: str = "http://web/", pod: str = "client") -> str:
        """Return the name of the pod that answers, or what went wrong."""
        outcome = self.run("exec", pod, "--", "curl", "-sS", "--max-time", "5", url)
        return (
            outcome.stdout.partition("\n")[0].removeprefix("Hostname: ") if not outcome.returncode else outcome.stderr
        )

    def pods(self, selector: str = "app=web") -> set[str]:
        """The names of the pods that a selector selects."""
        return set(self.run("get", "pods", "-l", selector, "-o", "name").stdout.replace("pod/", "").split())

    def status(self) -> SupervisorStatusResult:
        """What the supervisor says of its processes."""

        async def ask() -> SupervisorStatusResult:
            stream = await trio.open_unix_socket(str(self.directory / "supervisor.sock"))
            async with open_client(stream) as client:
                return await client.call(messages.SUPERVISOR_STATUS, Empty())

        return trio.run(ask)

    def node_of(self, pod: str) -> str:
        """The node that a pod is on."""
        return str(json.loads(self.run("get", "pod", pod, "-o", "json").stdout)["spec"]["nodeName"])

    def address_of(self, pod: str) -> str:
        """A pod's address."""
        return str(json.loads(self.run("get", "pod", pod, "-o", "json").stdout)["status"]["podIP"])

    def exec_at(self, node: str, pod: str, *command: str) -> str:
        """Run a command by asking its node alone; return what it printed."""

        async def run() -> bytes:
            stream = await trio.open_unix_socket(str(self.directory / f"{node}.sock"))
            params = ExecParams(command=command, pod=pod)
            async with open_client(stream) as client, client.stream(messages.EXEC, params) as exchange:
                return b"".join([output.data async for output in exchange])

        return trio.run(run).decode()

    def pids(self) -> dict[str, int]:
        """The processes by name."""
        return {process.name: process.pid for process in self.status().processes}

    def launcher(self) -> int:
        """The process that started the others."""
        return int(Path(f"/proc/{self.pids()['controller']}/stat").read_text().rpartition(")")[2].split()[1])

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def assert_nothing_is_left(self, pids: list[int], within: float = 5.0) -> None:
        """Wait for the end of all processes and of the state directory."""
        wait_until(lambda: not any(map(is_alive, pids)), within)
        wait_until(lambda: not self.directory.exists(), within)

    def end(self) -> None:
        """End it whatever state it is in."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pw-e2e-") as root:  # short: a Unix socket's path has 107 bytes
        yield Path(root) / "c"


@pytest.fixture
def running(directory: Path) -> Iterator[Running]:
    cluster = Running(directory)
    try:
        cluster.wait_ready()
        yield cluster
    finally:
        cluster.end()
        assert not os.path.exists(directory)
