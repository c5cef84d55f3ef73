"""How IPVS picks a real server for a new connection: one file a family of schedulers, a registry of them all."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from emulator.kernel.netfilter.ipvs.scheduler.base import Scheduler
from emulator.kernel.netfilter.ipvs.scheduler.hashing import DestinationHashing, SourceHashing
from emulator.kernel.netfilter.ipvs.scheduler.least import (
    LeastConnections,
    NeverQueue,
    ShortestExpectedDelay,
    WeightedLeastConnections,
)
from emulator.kernel.netfilter.ipvs.scheduler.maglev import Maglev
from emulator.kernel.netfilter.ipvs.scheduler.overflow import Failover, Overflow
from emulator.kernel.netfilter.ipvs.scheduler.round_robin import RoundRobin, WeightedRoundRobin

SCHEDULERS: Mapping[str, type[Scheduler]] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            RoundRobin, WeightedRoundRobin, LeastConnections, WeightedLeastConnections, ShortestExpectedDelay,
            NeverQueue, SourceHashing, DestinationHashing, Maglev, Failover, Overflow,
        )
    }
)  # fmt: skip
