"""Services by affinity, topology, readiness, ports and names: the whole table, in simulated clusters."""

from random import Random

import pytest
from trio.testing import MockClock

from emulator.api.cluster_file import ClusterConfig
from emulator.kube.proxy.modes import MODES
from emulator.runtime.cluster.cluster import Cluster
from tests.scenarios.flow import SctpObserver, pod_source, tcp, udp
from tests.scenarios.flow_table import Ask
from tests.scenarios.kinds_table import NODES, SERVERS, cells, check_affinity, check_names, fill, narrow_configuration
from tests.scenarios.world import settle


@pytest.mark.parametrize("mode", list(MODES))
async def test_what_each_kind_of_service_answers(mode: str, autojump_clock: MockClock) -> None:
    config = ClusterConfig(name="kinds", nodes=NODES, seed=5, proxy_mode=mode)
    async with Cluster.start(config, simulate=True, hosts=("outside",)) as cluster:
        world = await fill(cluster)
        sctp = SctpObserver({name: await pod_source(cluster, name) for name in SERVERS}, Random(1))
        protocols: dict[str, Ask] = {"tcp": tcp, "udp": udp, "sctp": sctp.ask}
        wrong = [
            await world.wrong(protocol, ask, target, source, cell)
            for target, source, cell in cells(mode)
            for protocol, ask in protocols.items()
        ]
        assert not any(wrong), "\n".join(filter(None, wrong))
        await check_names(world)
        await check_affinity(world, mode, protocols)
        await cluster.apply([narrow_configuration(mode)])
        await settle()
        wrong = [
            await world.wrong("tcp", tcp, target, source, cell) for target, source, cell in cells(mode, narrow=True)
        ]
        assert not any(wrong), "\n".join(filter(None, wrong))
