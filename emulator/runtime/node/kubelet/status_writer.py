"""Brings what a node's kubelet reports to the controller: the latest status of each pod, as soon as it can be had."""

from __future__ import annotations

import logging

import trio

from emulator.api import messages
from emulator.api.messages import ControlError, DeleteParams, ErrorCode, UpdateStatusParams
from emulator.kube.kubelet.action import ConfirmDeletion, ReportStatus
from emulator.kube.reconciler import Key
from emulator.runtime.machine.controller_link import ControllerLink

_AT_ONCE = 16
"""Requests under way at a time: each is answered after the controller's commit, which many can share."""


class StatusWriter:
    """A queue of reports in which a pod has one place: a newer report replaces one that has not been sent."""

    def __init__(self, link: ControllerLink, log: logging.Logger) -> None:
        self._link = link
        self._log = log
        self._pending: dict[tuple[Key, str], ReportStatus | ConfirmDeletion] = {}
        self._busy: set[tuple[Key, str]] = set()
        self._changed = trio.Event()

    def put(self, report: ReportStatus | ConfirmDeletion) -> None:
        """Take a report."""
        self._pending[report.key, report.uid] = report
        self._changed.set()

    async def run(self) -> None:
        """Send reports, until cancelled. Those of one pod go one after the other."""
        limit = trio.CapacityLimiter(_AT_ONCE)
        async with trio.open_nursery() as nursery:
            while True:
                for identity in [identity for identity in self._pending if identity not in self._busy]:
                    await limit.acquire_on_behalf_of(identity)
                    report = self._pending.pop(identity)
                    self._busy.add(identity)
                    nursery.start_soon(self._send, identity, report, limit)
                await self._changed.wait()
                self._changed = trio.Event()

    async def _send(
        self, identity: tuple[Key, str], report: ReportStatus | ConfirmDeletion, limit: trio.CapacityLimiter
    ) -> None:
        try:
            await self._call(report)
        except ControlError as error:
            # The pod is gone, or another one has its name: what is reported of it concerns nobody.
            if error.code not in {ErrorCode.NOT_FOUND, ErrorCode.CONFLICT}:
                self._log.error("a pod's status was refused", extra={"pod": str(report.key), "reason": error.message})
        finally:
            self._busy.discard(identity)
            limit.release_on_behalf_of(identity)
            if identity in self._pending:
                self._changed.set()

    async def _call(self, report: ReportStatus | ConfirmDeletion) -> None:
        key = report.key
        if isinstance(report, ConfirmDeletion):
            gone = DeleteParams(kind=key.kind, name=key.name, namespace=key.namespace, grace=0, uid=report.uid)
            await self._link.call(messages.DELETE, gone)
            return
        status = UpdateStatusParams(
            kind=key.kind, name=key.name, namespace=key.namespace, status=report.status, uid=report.uid
        )
        await self._link.call(messages.UPDATE_STATUS, status)
