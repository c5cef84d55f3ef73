"""A cluster that a benchmark starts as a user does, with the command `emulator`, and of which it leaves nothing."""

from __future__ import annotations

import compileall
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import emulator
from emulator.errors import PodwireError

_STARTED_WITHIN = 300.0
_STOPPED_WITHIN = 60.0
_LAST_WORDS = 10.0
_INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM)


class BenchError(PodwireError):
    """What was to be measured failed; nothing of it is left."""


class BenchCluster:
    """One cluster in a directory of its own. Commands raise BenchError with what they printed where they fail."""

    def __init__(self, directory: Path, config: str, manifest: str) -> None:
        self._config = directory / "cluster.toml"
        self._config.write_text(config)
        (directory / "objects.yaml").write_text(manifest)
        self.state_directory = directory / "state"

    def run(self, *words: str, timeout: float | None = None) -> str:
        """Run `emulator` with these words, and return what it printed."""
        done = self._run(words, timeout=timeout)
        if done.returncode:
            said = done.stderr.strip() or done.stdout.strip() or "it said nothing"
            raise BenchError(f"emulator {' '.join(words)} ended with {done.returncode}: {said}")
        return done.stdout

    def start(self) -> None:
        """Start it, and return when all is ready."""
        self.run("start", str(self._config), "--detach", "--quiet", "--timeout", str(_STARTED_WITHIN))

    def processes(self) -> dict[str, int]:
        """Return the process number of each process by its name."""
        told: dict[str, Any] = json.loads(self.run("status", "-o", "json"))["supervisor"]
        numbers = {str(each["name"]): int(each["pid"]) for each in told["processes"]}
        launcher = {_parent_of(pid) for pid in numbers.values()} - {0}
        return {**numbers, "supervisor": int(told["pid"]), **({"launcher": launcher.pop()} if launcher else {})}

    def stop(self) -> None:
        """End it."""
        self.run("stop", timeout=_STOPPED_WITHIN)

    def end(self) -> None:
        """End it whatever state it is in, also where it never ran."""
        if self.state_directory.exists():
            self._run(("stop",), timeout=_STOPPED_WITHIN, start_new_session=True)

    def _run(
        self, words: tuple[str, ...], *, timeout: float | None, start_new_session: bool = False
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "emulator", "--state-dir", str(self.state_directory), *words]
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={name: value for name, value in os.environ.items() if not name.startswith("PODWIRE_")},
            start_new_session=start_new_session,
        ) as process:
            try:
                output, errors = process.communicate(timeout=timeout)
            except BaseException as error:
                _interrupt(process)
                if isinstance(error, subprocess.TimeoutExpired):
                    raise BenchError(f"emulator {' '.join(words)} has not ended after {timeout:g} s") from None
                raise
        return subprocess.CompletedProcess(command, process.returncode, output, errors)


def _interrupt(process: subprocess.Popen[str]) -> None:
    """End a command as Ctrl-C does, so that it ends what it has begun; one that does not listen is killed."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_LAST_WORDS)
    except subprocess.TimeoutExpired:
        process.kill()


@contextmanager
def bench_cluster(config: str, manifest: str) -> Iterator[BenchCluster]:
    """Make a cluster of these files; it is not started, but ended with the block, and all of its files with it.

    An interruption has no effect but in the block: what is made and what is removed is so as a whole.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTIONS)
    try:
        with tempfile.TemporaryDirectory(prefix="podwire-bench-") as name:
            cluster = BenchCluster(Path(name), config, manifest)
            try:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
                yield cluster
            finally:
                signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTIONS)
                cluster.end()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def compile_ahead() -> None:
    """Have all code compiled and kept, as an installation leaves it.

    At the first start after a change, or wherever PYTHONDONTWRITEBYTECODE is set, each process would compile it anew.
    """
    compileall.compile_dir(str(Path(emulator.__file__).parent), quiet=2)


def cluster_file(nodes: int) -> str:
    """Write the cluster file of so many nodes, whose manifest is objects.yaml."""
    head = '[cluster]\nname = "bench"\nmanifests = ["objects.yaml"]\n'
    return head + "".join(f'\n[[nodes]]\nname = "{name}"\n' for name in node_names(nodes))


def node_names(nodes: int) -> list[str]:
    """Return the names of the nodes of `cluster_file`."""
    return [f"node-{number}" for number in range(1, nodes + 1)]


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used, and the ended children that it has waited for."""
    fields = _stat(pid)
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def _parent_of(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def _stat(pid: int) -> list[str]:
    """Return the fields of proc_pid_stat(5) behind the command's name; none where the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
