"""A real cluster for the tests of the command line, started as a user starts it, and a way to run commands."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from emulator.cli import main

ROOT = Path(__file__).parent.parent.parent
NAME = "cli-tests"

CONFIG = """
[cluster]
name = "cli-tests"
manifests = ["objects.yaml"]
[[nodes]]
name = "node-a"
zone = "zone-a"
[[nodes]]
name = "node-b"
"""

OBJECTS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - {name: whoami, image: traefik/whoami, ports: [{name: http, containerPort: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client, labels: {app: client}}
spec: {containers: [{name: curl, image: curlimages/curl}]}
"""


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    status: int
    out: str
    err: str


def environment() -> dict[str, str]:
    """Return the environment of commands: this checkout first, no cluster chosen."""
    chosen = {name: value for name, value in os.environ.items() if not name.startswith("PODWIRE_") or "TEST" in name}
    return {**chosen, "PYTHONPATH": str(ROOT)}


def command(*words: str) -> list[str]:
    """Return the words of a process that runs `emulator`."""
    return [sys.executable, "-m", "emulator", *words]


def run(*words: str, stdin: str = "", extra: dict[str, str] | None = None, timeout: float = 60) -> Done:
    """Run a command to its end."""
    done = subprocess.run(
        command(*words),
        input=stdin,
        capture_output=True,
        text=True,
        env={**environment(), **(extra or {})},
        timeout=timeout,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def run_here(*words: str, stdin: str = "") -> Done:
    """Run a command in this process, which is quicker; its standard input as a file is at its end."""
    streams = [io.TextIOWrapper(io.BytesIO(data.encode()), newline="") for data in (stdin, "", "")]
    with pytest.MonkeyPatch.context() as patch:
        for name, stream in zip(("stdin", "stdout", "stderr"), streams, strict=True):
            patch.setattr(sys, name, stream)
        for name in set(os.environ) - set(environment()):
            patch.delenv(name)
        status = main.run(words)
    for stream in streams[1:]:
        stream.flush()
    _, out, err = [stream.detach().getvalue().decode() for stream in streams]
    return Done(status, out, err)


def write_config(directory: Path, text: str = CONFIG, objects: str = OBJECTS) -> Path:
    """Write a cluster file with its manifests; return its path."""
    (directory / "objects.yaml").write_text(objects)
    path = directory / "cluster.toml"
    path.write_text(text)
    return path


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start the cluster that these tests share; its name is what comes."""
    config = write_config(tmp_path_factory.mktemp("cluster"))
    done = run("start", str(config), "--detach")
    assert done.status == 0, done.err
    yield NAME
    done = run("--cluster", NAME, "stop")
    assert done.status == 0, done.err


@pytest.fixture
def ask(cluster: str) -> Ask:
    """Run commands on the shared cluster."""
    return Ask(cluster)


@dataclass(frozen=True)
class Ask:
    """Runs commands on one cluster."""

    cluster: str

    def __call__(self, *words: str, stdin: str = "") -> Done:
        return run_here("--cluster", self.cluster, *words, stdin=stdin)

    def ok(self, *words: str, stdin: str = "") -> str:
        """Run a command that must succeed; return what it printed."""
        done = self(*words, stdin=stdin)
        assert done.status == 0, done.err
        return done.out

    def lines(self, *words: str) -> Sequence[str]:
        """Return the lines that a command prints."""
        return self.ok(*words).splitlines()
