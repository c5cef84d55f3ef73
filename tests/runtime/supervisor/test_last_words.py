"""What is shown of a process that ended: a record's message, a traceback's last line, or why there is neither."""

import json
import signal
from pathlib import Path

import pytest

from emulator.runtime.state_directory import StateDirectory
from emulator.runtime.supervisor.last_words import reason_of
from emulator.runtime.supervisor.processes import ProcessExited

RECORD = json.dumps({"level": "ERROR", "message": "the store cannot be read"})


@pytest.mark.parametrize(
    ("log", "status", "reason"),
    [
        (f"{RECORD}\n\n", 1, "exit status 1: the store cannot be read"),
        (f"{RECORD}\nTraceback\nValueError: no\n", 3, "exit status 3: ValueError: no"),
        ("[1]\n", 1, "exit status 1: [1]"),
        (f"{'x' * 100_000}\nlast \ufffd\n", 1, "exit status 1: last \ufffd"),
        ("", 1, "exit status 1: its log is empty"),
        (None, 1, "exit status 1: it left no log"),
        (f"{RECORD}\n", 0, "exit status 0"),
        (f"{RECORD}\n", -signal.SIGKILL, "killed by SIGKILL"),
    ],
)
def test_reason(tmp_path: Path, log: str | None, status: int, reason: str) -> None:
    directory = StateDirectory(tmp_path, "c")
    if log is not None:
        directory.log("a").parent.mkdir()
        directory.log("a").write_text(log)
    assert reason_of(ProcessExited(name="a", pid=1, status=status), directory) == reason
