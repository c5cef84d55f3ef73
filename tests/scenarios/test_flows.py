"""Who answers what is sent to a Service, and whom they see: the whole table, in simulated clusters."""

from random import Random

import msgspec
import pytest
from trio.testing import MockClock

from emulator.kube.proxy.modes import MODES
from emulator.runtime.cluster.cluster import Cluster
from tests.scenarios.flow import SctpObserver, tcp, udp
from tests.scenarios.flow_table import Ask, World, cells
from tests.scenarios.world import CONFIG


@pytest.mark.parametrize("mode", list(MODES))
async def test_who_answers_and_whom_they_see(mode: str, autojump_clock: MockClock) -> None:
    config = msgspec.structs.replace(CONFIG, proxy_mode=mode)
    async with Cluster.start(config, simulate=True, hosts=("outside",)) as cluster:
        world = World(cluster)
        await world.fill()
        sctp = SctpObserver({name: world.pods[name] for name in ("web-a", "web-b")}, Random(1))
        protocols: dict[str, Ask] = {"tcp": tcp, "udp": udp, "sctp": sctp.ask}
        wrong = [
            await world.wrong(protocol, ask, target, source, cell)
            for target, source, cell in cells(mode)
            for protocol, ask in protocols.items()
        ]
    assert not any(wrong), "\n".join(filter(None, wrong))
