"""A node's copy of the controller's objects: list, then watch, resume after a cut, list again when that is too late.

While the controller is away nothing is taken back: the copy stays as it was, and forwarding goes on by it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from random import Random
from typing import NoReturn, Protocol

import trio

from emulator.api import messages
from emulator.api.messages import (
    ControlError,
    ErrorCode,
    EventType,
    ListParams,
    NodeRegistration,
    Object,
    Registered,
    RenewParams,
    VersionResult,
    WatchEvent,
    WatchParams,
)
from emulator.runtime.control_client import ConnectionLostError, ControlClient, check_version, open_client

FIRST_DELAY = 0.05
LONGEST_DELAY = 2.0

FATAL = frozenset({ErrorCode.VERSION_MISMATCH, ErrorCode.ALREADY_EXISTS, ErrorCode.INVALID, ErrorCode.UNKNOWN_METHOD})
"""Refusals that another attempt does not change."""

Connect = Callable[[], Awaitable[trio.abc.Stream]]
Use = Callable[[ControlClient, VersionResult], Awaitable[None]]


class Sink(Protocol):
    """Where a copy is kept. Its methods must not raise."""

    def replace(self, kind: str, objects: Iterable[Object]) -> None:
        """Take all objects of a kind, in place of all that were there."""

    def put(self, kind: str, obj: Object) -> None:
        """Take one object that came or changed."""

    def remove(self, kind: str, obj: Object) -> None:
        """Forget one object."""


class Reflector:
    """Keeps `sink` equal to what the controller has of each of `wanted` (one entry a kind)."""

    def __init__(self, sink: Sink, wanted: Sequence[ListParams]) -> None:
        self._sink = sink
        self._wanted = wanted
        self._revisions: dict[str, str] = {}
        self._epoch = 0

    async def follow(self, client: ControlClient, epoch: int) -> None:
        """Follow the controller that `client` speaks with; ends by an exception only, then call it again.

        After a restart of the controller (another `epoch`) everything is listed again.
        """
        if epoch != self._epoch:
            self._revisions.clear()
            self._epoch = epoch
        async with trio.open_nursery() as nursery:
            for wanted in self._wanted:
                nursery.start_soon(self._follow_one, client, wanted)

    async def _follow_one(self, client: ControlClient, wanted: ListParams) -> NoReturn:
        while True:
            if wanted.kind not in self._revisions:
                result = await client.call(messages.LIST, wanted)
                self._sink.replace(wanted.kind, result.items)
                self._revisions[wanted.kind] = result.revision
            try:
                await self._watch(client, wanted)
            except ControlError as error:
                if error.code is not ErrorCode.EXPIRED:
                    raise
                del self._revisions[wanted.kind]

    async def _watch(self, client: ControlClient, wanted: ListParams) -> None:
        params = WatchParams(
            kind=wanted.kind,
            namespace=wanted.namespace,
            label_selector=wanted.label_selector,
            field_selector=wanted.field_selector,
            revision=self._revisions[wanted.kind],
        )
        async with client.stream(messages.WATCH, params) as exchange:
            async for event in exchange:
                self._take(wanted.kind, event)

    def _take(self, kind: str, event: WatchEvent) -> None:
        match event.type:
            case EventType.ADDED | EventType.MODIFIED:
                self._sink.put(kind, event.object)
            case EventType.DELETED:
                self._sink.remove(kind, event.object)
            case EventType.BOOKMARK:
                pass  # it has a revision only
        self._revisions[kind] = event.revision


async def stay_registered(
    client: ControlClient, registration: NodeRegistration, on_registered: Callable[[Registered], None]
) -> NoReturn:
    """Be a node of the cluster: register, then give signs of life. Ends by ControlError only."""
    async with client.stream(messages.REGISTER, registration) as exchange:
        registered = await exchange.next_event()
        if registered is None:
            raise ConnectionLostError("the registration ended")
        on_registered(registered)
        renewal = RenewParams(name=registration.name, instance=registration.instance)
        while True:
            with trio.move_on_after(registered.lease_duration) as patience:
                await client.call(messages.RENEW, renewal)
            if patience.cancelled_caught:
                raise ConnectionLostError(f"the controller did not answer for {registered.lease_duration:g} s")
            await trio.sleep(registered.renew_interval)


async def keep_connected(connect: Connect, use: Use, *, random: Random, logger: logging.Logger) -> NoReturn:
    """Connect and call `use(client, who answers)`; whenever that ends or fails, do so again.

    Attempts are 50 ms apart at first, then twice as long each time up to 2 s, less a random part so that the nodes of
    a large cluster do not all come at once. Raises what is in `FATAL` (perhaps in a group), and what `use` must not.
    """
    failures = 0
    while True:
        connected_at: float | None = None
        try:
            async with open_client(await connect()) as client:
                version = await check_version(client)
                connected_at = trio.current_time()
                await use(client, version)
                reason = "it was left"
        except (OSError, ControlError, ExceptionGroup) as error:
            reason = _passing(error)
        if connected_at is not None and trio.current_time() - connected_at > LONGEST_DELAY:
            failures = 0
        delay = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(failures, 16)) * (0.5 + random.random() / 2)
        failures += 1
        logger.info("no connection to the controller: %s; next attempt in %.2f s", reason, delay)
        await trio.sleep(delay)


def _passing(error: Exception) -> str:
    """Return what to say of an error that may pass; raise one that will not."""
    leaves = [error]
    while any(isinstance(leaf, ExceptionGroup) for leaf in leaves):
        leaves = [part for leaf in leaves for part in (leaf.exceptions if isinstance(leaf, ExceptionGroup) else [leaf])]
    for leaf in leaves:
        if not isinstance(leaf, OSError | ControlError) or (isinstance(leaf, ControlError) and leaf.code in FATAL):
            raise error
    return str(leaves[0])
