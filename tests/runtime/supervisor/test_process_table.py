import signal

import pytest

from emulator.runtime.supervisor.process_table import STABLE, ProcessTable
from emulator.runtime.supervisor.processes import ProcessExited, ProcessStarted, StartProcess


@pytest.fixture
def table() -> ProcessTable:
    table = ProcessTable()
    table.add("node", StartProcess(name="node-a", program="node", arguments=b"", log="/log"))
    return table


def live_and_die(table: ProcessTable, at: float, lived: float) -> float:
    record = table["node-a"]
    record.started(ProcessStarted(name="node-a", pid=7), at)
    return record.ended(str(ProcessExited(name="node-a", pid=7, status=-signal.SIGKILL)), at + lived)


def test_first_end_is_mended_at_once_and_repeated_ones_slower_and_slower(table: ProcessTable) -> None:
    delays = [live_and_die(table, float(attempt), 0.1) for attempt in range(12)]
    assert delays[:5] == [0.0, 0.1, 0.2, 0.4, 0.8]
    assert delays == sorted(delays)
    assert delays[-1] == 10.0


def test_process_that_lived_long_begins_with_a_clean_slate(table: ProcessTable) -> None:
    for attempt in range(5):
        live_and_die(table, float(attempt), 0.1)
    assert live_and_die(table, 10.0, STABLE) == 0.0


def test_status_tells_restarts_uptime_and_the_last_end(table: ProcessTable) -> None:
    assert table["node-a"].status(0.0).state == "starting"
    live_and_die(table, 1.0, 0.5)
    down = table["node-a"].status(2.0)
    assert (down.state, down.pid, down.uptime, down.last_exit) == ("restarting", 0, 0.0, "killed by SIGKILL")
    table["node-a"].started(ProcessStarted(name="node-a", pid=8), 3.0)
    up = table["node-a"].status(5.0)
    assert (up.state, up.pid, up.uptime, up.restarts) == ("running", 8, 2.0, 1)
