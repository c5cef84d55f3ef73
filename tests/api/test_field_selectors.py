"""Field selectors: which fields a kind has, what a field reads as, and what is refused in which words."""

from __future__ import annotations

import pytest

from emulator.api.field_selectors import parse_field_selector
from emulator.api.kinds import KINDS, Kind, find_kind
from emulator.api.selectors import SelectorError

POD = {
    "metadata": {"name": "a", "namespace": "default"},
    "spec": {"nodeName": "node-a", "restartPolicy": "Always"},
    "status": {"phase": "Running", "podIP": "10.244.0.2"},
}
EVENT = {
    "metadata": {"name": "a.1", "namespace": "default"},
    "involvedObject": {"kind": "Pod", "name": "a", "uid": "u"},
    "reason": "Started",
    "type": "Normal",
    "source": {"component": "kubelet"},
}


def kind(name: str) -> Kind:
    found = find_kind(name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("", True),
        ("metadata.name=a", True),
        ("metadata.name==a,spec.nodeName=node-a", True),
        ("metadata.name=b", False),
        ("status.phase!=Running", False),
        ("spec.nodeName!=", True),
        ("status.nominatedNodeName=", True),
        ("spec.host=node-a", True),
        ("spec.hostNetwork=false", True),
        ("spec.hostNetwork=true", False),
        ("status.podIP=10.244.0.2,metadata.namespace=default", True),
    ],
)
def test_fields_of_pods(text: str, selected: bool) -> None:
    assert parse_field_selector(text, kind("pod")).matches(POD) is selected


@pytest.mark.parametrize(
    ("name", "text", "obj"),
    [
        ("event", "involvedObject.kind=Pod,involvedObject.name=a,reason=Started,type!=Warning", EVENT),
        ("event", "source=kubelet,involvedObject.uid=u", EVENT),
        ("node", "spec.unschedulable=false", {"metadata": {"name": "n"}, "spec": {}}),
        ("node", "spec.unschedulable=true", {"metadata": {"name": "n"}, "spec": {"unschedulable": True}}),
        ("ns", "status.phase=Active", {"metadata": {"name": "n"}}),
        (
            "service",
            "spec.type=ClusterIP,spec.clusterIP!=None",
            {"spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1"}},
        ),
        ("secret", "type=kubernetes.io/tls", {"type": "kubernetes.io/tls"}),
        ("rs", "status.replicas=3", {"status": {"replicas": 3}}),
    ],
)
def test_fields_of_other_kinds(name: str, text: str, obj: dict[str, object]) -> None:
    assert parse_field_selector(text, kind(name)).matches(obj)


def test_values_escape() -> None:
    assert parse_field_selector(r"type=x\,y\=z", kind("secret")).matches({"type": "x,y=z"})


@pytest.mark.parametrize("text", ["a", "=b", "metadata.name=b,,reason=d", "metadata.=b"])
def test_what_is_no_selector(text: str) -> None:
    with pytest.raises(SelectorError, match="invalid field selector"):
        parse_field_selector(text, kind("pod"))


def test_a_mistyped_field_is_refused_in_the_api_servers_words() -> None:
    with pytest.raises(SelectorError) as caught:
        parse_field_selector("status.hostIP=1.2.3.4", kind("pods"))
    said = 'Unable to find "/v1, Resource=pods" that match label selector "", field selector "status.hostIP=1.2.3.4": '
    assert str(caught.value).startswith(f"{said}field label not supported: status.hostIP; pods have: metadata.name, ")
    with pytest.raises(SelectorError, match=r'"apps/v1, Resource=deployments".* not supported: spec\.replicas'):
        parse_field_selector("spec.replicas=1", kind("deploy"))


def test_every_kind_has_its_name_and_namespaced_ones_their_namespace() -> None:
    for each in KINDS:
        assert parse_field_selector("metadata.name=a", each).matches({"metadata": {"name": "a"}})
        if each.namespaced:
            parse_field_selector("metadata.namespace=a", each)
        else:
            with pytest.raises(SelectorError, match="not supported"):
                parse_field_selector("metadata.namespace=a", each)
