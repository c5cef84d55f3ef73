import json
import random

import pytest

from emulator.api.apply import LAST_APPLIED, apply
from emulator.api.history import Reference
from emulator.api.messages import ApplyAction
from emulator.api.store import Store
from emulator.errors import PodwireError


def make_store(**options):
    store = Store(random=random.Random(1), clock=lambda: 0.0, **options)
    store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
    return store


def config_map(name="a", namespace="default", **data):
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


def defaulting(_reader, obj, _old):
    """What admission does: fill in defaults, also in the elements of lists; refuse."""
    if obj.get("data", {}).get("bad"):
        raise PodwireError("data.bad: no")
    if obj["kind"] != "Service":
        return obj
    ports = [{"protocol": "TCP", **port} for port in obj["spec"].get("ports", [])]
    return {**obj, "spec": {"type": "ClusterIP", "clusterIP": "10.96.0.9", **obj["spec"], "ports": ports}}


def service(*ports, **spec):
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"ports": [{"name": f"p{port}", "port": port} for port in ports], **spec},
    }


def actions(outcomes):
    return [outcome.action for outcome in outcomes]


def test_apply_creates_configures_and_leaves():
    store = make_store(admit=defaulting)
    assert actions(apply(store, [service(80)])) == [ApplyAction.CREATED]
    (outcome,) = apply(store, [service(80)])
    assert outcome.action is ApplyAction.UNCHANGED
    assert (outcome.kind, outcome.namespace, outcome.name) == ("Service", "default", "web")
    (outcome,) = apply(store, [service(80, 81, selector={"a": "b"})])
    assert outcome.action is ApplyAction.CONFIGURED
    assert outcome.object["metadata"]["generation"] == 2
    assert [port["port"] for port in outcome.object["spec"]["ports"]] == [80, 81]
    assert all(port["protocol"] == "TCP" for port in outcome.object["spec"]["ports"])


def test_apply_removes_what_it_set_and_keeps_what_others_set():
    store = make_store(admit=defaulting)
    apply(store, [service(80, selector={"a": "1", "b": "2"})])
    reference = Reference("Service", "default", "web")
    store.patch(reference, {"spec": {"sessionAffinity": "ClientIP"}, "metadata": {"labels": {"by": "hand"}}})
    (outcome,) = apply(store, [service(81, selector={"a": "1"})])
    spec = outcome.object["spec"]
    assert spec["selector"] == {"a": "1"}
    assert [port["port"] for port in spec["ports"]] == [81]
    assert spec["sessionAffinity"] == "ClientIP"
    assert spec["clusterIP"] == "10.96.0.9"
    assert outcome.object["metadata"]["labels"] == {"by": "hand"}


def test_apply_takes_over_what_was_created_by_other_means():
    store = make_store(admit=defaulting)
    store.create(service(80))
    assert actions(apply(store, [service(80)])) == [ApplyAction.CONFIGURED]
    assert actions(apply(store, [service(80)])) == [ApplyAction.UNCHANGED]


def test_the_annotation_is_kubectls():
    store = make_store()
    (outcome,) = apply(store, [config_map(x="1")])
    text = outcome.object["metadata"]["annotations"][LAST_APPLIED]
    assert text.endswith("}\n")
    expected = config_map(x="1")
    expected["metadata"]["annotations"] = {}
    assert json.loads(text) == expected


@pytest.mark.parametrize("annotation", ["not json", "[]", "[" * 100_000])
def test_a_broken_annotation_counts_as_none(annotation):
    store = make_store()
    obj = config_map(x="1")
    obj["metadata"]["annotations"] = {LAST_APPLIED: annotation}
    store.create(obj)
    (outcome,) = apply(store, [config_map(y="2")])
    assert outcome.object["data"] == {"x": "1", "y": "2"}


def test_apply_is_all_or_nothing():
    store = make_store(admit=defaulting)
    seen = []
    store.subscribe(seen.extend)
    store.create(config_map("kept", x="1"))
    before = (store.revision, sorted(map(str, store.everything())), len(seen))
    with pytest.raises(PodwireError, match=r"data\.bad"):
        apply(store, [config_map("new"), config_map("kept", x="2"), config_map("refused", bad="1")])
    assert (store.revision, sorted(map(str, store.everything())), len(seen)) == before
    assert actions(apply(store, [config_map("new"), config_map("kept", x="2")])) == [
        ApplyAction.CREATED,
        ApplyAction.CONFIGURED,
    ]


def test_a_namespace_may_come_after_what_lives_in_it():
    store = make_store()
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    outcomes = apply(store, [config_map(namespace="shop"), namespace])
    assert [outcome.kind for outcome in outcomes] == ["ConfigMap", "Namespace"]
