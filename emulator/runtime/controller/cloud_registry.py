"""The controller's side of what is outside the nodes: which process it is, told to the nodes by a Lease."""

from __future__ import annotations

import logging

import trio

from emulator.api.messages import (
    ControlError,
    Empty,
    ErrorCode,
    NodeRegistration,
    Registered,
    RenewParams,
    RenewResult,
)
from emulator.api.store.normalize import reference_of
from emulator.api.store.store import Store
from emulator.kube.cloud_lease import cloud_lease
from emulator.runtime.control.server import Exchange
from emulator.runtime.controller.committer import Committer
from emulator.runtime.controller.nodes import LEASE_DURATION, RENEW_INTERVAL


class CloudRegistry:
    """Takes the cloud's process in. A successor takes its place at once: there is never more than one on purpose."""

    def __init__(self, store: Store, committer: Committer, *, epoch: int, logger: logging.Logger) -> None:
        self._store = store
        self._committer = committer
        self._epoch = epoch
        self._logger = logger
        self._holder: NodeRegistration | None = None

    async def register(self, params: NodeRegistration, exchange: Exchange[Registered]) -> Empty:
        """Take it in; it stays registered as long as the exchange lasts."""
        self._holder = params
        try:
            self._write(params)
            await self._committer.flush()
            await exchange.send(
                Registered(node={}, epoch=self._epoch, lease_duration=LEASE_DURATION, renew_interval=RENEW_INTERVAL)
            )
            await trio.sleep_forever()
        finally:
            if self._holder is params:
                self._holder = None

    async def renew(self, params: RenewParams, _exchange: Exchange[Empty]) -> RenewResult:
        """Take a sign of life. Raises ControlError (NOT_FOUND) for a process that another has replaced."""
        if self._holder is None or self._holder.instance != params.instance:
            raise ControlError(ErrorCode.NOT_FOUND, f'"{params.name}" is not registered; register it again')
        await trio.lowlevel.checkpoint()
        return RenewResult(epoch=self._epoch)

    def _write(self, params: NodeRegistration) -> None:
        """Write the Lease where it is another: nodes hear of it by their watches."""
        lease = cloud_lease(params.instance, f"{params.underlay_host}:{params.underlay_port}", params.macs)
        known = self._store.get(*reference_of(lease))
        with self._store.transaction():
            if known is None:
                self._store.create(lease)
            else:
                metadata = {**known["metadata"], "annotations": lease["metadata"]["annotations"]}
                self._store.replace({**known, "metadata": metadata, "spec": lease["spec"]})
        self._logger.info("the cloud registered", extra={"process_id": params.pid})
