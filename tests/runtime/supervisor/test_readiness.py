"""Waiting for a cluster to be ready, while the controller goes."""

import pytest
import trio
from trio.testing import memory_stream_pair

from emulator.api import messages
from emulator.api.messages import ClusterOverview, Empty, WatchEvent, WatchParams
from emulator.runtime.control.client import ConnectionLostError, open_client
from emulator.runtime.control.server import Exchange, Methods, serve_connection
from emulator.runtime.supervisor.readiness import wait_ready


async def test_controller_that_goes_is_one_error_and_no_group(nursery: trio.Nursery) -> None:
    async def status(_params: Empty, _exchange: Exchange[Empty]) -> ClusterOverview:
        await trio.lowlevel.checkpoint()
        return ClusterOverview(
            cluster="c",
            epoch=1,
            revision="1",
            ready=False,
            nodes=(),
            services=(),
            workloads=(),
            pods=0,
            ready_pods=0,
            not_ready=(),
        )

    async def watch(_params: WatchParams, _exchange: Exchange[WatchEvent]) -> Empty:
        await trio.sleep_forever()
        return Empty()

    methods = Methods()
    methods.add(messages.CONTROLLER_STATUS, status)
    methods.add(messages.WATCH, watch)
    ours, theirs = memory_stream_pair()
    scope = trio.CancelScope()

    async def controller() -> None:
        with scope:
            await serve_connection(theirs, methods)

    nursery.start_soon(controller)
    async with open_client(ours) as client:

        def end(_progress: object) -> None:
            scope.cancel()

        with pytest.raises(ConnectionLostError):
            await wait_ready(client, 3, end)
