"""The memory of a process, and the spread of measurements."""

from __future__ import annotations

import os

import pytest

from emulator.runtime.bench.memory import read_memory
from emulator.runtime.bench.spread import Spread


def test_a_process_has_memory_of_its_own_and_shared() -> None:
    memory = read_memory("me", os.getpid())
    assert memory is not None
    assert (memory.name, memory.pid) == ("me", os.getpid())
    assert 1 < memory.private <= memory.pss <= memory.rss


def test_memory_that_is_taken_is_seen() -> None:
    before = read_memory("me", os.getpid())
    taken = bytearray(os.urandom(1 << 20) * 32)
    after = read_memory("me", os.getpid())
    assert before is not None
    assert after is not None
    assert after.private - before.private == pytest.approx(len(taken) / (1 << 20), abs=8)


def test_no_memory_of_a_process_that_is_not_there() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    assert read_memory("gone", pid) is None


def test_the_spread_is_of_the_middle_and_the_ends() -> None:
    assert Spread.of([3.0, 1.0, 100.0]) == Spread(median=3.0, minimum=1.0, maximum=100.0)
