"""A node's connection to the controller: registers, stays alive, watches, and comes back by itself when it is cut.

What the node knows stays in its cache meanwhile, so forwarding goes on while the controller is away.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import trio
from msgspec import Struct

from emulator.api import messages
from emulator.api.messages import (
    ControlError,
    ErrorCode,
    EventType,
    Method,
    NodeRegistration,
    Registered,
    RenewParams,
    WatchParams,
)
from emulator.kernel.kernel import RandomSource
from emulator.runtime import lag
from emulator.runtime.control.client import (
    ClientExchange,
    ConnectionLostError,
    ControlClient,
    check_version,
    open_client,
)
from emulator.runtime.machine.object_cache import ObjectCache

P = TypeVar("P", bound=Struct)
E = TypeVar("E", bound=Struct)
R = TypeVar("R", bound=Struct)

Connect = Callable[[], Awaitable[trio.abc.Stream]]
"""Opens a stream to the controller. Raises OSError."""

FIRST_DELAY = 0.02
LAST_DELAY = 2.0


class Subscription(Struct, frozen=True):
    """A kind whose objects the node wants to know; of one namespace, or of all."""

    kind: str
    field_selector: str = ""
    namespace: str | None = None


class ControllerLink:
    """One node's side of the control plane."""

    def __init__(
        self,
        connect: Connect,
        registration: NodeRegistration,
        subscriptions: Sequence[Subscription],
        cache: ObjectCache,
        random: RandomSource,
        log: logging.Logger,
    ) -> None:
        self._connect = connect
        self._registration = registration
        self._subscriptions = subscriptions
        self._cache = cache
        self._random = random
        self._log = log
        self._revisions: dict[Subscription, str] = {}
        self._client: ControlClient | None = None
        self._usable = trio.Event()
        self._registered: Registered | None = None

    @property
    def connected(self) -> bool:
        """Whether the controller is there and knows this node."""
        return self._client is not None

    async def registered(self) -> Registered:
        """Wait for the first registration; it has the Node object with what this node was given."""
        while self._registered is None:
            await self._usable.wait()
        return self._registered

    async def call(self, method: Method[P, E, R], params: P) -> R:
        """Do one request, as soon as the controller is there. Raises ControlError if it refuses."""
        while True:
            await self._usable.wait()
            client = self._client
            if client is None:
                continue
            try:
                return await client.call(method, params)
            except ConnectionLostError:
                if self._client is client:  # its session notices that in the next turn, and another one comes
                    self._disown()

    async def run(self) -> None:
        """Keep the connection, until cancelled."""
        delay = FIRST_DELAY
        while True:
            try:
                async with open_client(await self._connect()) as client:
                    await check_version(client)
                    session = _Session(self, client)
                    await session.run()
                    delay = FIRST_DELAY
                    reason = session.reason
            except OSError as error:
                reason = error.strerror or str(error)
            except ControlError as error:
                reason = error.message
            finally:
                self._disown()
            self._log.warning("the controller is away", extra={"reason": reason})
            await trio.sleep(delay * (0.5 + self._random.random()))
            delay = min(LAST_DELAY, delay * 2)

    def _own(self, client: ControlClient, registered: Registered) -> None:
        if self._registered is not None and self._registered.epoch != registered.epoch:
            self._revisions.clear()  # the controller was started again, perhaps with another store: list all
        if self._registered is not None:  # the controller has told of the first time
            self._log.info("registered again", extra={"epoch": registered.epoch})
        self._client = client
        self._registered = registered
        self._usable.set()

    def _disown(self) -> None:
        self._client = None
        if self._usable.is_set():
            self._usable = trio.Event()


class _Session:
    """One connection's life. Whatever ends it is its `reason`."""

    def __init__(self, link: ControllerLink, client: ControlClient) -> None:
        self.reason = ""
        self._link = link
        self._client = client
        self._scope = trio.CancelScope()
        self._deadline = 0.0  # when the controller counts as gone

    async def run(self) -> None:
        link = self._link
        async with self._client.stream(messages.REGISTER, link._registration) as exchange:
            registered = await exchange.next_event()
            if registered is None:
                raise ControlError(ErrorCode.INTERNAL, "the registration ended without an answer")
            link._own(self._client, registered)
            with self._scope:
                async with trio.open_nursery() as nursery:
                    self._extend(registered)
                    nursery.start_soon(self._guard, self._renew, registered)
                    nursery.start_soon(self._guard, self._judge, registered)
                    nursery.start_soon(self._guard, self._hold, exchange)
                    for subscription in link._subscriptions:
                        nursery.start_soon(self._guard, self._watch, subscription)

    async def _guard(self, task: Callable[..., Awaitable[None]], argument: object) -> None:
        try:
            await task(argument)
        except ControlError as error:
            self.reason = self.reason or error.message
            self._scope.cancel()

    async def _hold(self, exchange: ClientExchange[Registered, messages.Empty]) -> None:
        await exchange.result()
        raise ControlError(ErrorCode.UNAVAILABLE, "the controller let go of this node")

    async def _renew(self, registered: Registered) -> None:
        registration = self._link._registration
        params = RenewParams(name=registration.name, instance=registration.instance)
        while True:
            await trio.sleep(registered.renew_interval)
            await self._client.call(messages.RENEW, params)
            self._extend(registered)

    def _extend(self, registered: Registered) -> None:
        self._deadline = trio.current_time() + registered.renew_interval + registered.lease_duration

    async def _judge(self, registered: Registered) -> None:
        """Give the controller up when a renewal is not answered; what this process itself was late does not count."""
        late = 0.0
        while trio.current_time() < self._deadline:
            late = await lag.sleep_until(min(self._deadline, trio.current_time() + lag.pace(late)))
            self._deadline = lag.extended(self._deadline, late, registered.renew_interval)
        raise ConnectionLostError(f"the controller did not answer for {registered.lease_duration:g} s")

    async def _watch(self, subscription: Subscription) -> None:
        """Follow one kind from where the last connection ended; where that is forgotten, begin again."""
        link = self._link
        while True:
            try:
                await self._follow(subscription, link._revisions.get(subscription, ""))
            except ControlError as error:
                if error.code is not ErrorCode.EXPIRED:
                    raise
                link._revisions.pop(subscription, None)

    async def _follow(self, subscription: Subscription, revision: str) -> None:
        link, kind = self._link, subscription.kind
        params = WatchParams(
            kind=kind,
            namespace=subscription.namespace,
            field_selector=subscription.field_selector,
            revision=revision,
        )
        listed: list[messages.Object] | None = None if revision else []
        async with self._client.stream(messages.WATCH, params) as exchange:
            while (event := await exchange.next_event()) is not None:
                if listed is None:
                    _apply(link._cache, kind, event)
                elif event.type is EventType.BOOKMARK:
                    link._cache.replace(kind, listed)
                    listed = None
                else:
                    listed.append(event.object)
                if listed is None:
                    link._revisions[subscription] = event.revision
        raise ControlError(ErrorCode.UNAVAILABLE, f"the watch of {kind} ended")


def _apply(cache: ObjectCache, kind: str, event: messages.WatchEvent) -> None:
    match event.type:
        case EventType.ADDED | EventType.MODIFIED:
            cache.put(kind, event.object)
        case EventType.DELETED:
            cache.remove(kind, event.object)
