"""One word for a pod's state, and its counts, as kubectl has them (printers_test.go, `TestPrintPod`)."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.api.pod_status import summarize

Object = dict[str, Any]


def pod(phase: str, *statuses: Object, init: tuple[Object, ...] = (), **more: Any) -> Object:
    sidecars = [{"name": entry["name"], "restartPolicy": entry.get("policy", "")} for entry in init]
    return {
        "metadata": {"name": "p", **more.pop("metadata", {})},
        "spec": {"containers": [{"name": f"c{index}"} for index in range(2)], "initContainers": sidecars},
        "status": {"phase": phase, "containerStatuses": list(statuses), "initContainerStatuses": list(init), **more},
    }


def status(state: str, restarts: int = 0, *, ready: bool = False, **detail: Any) -> Object:
    return {"name": "c", "ready": ready, "restartCount": restarts, "state": {state: detail}}


RUNS = status("running", ready=True)


@pytest.mark.parametrize(
    ("obj", "ready", "word", "restarts"),
    [
        (pod("Pending"), "0/2", "Pending", 0),
        (pod("Running", RUNS, RUNS), "2/2", "Running", 0),
        (pod("Running", RUNS, status("running", 3)), "1/2", "Running", 3),
        (pod("Running", RUNS, status("waiting", 6, reason="CrashLoopBackOff")), "1/2", "CrashLoopBackOff", 6),
        (pod("Running", RUNS, status("terminated", exitCode=1, reason="Error")), "1/2", "Error", 0),
        (pod("Running", status("terminated", exitCode=7)), "0/2", "ExitCode:7", 0),
        (pod("Running", status("terminated", exitCode=0, signal=9)), "0/2", "Signal:9", 0),
        (pod("Succeeded", status("terminated", exitCode=0, reason="Completed")), "0/2", "Completed", 0),
        (pod("Running", RUNS, status("terminated", exitCode=0, reason="Completed")), "1/2", "NotReady", 0),
        (pod("Failed", reason="Evicted"), "0/2", "Evicted", 0),
        (pod("Running", RUNS, RUNS, metadata={"deletionTimestamp": "x"}), "2/2", "Terminating", 0),
        (pod("Succeeded", metadata={"deletionTimestamp": "x"}), "0/2", "Succeeded", 0),
        (pod("Pending", init=({**status("running"), "name": "i"},)), "0/2", "Init:0/1", 0),
        (pod("Pending", init=({**status("waiting", reason="Bad"), "name": "i"},)), "0/2", "Init:Bad", 0),
        (pod("Pending", init=({**status("terminated", 2, exitCode=3), "name": "i"},)), "0/2", "Init:ExitCode:3", 2),
        (pod("Running", RUNS, RUNS, init=({**status("terminated", 4, exitCode=0), "name": "i"},)), "2/2", "Running", 0),
    ],
)
def test_summarize(obj: Object, ready: str, word: str, restarts: int) -> None:
    found = summarize(obj)
    assert (f"{found.ready}/{found.total}", found.status, found.restarts) == (ready, word, restarts)


def test_a_sidecar_counts_as_a_container() -> None:
    sidecar = {**RUNS, "name": "side", "started": True, "restartCount": 1, "policy": "Always"}
    found = summarize(pod("Running", RUNS, RUNS, init=(sidecar,)))
    assert (found.ready, found.total, found.status, found.restarts) == (3, 3, "Running", 1)


def test_the_last_restart_is_told() -> None:
    again = {**RUNS, "restartCount": 2, "lastState": {"terminated": {"finishedAt": "1970-01-01T00:00:10Z"}}}
    found = summarize(pod("Running", again, RUNS))
    assert found.restarts_text(45.0) == "2 (35s ago)"
    assert summarize(pod("Running", RUNS)).restarts_text(45.0) == "0"
