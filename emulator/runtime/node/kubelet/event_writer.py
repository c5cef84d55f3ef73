"""Brings what a node's kubelet tells of pods to the controller, as Event objects: `emulator get events`, `describe`.

What is told again and again is one Event with a count, written at once and then every so often. Source:
client-go/tools/record (events_cache.go).
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable

import trio

from emulator.api import messages
from emulator.api.messages import ControlError, CreateParams, ErrorCode, Object, PatchParams
from emulator.kube.kubelet.action import ReportEvent
from emulator.runtime.machine.containers import rfc3339
from emulator.runtime.machine.controller_link import ControllerLink

AGAIN = 10.0
"""Seconds between two writes of one Event, whose count meanwhile grows."""

KEPT = 1_000
"""Events of which a node knows that it has told them before."""


class _Told:
    """One Event: what it says, how often it was said, and what of that is written."""

    def __init__(self, report: ReportEvent, name: str, wall: str) -> None:
        self.report = report
        self.name = name
        self.count = 0
        self.written = 0
        self.first = wall
        self.last = wall
        self.due = 0.0  # of the clock, when it may be written again


class EventWriter:
    """The events of one node's pods."""

    def __init__(
        self, link: ControllerLink, node_name: str, wall_clock: Callable[[], float], log: logging.Logger
    ) -> None:
        self._link = link
        self._node_name = node_name
        self._wall_clock = wall_clock
        self._log = log
        self._told: OrderedDict[str, _Told] = OrderedDict()
        self._changed = trio.Event()

    def put(self, report: ReportEvent) -> None:
        """Take a report; never waits. Warnings go into the log of the process too, the first time."""
        text = "/".join((report.uid, report.container, report.reason, report.message))
        name = f"{report.key.name}.{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        wall = rfc3339(self._wall_clock())
        told = self._told.get(name)
        if told is None:
            told = self._told[name] = _Told(report, name, wall)
            if report.warning:
                extra = {"pod": f"{report.key.namespace}/{report.key.name}", "reason": report.reason}
                self._log.warning(report.message, extra=extra)
        self._told.move_to_end(name)
        told.count, told.last = told.count + 1, wall
        if len(self._told) > KEPT:
            self._told.popitem(last=False)
        self._changed.set()

    async def run(self) -> None:
        """Write, until cancelled."""
        while True:
            self._changed = trio.Event()
            now = trio.current_time()
            waiting = [told for told in self._told.values() if told.count > told.written]
            for told in waiting:
                if told.due <= now:
                    await self._write(told)
            later = [told.due for told in waiting if told.count > told.written]
            with trio.move_on_at(min(later, default=float("inf"))):
                await self._changed.wait()

    async def _write(self, told: _Told) -> None:
        key, count = told.report.key, told.count
        try:
            if told.written:
                patch = {"count": count, "lastTimestamp": told.last}
                params = PatchParams(kind="Event", name=told.name, namespace=key.namespace, patch=patch)
                await self._link.call(messages.PATCH, params)
            else:
                await self._link.call(messages.CREATE, CreateParams(object=self._object(told)))
        except ControlError as error:
            # Its namespace is gone, or it has been deleted; that of an earlier start of this node says the same.
            if error.code not in {ErrorCode.NOT_FOUND, ErrorCode.ALREADY_EXISTS}:
                self._log.error("an event was refused", extra={"event": told.name, "reason": error.message})
        told.written, told.due = count, trio.current_time() + AGAIN

    def _object(self, told: _Told) -> Object:
        report = told.report
        involved: Object = {
            "apiVersion": "v1",
            "kind": report.key.kind,
            "namespace": report.key.namespace,
            "name": report.key.name,
            "uid": report.uid,
        }
        if report.container:
            involved["fieldPath"] = f"spec.containers{{{report.container}}}"
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": told.name, "namespace": report.key.namespace},
            "involvedObject": involved,
            "type": "Warning" if report.warning else "Normal",
            "reason": report.reason,
            "message": report.message,
            "source": {"component": "kubelet", "host": self._node_name},
            "firstTimestamp": told.first,
            "lastTimestamp": told.last,
            "count": told.count,
            "reportingComponent": "kubelet",
            "reportingInstance": self._node_name,
        }
