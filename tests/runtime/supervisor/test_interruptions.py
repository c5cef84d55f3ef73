"""Signals to a supervisor: each counts, none is lost or raised, before trio, within it and after."""

import os
import signal

import trio
import trio.testing

from emulator.runtime.supervisor.interruptions import Interruptions


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


def test_signals_before_and_in_trio_are_taken_one_by_one() -> None:
    async def scenario() -> list[int]:
        counts = []
        for _ in range(2):
            await interruptions.next()
            counts.append(interruptions.count)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(interruptions.next)
            await trio.testing.wait_all_tasks_blocked()
            send(signal.SIGHUP)
        return [*counts, interruptions.count]

    with Interruptions() as interruptions:
        send(signal.SIGINT)
        send(signal.SIGTERM)
        assert trio.run(scenario) == [2, 2, 3]
        send(signal.SIGTERM)  # trio is through: nobody is left to hear it, and nothing breaks
        assert interruptions.count == 4


def test_handlers_are_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interruptions():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
