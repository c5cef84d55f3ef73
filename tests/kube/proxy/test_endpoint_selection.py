import pytest

from emulator.kube.proxy.endpoint_selection import select_endpoints
from emulator.kube.proxy.service_port import Endpoint, ServicePort, ServicePortName

HERE, ELSEWHERE = "node-a", "node-b"


def port(*, internal_local: bool = False, external_local: bool = False, node_port: int = 0) -> ServicePort:
    return ServicePort(
        name=ServicePortName("default", "web", "", "TCP"),
        cluster_ip="10.96.0.10",
        port=80,
        node_port=node_port,
        external_ips=(),
        load_balancer_ips=(),
        source_ranges=(),
        affinity_seconds=0,
        internal_local=internal_local,
        external_local=external_local,
        health_check_node_port=0,
    )


def endpoint(number: int, node: str = HERE, **state: object) -> Endpoint:
    return Endpoint(ip=f"10.0.0.{number}", port=80, node_name=node, **state)  # type: ignore[arg-type]


TERMINATING = {"ready": False, "serving": True, "terminating": True}
NOT_READY = {"ready": False, "serving": False}
ZONE_A, ZONE_B = frozenset({"a"}), frozenset({"b"})


@pytest.mark.parametrize(
    ("service", "endpoints", "cluster", "local", "anywhere"),
    [
        pytest.param(port(), [endpoint(1), endpoint(2, ELSEWHERE)], [1, 2], [], True, id="cluster policy"),
        pytest.param(port(), [], [], [], False, id="none at all"),
        pytest.param(port(), [endpoint(1, **NOT_READY)], [], [], False, id="not ready counts as none"),
        pytest.param(
            port(),
            [endpoint(1, **NOT_READY), endpoint(2, **TERMINATING)],
            [2],
            [],
            True,
            id="terminating as last resort",
        ),
        pytest.param(
            port(), [endpoint(1), endpoint(2, **TERMINATING)], [1], [], True, id="terminating not while ready"
        ),
        pytest.param(
            port(internal_local=True), [endpoint(1), endpoint(2, ELSEWHERE)], [], [1], True, id="internal policy Local"
        ),
        pytest.param(
            port(internal_local=True), [endpoint(2, ELSEWHERE)], [], [], True, id="internal Local, others only"
        ),
        pytest.param(
            port(external_local=True, node_port=30080),
            [endpoint(1, ELSEWHERE), endpoint(2, **TERMINATING)],
            [1],
            [2],
            True,
            id="each set falls back by itself",
        ),
        pytest.param(port(external_local=True), [endpoint(1)], [1], [], True, id="external policy without a way in"),
        pytest.param(
            port(),
            [endpoint(1, zone_hints=ZONE_A), endpoint(2, zone_hints=ZONE_B)],
            [1],
            [],
            True,
            id="hints for this zone",
        ),
        pytest.param(
            port(), [endpoint(1, zone_hints=ZONE_A), endpoint(2)], [1, 2], [], True, id="one endpoint without a hint"
        ),
        pytest.param(port(), [endpoint(1, zone_hints=ZONE_B)], [1], [], True, id="no hint names this zone"),
        pytest.param(
            port(),
            [
                endpoint(1, zone_hints=ZONE_A, node_hints=frozenset({HERE})),
                endpoint(2, zone_hints=ZONE_A, node_hints=frozenset({ELSEWHERE})),
            ],
            [1],
            [],
            True,
            id="node hints come before zone hints",
        ),
    ],
)
def test_selection(
    service: ServicePort, endpoints: list[Endpoint], cluster: list[int], local: list[int], anywhere: bool
) -> None:
    selection = select_endpoints(service, endpoints, node_name=HERE, zone="a")
    assert [entry.ip for entry in selection.cluster] == [f"10.0.0.{number}" for number in cluster]
    assert [entry.ip for entry in selection.local] == [f"10.0.0.{number}" for number in local]
    assert selection.exist_anywhere is anywhere


def test_a_node_without_a_zone_is_not_filtered_by_zone() -> None:
    endpoints = [endpoint(1, zone_hints=ZONE_A), endpoint(2, zone_hints=ZONE_B)]
    assert len(select_endpoints(port(), endpoints, node_name=HERE, zone="").cluster) == 2
