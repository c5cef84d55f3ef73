import json
import random

import pytest

from emulator.api.messages import ApplyAction
from emulator.api.store.apply import LAST_APPLIED, apply
from emulator.api.store.history import Reference
from emulator.api.store.store import Store
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


def test_a_result_that_is_not_valid_is_refused_though_both_parts_are():
    store = make_store(admit=defaulting)
    apply(store, [service(80)])
    reference = Reference("Service", "default", "web")
    ports = [{"name": "p80", "port": 80}, {"name": "hand", "port": 81}]
    store.patch(reference, {"spec": {"ports": ports}})
    unnamed = service(80)
    del unnamed["spec"]["ports"][0]["name"]
    with pytest.raises(PodwireError, match=r'Service "web": spec\.ports\[0\]\.name: Required value'):
        apply(store, [unnamed])
    assert [port["name"] for port in store.get(*reference)["spec"]["ports"]] == ["p80", "hand"]


def test_a_service_may_change_its_type():
    store = make_store(admit=defaulting)
    apply(store, [service(80, type="NodePort")])
    reference = Reference("Service", "default", "web")
    given = {"externalTrafficPolicy": "Cluster", "ports": [{"name": "p80", "port": 80, "nodePort": 30080}]}
    store.patch(reference, {"spec": given})
    (outcome,) = apply(store, [service(80, type="ClusterIP")])
    assert outcome.object["spec"]["ports"] == [{"name": "p80", "port": 80, "protocol": "TCP"}]
    assert "externalTrafficPolicy" not in outcome.object["spec"]


def test_another_strategy_leaves_nothing_of_the_old_one():
    store = make_store()
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}
    apply(store, [deployment])
    defaults = {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}}
    store.patch(Reference("Deployment", "default", "web"), {"spec": defaults})
    (outcome,) = apply(store, [{**deployment, "spec": {**spec, "strategy": {"type": "Recreate"}}}])
    assert outcome.object["spec"]["strategy"] == {"type": "Recreate"}


def test_a_generated_name_cannot_be_applied():
    obj = {**config_map(), "metadata": {"generateName": "a-"}}
    with pytest.raises(PodwireError, match="from a-: cannot use generateName with apply; give it a name"):
        apply(make_store(), [obj])
