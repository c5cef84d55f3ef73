"""test/e2e/network/service.go: session affinity by client address, on, off, switched, and its time-out.

The bodies of execAffinityTestForNonLBService: three `serve-hostname` pods, fifteen requests of an exec pod.
"""

import pytest
import trio
from trio.testing import MockClock

from tests.scenarios.conformance.framework import AFFINITY_CONFIRM, Framework, every_mode, hostnames, pod, service

TIMEOUT = 10
"""Seconds (svcSessionAffinityTimeout)."""

kinds = pytest.mark.parametrize("kind", ["ClusterIP", "NodePort"])


async def start(
    framework: Framework, kind: str, affinity: str = "ClientIP", seconds: int | None = None
) -> tuple[str, int]:
    """Make, or change, the Service; return where to ask for it."""
    spec = {"type": kind, "sessionAffinity": affinity}
    if seconds is not None:
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": seconds}}
    await framework.create(
        hostnames("affinity"),
        service("affinity", {"name": "affinity"}, {"port": 80, "targetPort": 9376}, **spec),
        pod("execpod-affinity", nodeName="node-a"),
    )
    made = await framework.service("affinity")
    if kind == "ClusterIP":
        return made["clusterIP"], 80
    return await framework.node_address("node-a"), made["ports"][0]["nodePort"]


async def answering(framework: Framework, target: tuple[str, int]) -> set[str]:
    return await framework.hosts("execpod-affinity", *target, tries=AFFINITY_CONFIRM)


@every_mode
@kinds
async def test_affinity_works_and_is_switched(framework: Framework, kind: str, autojump_clock: MockClock) -> None:
    """Services should have session affinity work for service with type clusterIP, NodePort [LinuxOnly] [Conformance].

    And: should be able to switch session affinity for them.
    """
    target = await start(framework, kind)
    for affinity, held in (("ClientIP", True), ("None", False), ("ClientIP", True)):
        await start(framework, kind, affinity)
        found = await answering(framework, target)
        assert "" not in found
        assert (len(found) == 1) is held, (affinity, found)


@every_mode
async def test_affinity_times_out(framework: Framework, mode: str, autojump_clock: MockClock) -> None:
    """Services should have session affinity timeout work for service with type clusterIP [LinuxOnly]."""
    target = await start(framework, "ClusterIP", seconds=TIMEOUT)
    assert len(await answering(framework, target)) == 1
    found = set()
    # IPVS keeps a client's template as long as connections of it are remembered: 120 s of TIME_WAIT.
    pause = TIMEOUT + (180 if mode == "ipvs" else 5)
    for _ in range(AFFINITY_CONFIRM):
        await trio.sleep(pause)
        found.add(await framework.curl("execpod-affinity", *target))
        if len(found) > 1:
            return
    raise AssertionError(f"{found} answered each time")
