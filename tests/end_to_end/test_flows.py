"""Who answers what is sent to a Service, and whom they see: the table of the scenarios, on a cluster of real processes.

One cluster runs, and goes from mode to mode while it does.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest
import trio

from emulator.api import messages
from emulator.api.cluster_file import ClusterConfig
from emulator.api.objects.meta import Object
from emulator.kube.proxy.configuration import config_map
from emulator.kube.proxy.modes import MODES
from emulator.runtime.cluster.cluster import Cluster
from tests.scenarios import flow_table, kinds_table
from tests.scenarios.flow import DROPPED, REFUSED, Outcome, Source, tcp, udp
from tests.scenarios.flow_table import Ask
from tests.scenarios.world import CONFIG

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(300)]

PROTOCOLS: dict[str, Ask] = {"tcp": tcp, "udp": udp}
"""Sockets that nodes lend have no SCTP; simulated clusters look at where its packets arrive."""

*_, LAST = MODES
"""Where clusters start, so that each mode is a change."""


async def configure(cluster: Cluster, configuration: Object) -> None:
    """Have every node run with another configuration: return when each has told of another sync."""
    async with AsyncExitStack() as stack:
        watched = []
        for node in cluster.config.nodes:
            client = await stack.enter_async_context(cluster.connect_node(node.name))
            reports = await stack.enter_async_context(client.stream(messages.PROXY_WATCH, messages.Empty()))
            assert await reports.next_event() is not None, "that of the last one"
            watched.append(reports)
        await cluster.apply([configuration])
        for reports in watched:
            assert await reports.next_event() is not None


EVERY = os.environ.get("PODWIRE_FLOWS") == "all"
SOME = {"near", "far", "self", "node-c", "outside-a"}
"""The sources that the larger table is asked from if not `EVERY`: a busy machine needs a minute and a half for all."""

World = flow_table.World | kinds_table.World
Cell = tuple[str, str, str]


async def wrong_cells(world: World, mode: str, cells: Iterable[Cell]) -> list[str]:
    """Return what is wrong. Sources ask beside each other; what is to be dropped is waited for beside all else.

    The host outside sends all that is for Services through one node, and then through another.
    """
    found: list[str] = []
    of_sources: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for target, name, cell in cells:
        of_sources[name].append((target, cell))

    async def check(protocol: str, target: str, name: str, cell: str) -> None:
        ask = PROTOCOLS[protocol]
        if name.startswith("outside") and cell in (REFUSED, DROPPED):
            ask, cell = unheard(ask), DROPPED
        if wrong := await world.wrong(protocol, ask, target, name, cell):
            found.append(f"{mode}: {wrong}")

    async def check_source(protocol: str, name: str) -> None:
        for target, cell in of_sources[name]:
            if cell == DROPPED:
                nursery.start_soon(check, protocol, target, name, cell)
            else:
                await check(protocol, target, name, cell)

    outside = [name for name in of_sources if name.startswith("outside")]
    for names in ([name for name in of_sources if name not in outside], *([name] for name in outside)):
        if names[0] in outside:
            await send_through(world, f"node-{names[0][-1]}")
        async with trio.open_nursery() as nursery:
            for name in names:
                for protocol in PROTOCOLS:
                    nursery.start_soon(check_source, protocol, name)
    return found


def unheard(ask: Ask) -> Ask:
    """Take a refusal for a drop: which of them the host outside gets is a matter of time here.

    Nodes send it redirects too, and these and refusals are limited together (flow_table's comment); simulated clusters
    tell them apart.
    """

    async def asked(source: Source, address: str, port: int) -> Outcome:
        outcome = await ask(source, address, port)
        return DROPPED if outcome == REFUSED else outcome

    return asked


async def send_through(world: World, node: str) -> None:
    """Have the host outside send what is for Services to a node."""
    for network in flow_table.VIPS:
        done = await world.cluster.host("outside").exec("ip", "route", "replace", network, "via", world.nodes[node])
        assert done.exit_status == 0, done.stderr


async def test_who_answers_and_whom_they_see(tmp_path: Path) -> None:
    config = msgspec.structs.replace(CONFIG, name="flows", proxy_mode=LAST)
    wrong = []
    async with Cluster.start(config, hosts=("outside",), state_dir=str(tmp_path)) as cluster:
        world = flow_table.World(cluster)
        await world.fill()
        for mode in MODES:
            await configure(cluster, config_map(mode))
            wrong += await wrong_cells(world, mode, flow_table.cells(mode))
    assert not wrong, "\n".join(wrong)


def some(cells: Iterable[Cell]) -> list[Cell]:
    """Leave out sources."""
    return [cell for cell in cells if EVERY or cell[1] in SOME]


async def test_what_each_kind_of_service_answers(tmp_path: Path) -> None:
    config = ClusterConfig(name="kinds", nodes=kinds_table.NODES, proxy_mode=LAST)
    wrong = []
    async with Cluster.start(config, hosts=("outside",), state_dir=str(tmp_path)) as cluster:
        world = await kinds_table.fill(cluster)
        for mode in MODES:
            await configure(cluster, config_map(mode))
            wrong += await wrong_cells(world, mode, some(kinds_table.cells(mode)))
            await configure(cluster, kinds_table.narrow_configuration(mode))
            wrong += await wrong_cells(world, mode, some(kinds_table.cells(mode, narrow=True)))
        await kinds_table.check_names(world)
    assert not wrong, "\n".join(wrong)
