"""One line of ip(8) or bridge(8) on both sides of a Testbed: by the machine's own tool, and by ours."""

from __future__ import annotations

import asyncio
import subprocess
from dataclasses import dataclass
from typing import cast

from emulator.apps import commands
from emulator.apps.environment import Invocation, Network
from emulator.kernel.netns import Netns
from tests.kernel_oracle.harness import Testbed


@dataclass(frozen=True)
class Result:
    """What a command printed, and its exit status."""

    status: int
    out: str
    error: str


@dataclass(frozen=True)
class _Place:
    """As much of a Network as commands need that only look at a namespace."""

    netns: Netns


def real(bed: Testbed, line: str) -> Result:
    """Run a line in the real namespace."""
    words = ["ip", "netns", "exec", bed.name, *line.split()]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    return Result(done.returncode, done.stdout, done.stderr)


def ours(netns: Netns, line: str) -> Result:
    """Run a line in the emulated namespace."""
    out: list[str] = []
    error: list[str] = []
    argv = tuple(line.split())
    command = commands.find(argv[0])
    assert command is not None
    network = cast("Network", _Place(netns))
    invocation = Invocation(argv, network, cast("object", None), out.append, error.append, lambda: 0.0)  # type: ignore[arg-type]
    status = asyncio.run(command(invocation))
    return Result(status, "".join(out), "".join(error))


def check(bed: Testbed, line: str) -> Result:
    """Run a line on both sides, and assert that they print the same and end alike."""
    expected, found = real(bed, line), ours(bed.ns, line)
    assert found == expected, f"{line}\n  Linux: {expected}\n  ours:  {found}"
    return found
