import pytest

from emulator.runtime.controller.overview import overview


class Objects:
    """Stored objects, as a reader sees them."""

    def __init__(self, *objects):
        self.objects = objects

    def get(self, kind, namespace, name):
        return next((obj for obj in self.list(kind, namespace) if obj["metadata"]["name"] == name), None)

    def list(self, kind, namespace=None):
        return [
            obj
            for obj in self.objects
            if obj["kind"] == kind and namespace in (None, obj["metadata"].get("namespace", ""))
        ]


def make(kind, name, *, namespace="default", spec=None, status=None, **rest):
    metadata = {"name": name, "namespace": namespace} | rest.pop("metadata", {})
    return {"kind": kind, "metadata": metadata, "spec": spec or {}, "status": status or {}} | rest


def ready(status="True", **more):
    return {"type": "Ready", "status": status, **more}


NODE = make(
    "Node",
    "node-a",
    namespace="",
    spec={"podCIDR": "10.244.0.0/24"},
    status={"conditions": [ready()], "addresses": [{"type": "InternalIP", "address": "172.18.0.2"}]},
)
POD = make("Pod", "web-1", spec={"nodeName": "node-a"}, status={"phase": "Running", "conditions": [ready()]})


def look(*objects):
    return overview(Objects(*objects), cluster="lab", epoch=3, revision=9)


def test_all_is_ready():
    found = look(NODE, POD, make("Pod", "done", status={"phase": "Succeeded"}))
    assert found.ready
    assert found.not_ready == ()
    assert (found.pods, found.ready_pods) == (1, 1)
    (node,) = found.nodes
    assert (node.address, node.pod_cidr, node.pods, node.ready_pods) == ("172.18.0.2", "10.244.0.0/24", 1, 1)


def test_a_cluster_without_nodes_is_not_ready():
    assert not look().ready


@pytest.mark.parametrize(
    ("status", "metadata", "reason", "message"),
    [
        ({}, {}, "Pending", ""),
        ({"phase": "Pending"}, {}, "Pending", ""),
        ({"phase": "Running"}, {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "Terminating", ""),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3"}]},
            {},
            "Unschedulable",
            "0/3",
        ),
        (
            {"containerStatuses": [{"name": "b", "state": {"waiting": {"reason": "BackOff", "message": "m"}}}]},
            {},
            "BackOff",
            "b: m",
        ),
        (
            {
                "initContainerStatuses": [{"name": "i", "state": {"terminated": {"reason": "Completed"}}}],
                "containerStatuses": [{"name": "b", "state": {"terminated": {"reason": "Error"}}}],
            },
            {},
            "Error",
            "b",
        ),
        ({"conditions": [ready("False", reason="ContainersNotReady")]}, {}, "ContainersNotReady", ""),
    ],
)
def test_why_a_pod_is_not_ready(status, metadata, reason, message):
    found = look(NODE, make("Pod", "p", status=status, metadata=metadata))
    assert not found.ready
    (problem,) = found.not_ready
    assert (problem.kind, problem.name, problem.reason, problem.message) == ("Pod", "p", reason, message)


def test_why_a_node_is_not_ready():
    lost = make("Node", "a", namespace="", status={"conditions": [ready("Unknown", reason="NodeStatusUnknown")]})
    found = look(lost, make("Node", "b", namespace=""))
    assert [(problem.name, problem.reason) for problem in found.not_ready] == [
        ("a", "NodeStatusUnknown"),
        ("b", "NotRegistered"),
    ]


def test_workloads():
    found = look(
        NODE,
        make("Deployment", "web", spec={"replicas": 3}, status={"readyReplicas": 2}),
        make("StatefulSet", "db", spec={"replicas": 1}, status={"readyReplicas": 1}),
        make("DaemonSet", "agent", status={"numberReady": 1, "desiredNumberScheduled": 2}),
    )
    assert [(load.kind, load.ready, load.wanted) for load in found.workloads] == [
        ("Deployment", 2, 3),
        ("StatefulSet", 1, 1),
        ("DaemonSet", 1, 2),
    ]
    assert [problem.message for problem in found.not_ready] == ["2 of 3 pods are ready", "1 of 2 pods are ready"]


def test_services_count_each_endpoint_once():
    labels = {"labels": {"kubernetes.io/service-name": "web"}}

    def slice_(name, *endpoints):
        entries = [{"addresses": [address], "conditions": {"ready": up}} for address, up in endpoints]
        return make("EndpointSlice", name, metadata=labels, endpoints=entries)

    found = look(
        make(
            "Service",
            "web",
            spec={
                "clusterIP": "10.96.0.1",
                "type": "NodePort",
                "ports": [{"port": 80, "nodePort": 30001}, {"port": 53, "protocol": "UDP"}],
            },
        ),
        make("Service", "empty", spec={"clusterIP": "None"}),
        slice_("web-1", ("10.0.0.1", True), ("10.0.0.2", False)),
        slice_("web-2", ("10.0.0.1", True), ("10.0.0.3", None)),
    )
    empty, web = found.services
    assert (empty.endpoints, empty.cluster_ip, empty.type) == (0, "None", "ClusterIP")
    assert (web.endpoints, web.ready_endpoints, web.ports) == (3, 2, "80:30001/TCP,53/UDP")
