"""The terminal interface on a cluster of real processes: flows as they run, and a node that dies and returns."""

import asyncio
import os
import signal
import time
from collections.abc import Callable

import pytest
from textual.pilot import Pilot

from tests.end_to_end.conftest import PATIENCE, Running
from tui.app import PodwireApp
from tui.screens.page import Page

pytestmark = pytest.mark.end_to_end


def cells(pilot: Pilot[None]) -> list[dict[str, str]]:
    screen = pilot.app.screen
    assert isinstance(screen, Page)
    return [screen.table.cells(row) for row in screen.table.rows]


def find(pilot: Pilot[None], **wanted: str) -> list[dict[str, str]]:
    """The rows whose cells begin so."""
    return [row for row in cells(pilot) if all(row[name].startswith(text) for name, text in wanted.items())]


async def until(pilot: Pilot[None], condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, cells(pilot)
        await pilot.pause(0.05)


def test_flows_with_nat_and_a_node_that_dies_and_returns(running: Running) -> None:
    node = running.node_of("client")

    async def watch() -> None:
        async with PodwireApp(running.directory).run_test(size=(200, 50)) as pilot:
            assert await asyncio.to_thread(running.ask) in running.pods()
            await until(pilot, lambda: find(pilot, source="default/client", destination="default/svc/web:80"))
            (row,) = find(pilot, source="default/client", destination="default/svc/web:80")
            assert (row["verdict"], row["protocol"]) == ("FORWARDED", "tcp")
            assert "web-" in row["endpoint"]
            assert row["nat"].startswith(f"{running.address_of('client')}:")
            pod = next(iter(running.pods()))
            await asyncio.to_thread(running.ask, f"http://{running.address_of(pod)}:81/")
            await until(pilot, lambda: find(pilot, source="default/client", verdict="REFUSED", state="NO_SOCKET"))
            os.kill((await asyncio.to_thread(running.pids))[node], signal.SIGKILL)
            await pilot.press("2")
            await until(pilot, lambda: find(pilot, name=node, state="Ready", restarts="1"))
            await pilot.press("1")
            await until(pilot, lambda: not find(pilot, source="default/client", state="NO_SOCKET", node=f"{node},"))
            assert await asyncio.to_thread(running.ask) in running.pods()
            await until(pilot, lambda: find(pilot, source="default/client", destination="default/svc/web:80"))

    asyncio.run(watch())
