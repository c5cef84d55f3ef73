"""Hundreds of scripts, each run here and by a real shell: what they print and their exit status must be equal."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from msgspec.structs import replace
from trio.testing import MockClock

from emulator.apps import commands
from emulator.apps.environment import Invocation
from tests.apps.conftest import Lab

from .scripts import ALL, scripts

ENVIRON = {"PATH": "/usr/bin:/bin", "HOME": "/root"}
SHELLS = {"dash": ["dash"], "busybox": ["busybox", "sh"]}


def really(shell: list[str], script: str) -> tuple[str, int]:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [*shell, "-c", script], cwd=folder, env=ENVIRON, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    return done.stdout.decode(), done.returncode


async def here(invocation: Invocation, script: str) -> tuple[str, int]:
    written: list[str] = []
    command = commands.find("sh")
    assert command is not None
    status = await command(replace(invocation, argv=("sh", "-c", script), write=written.append))
    return "".join(written), status


@pytest.mark.parametrize("shell", SHELLS)
async def test_scripts_print_and_end_as_in_a_real_shell(lab: Lab, autojump_clock: MockClock, shell: str) -> None:
    real = SHELLS[shell]
    if shutil.which(real[0]) is None:
        pytest.skip(f"{shell} is not installed")
    table = scripts(*ALL)
    assert len(table) > 300
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        expected = [*pool.map(partial(really, real), table)]
    invocation = replace(lab.invocation(), environ=ENVIRON, directory="/tmp")
    found = [await here(invocation, script) for script in table]
    wrong = [
        f"{script}\n  {shell}: {real}\n  here: {ours}"
        for script, real, ours in zip(table, expected, found, strict=True)
        if real != ours
    ]
    assert not wrong, "\n".join(wrong)
