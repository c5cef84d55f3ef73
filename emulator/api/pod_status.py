"""A pod in one line: ready containers, one word of status, restarts; computed as kubectl does.

Source: pkg/printers/internalversion/printers.go (`printPod`).
"""

from __future__ import annotations

from typing import NamedTuple

from emulator.api.ages import parse_time, since
from emulator.api.messages import Object


class PodSummary(NamedTuple):
    """What `get pods` shows of a pod. `last_restart` is a timestamp, empty if no container was restarted."""

    ready: int
    total: int
    status: str
    restarts: int
    last_restart: str

    def restarts_text(self, now: float) -> str:
        """Return `2 (35s ago)`, or the bare number."""
        if not self.restarts or not self.last_restart:
            return str(self.restarts)
        return f"{self.restarts} ({since(self.last_restart, now)} ago)"


class _Tally:
    """What is counted over a pod's containers."""

    def __init__(self) -> None:
        self.ready = 0
        self.restarts = 0
        self.last_restart = ""

    def restart(self, status: Object) -> None:
        self.restarts += status.get("restartCount", 0)
        finished = (status.get("lastState", {}).get("terminated") or {}).get("finishedAt") or ""
        if (parse_time(finished) or 0.0) > (parse_time(self.last_restart) or 0.0):
            self.last_restart = finished


def summarize(pod: Object) -> PodSummary:
    """Return a pod's line."""
    spec, status = pod.get("spec", {}), pod.get("status", {})
    sidecars = {entry["name"] for entry in spec.get("initContainers") or () if entry.get("restartPolicy") == "Always"}
    phase = status.get("phase", "Pending")
    word = status.get("reason") or phase
    if _condition(pod, "PodScheduled").get("reason") == "SchedulingGated":
        word = "SchedulingGated"
    every, tally = _Tally(), _Tally()
    init_word = _initializing(pod, sidecars, every, tally)
    if init_word and _condition(pod, "Initialized").get("status") != "True":
        word, tally = init_word, every
    else:
        word = _of_containers(pod, word, tally)
    if "deletionTimestamp" in pod["metadata"] and phase not in ("Succeeded", "Failed"):
        word = "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    total = len(spec.get("containers") or ()) + len(sidecars)
    return PodSummary(tally.ready, total, word, tally.restarts, tally.last_restart)


def _initializing(pod: Object, sidecars: set[str], every: _Tally, lasting: _Tally) -> str:
    """Return how far initialization is, empty if it is done.

    Counts the init containers into `every`, those of them that are sidecars into `lasting` too.
    """
    for index, entry in enumerate(pod.get("status", {}).get("initContainerStatuses") or ()):
        every.restart(entry)
        sidecar = entry["name"] in sidecars
        if sidecar:
            lasting.restart(entry)
        state = entry.get("state", {})
        terminated, waiting = state.get("terminated"), state.get("waiting") or {}
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if sidecar and entry.get("started"):
            every.ready += bool(entry.get("ready"))
            lasting.ready += bool(entry.get("ready"))
            continue
        if terminated is not None:
            return f"Init:{_end(terminated)}"
        if waiting.get("reason") not in (None, "", "PodInitializing"):
            return f"Init:{waiting['reason']}"
        return f"Init:{index}/{len(pod['spec'].get('initContainers') or ())}"
    return ""


def _of_containers(pod: Object, word: str, tally: _Tally) -> str:
    """Count the containers; return the word of the first of them that has something to say."""
    running = False
    for entry in reversed(pod.get("status", {}).get("containerStatuses") or ()):
        tally.restart(entry)
        state = entry.get("state", {})
        waiting, terminated = state.get("waiting") or {}, state.get("terminated")
        if waiting.get("reason"):
            word = waiting["reason"]
        elif terminated is not None:
            word = _end(terminated)
        elif entry.get("ready") and "running" in state:
            running = True
            tally.ready += 1
    if word == "Completed" and running:
        return "Running" if _condition(pod, "Ready").get("status") == "True" else "NotReady"
    return word


def _end(terminated: Object) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    signal = terminated.get("signal")
    return f"Signal:{signal}" if signal else f"ExitCode:{terminated.get('exitCode', 0)}"


def _condition(pod: Object, kind: str) -> Object:
    conditions = pod.get("status", {}).get("conditions") or ()
    return next((entry for entry in conditions if entry.get("type") == kind), {})
