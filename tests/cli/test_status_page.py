"""The page of `status` where not all is well, or where the cluster is large."""

from __future__ import annotations

from typing import Any

from click import unstyle

from emulator.api.messages import (
    ClusterOverview,
    NodeOverview,
    NotReady,
    ProcessStatus,
    ServiceOverview,
    SupervisorStatusResult,
)
from emulator.cli.status_page import MOST_ROWS, Snapshot, page, suggestions

NODE = NodeOverview(
    name="n1", ready=True, address="172.18.0.2", pod_cidr="10.244.0.0/24", zone="", pods=1, ready_pods=1
)
PROCESSES = (
    ProcessStatus(
        name="controller", role="controller", pid=0, state="restarting", restarts=2, last_exit="exit status 1"
    ),
    ProcessStatus(name="n1", role="node", pid=7, state="running"),
)
SUPERVISOR = SupervisorStatusResult(
    cluster="c", pid=1, ready=True, uptime=200.0, state_directory="/run/c", processes=PROCESSES
)


def overview(**changes: Any) -> ClusterOverview:
    values: dict[str, Any] = {
        "cluster": "c",
        "epoch": 1,
        "revision": "1",
        "ready": True,
        "nodes": (NODE,),
        "services": (),
        "workloads": (),
        "pods": 1,
        "ready_pods": 1,
        "not_ready": (),
    }
    return ClusterOverview(**{**values, **changes})


def service(name: str, ports: str = "80/TCP", namespace: str = "default", ready: int = 1) -> ServiceOverview:
    return ServiceOverview(
        namespace=namespace, name=name, type="ClusterIP", cluster_ip="", ports=ports, ready_endpoints=ready, endpoints=1
    )


def pod(name: str, image: str, namespace: str = "default") -> dict[str, Any]:
    status = {"name": "c", "ready": True, "restartCount": 0, "state": {"running": {}}}
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": [{"name": "c", "image": image}]},
        "status": {"phase": "Running", "containerStatuses": [status]},
    }


def text(snapshot: Snapshot) -> str:
    return unstyle("\n".join(page(snapshot)))


def test_a_controller_that_is_away() -> None:
    shown = text(Snapshot(None, [], SUPERVISOR))
    assert shown.startswith(
        "Cluster c runs, but its controller does not answer; packets are forwarded as before (up 3m20s"
    )
    assert "controller   controller   restarting   -     2          exit status 1" in shown


def test_what_is_not_ready_is_told_with_its_reason() -> None:
    entry = NotReady(kind="Pod", namespace="default", name="p", reason="CrashLoopBackOff", message="address\x1b in use")
    shown = text(Snapshot(overview(ready=False, not_ready=(entry,)), [], SUPERVISOR))
    assert "Cluster c is not ready yet: 1/1 nodes, 1/1 pods" in shown
    assert "Pod   default/p   CrashLoopBackOff   address\\x1b in use" in shown


def test_long_tables_are_cut() -> None:
    services = tuple(service(f"s{index}") for index in range(MOST_ROWS + 5))
    shown = text(Snapshot(overview(services=services), [], SUPERVISOR, "emulator --cluster c"))
    assert "… and 5 more: emulator --cluster c get services -A" in shown
    assert f"default/s{MOST_ROWS - 1} " in shown
    assert f"default/s{MOST_ROWS} " not in shown


def test_suggestions_name_what_there_is() -> None:
    services = (service("db", "5432/TCP"), service("web", "80:30080/TCP", "shop"), service("dns", "53/UDP"))
    pods = [pod("a", "nginx"), pod("tools", "docker.io/library/busybox:1", "default"), pod("b", "x", "kube-system")]
    first, second, *_ = suggestions(overview(services=services), pods)
    assert first == "exec tools -- curl -s http://web.shop/"
    assert second == "trace tools web.shop"
    assert suggestions(overview(services=(service("db", "5432/TCP"),)), pods)[0].endswith("http://db:5432/")
    assert suggestions(overview(), pods)[0] == "exec tools -- ip addr"
    assert suggestions(overview(services=services), [])[0] == "get pods -A -o wide"
