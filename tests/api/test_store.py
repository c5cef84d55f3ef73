import random

import pytest

from emulator.api.messages import ControlError, ErrorCode, EventType
from emulator.api.store.history import Reference
from emulator.api.store.normalize import reference_of
from emulator.api.store.store import Store


class Clock:
    def __init__(self):
        self.now = 1_000_000_000.0

    def __call__(self):
        return self.now


def make_store(**options):
    options.setdefault("clock", Clock())
    store = Store(random=random.Random(1), **options)
    store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
    return store


def config_map(name="a", namespace="default", **data):
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


def pod(name="p", node="node-a", **metadata):
    spec = {"containers": [{"name": "c", "image": "nginx"}], "nodeName": node}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **metadata}, "spec": spec}


def owned_by(owner):
    return [{"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": "x", "uid": owner["metadata"]["uid"]}]


def refused(code):
    return pytest.raises(ControlError, check=lambda error: error.code is code)


def test_what_a_new_object_gets():
    store = make_store()
    before = store.revision
    stored = store.create(config_map(x="1") | {"status": {"made": "up"}})
    metadata = stored["metadata"]
    assert metadata["creationTimestamp"] == "2001-09-09T01:46:40Z"
    assert metadata["resourceVersion"] == str(before + 1)
    assert metadata["generation"] == 1
    assert len(metadata["uid"]) == 36
    assert metadata["uid"][14] == "4"
    assert metadata["uid"][19] in "89ab"
    assert "status" not in stored
    assert store.get("ConfigMap", "default", "a") is stored
    assert store.by_uid(metadata["uid"]) is stored


def test_the_same_seed_gives_the_same_uids():
    one, two = (make_store().create(config_map())["metadata"]["uid"] for _ in range(2))
    assert one == two


def test_a_namespace_is_active():
    store = make_store()
    assert [obj["status"] for obj in store.list("Namespace")] == [{"phase": "Active"}]


def test_generated_name():
    store = make_store()
    names = [
        store.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "a-"}})["metadata"]["name"]
        for _ in range(2)
    ]
    assert names[0] != names[1]
    assert all(name.startswith("a-") and len(name) == 7 for name in names)


@pytest.mark.parametrize(
    ("obj", "code", "words"),
    [
        ({}, ErrorCode.INVALID, "no matches for kind"),
        ({"apiVersion": "v1", "kind": "Bogus", "metadata": {"name": "x"}}, ErrorCode.INVALID, 'kind "Bogus"'),
        ({"apiVersion": "v1", "kind": "Pod"}, ErrorCode.INVALID, "metadata"),
        ({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": 3}}, ErrorCode.INVALID, "metadata.name"),
        (config_map(namespace="nowhere"), ErrorCode.NOT_FOUND, 'namespaces "nowhere" not found'),
        (config_map("there"), ErrorCode.ALREADY_EXISTS, 'configmaps "there" already exists'),
    ],
)
def test_refused_objects_leave_nothing(obj, code, words):
    store = make_store()
    store.create(config_map("there"))
    before = (store.revision, sorted(map(str, store.everything())))
    with refused(code) as caught:
        store.create(obj)
    assert words in str(caught.value)
    assert (store.revision, sorted(map(str, store.everything()))) == before


def test_replace_bumps_generation_only_when_more_than_metadata_changes():
    store = make_store()
    store.create(config_map(x="1"))
    labelled = config_map(x="1")
    labelled["metadata"]["labels"] = {"a": "b"}
    assert store.replace(labelled)["metadata"]["generation"] == 1
    labelled["data"] = {"x": "2"}
    assert store.replace(labelled)["metadata"]["generation"] == 2


def test_a_replace_that_changes_nothing_is_no_event():
    store = make_store()
    stored = store.create(config_map(x="1"))
    assert store.replace(config_map(x="1")) is stored
    assert store.patch(reference_of(stored), {"data": {"x": "1"}}) is stored


def test_stale_writes_are_conflicts():
    store = make_store()
    first = store.create(config_map(x="1"))
    store.replace(config_map(x="2"))
    stale = {**first, "data": {"x": "3"}}
    with refused(ErrorCode.CONFLICT):
        store.replace(stale)
    with refused(ErrorCode.CONFLICT):
        store.patch(reference_of(first), {"metadata": {"resourceVersion": first["metadata"]["resourceVersion"]}})
    with refused(ErrorCode.CONFLICT):
        store.update_status(reference_of(first), {}, resource_version=first["metadata"]["resourceVersion"])
    with refused(ErrorCode.CONFLICT):
        store.delete(reference_of(first), uid="another")
    with refused(ErrorCode.NOT_FOUND):
        store.replace(config_map("absent"))
    assert store.need("ConfigMap", "default", "a")["data"] == {"x": "2"}


def test_status_and_spec_do_not_touch_each_other():
    store = make_store()
    reference = reference_of(store.create(pod()))
    store.update_status(reference, {"phase": "Running"})
    changed = store.patch(reference, {"metadata": {"labels": {"a": "b"}}, "status": {"phase": "Failed"}})
    assert changed["status"] == {"phase": "Running"}
    changed = store.patch(reference, {"spec": None, "status": {"podIP": "10.0.0.1"}}, subresource="status")
    assert changed["status"] == {"phase": "Running", "podIP": "10.0.0.1"}
    assert changed["spec"]["nodeName"] == "node-a"
    assert changed["metadata"]["generation"] == 1


def test_a_patch_cannot_rename_or_break():
    store = make_store()
    reference = reference_of(store.create(config_map()))
    with refused(ErrorCode.INVALID):
        store.patch(reference, {"metadata": {"name": "b"}})
    with refused(ErrorCode.INVALID):
        store.patch(reference, {"metadata": None})
    with refused(ErrorCode.INVALID):
        store.patch(reference, {"status": "text"}, subresource="status")
    uid = store.need(*reference)["metadata"]["uid"]
    assert store.patch(reference, {"metadata": {"creationTimestamp": None}})["metadata"]["uid"] == uid


def test_a_pod_on_a_node_stays_until_its_kubelet_confirms():
    store = make_store()
    reference = reference_of(store.create(pod()))
    marked = store.delete(reference)
    assert marked["metadata"]["deletionTimestamp"] == "2001-09-09T01:47:10Z"
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 30
    assert not store.is_gone(marked)
    assert store.delete(reference) is marked
    assert store.delete(reference, grace=5)["metadata"]["deletionGracePeriodSeconds"] == 5
    gone = store.delete(reference, grace=0)
    assert store.is_gone(gone)
    assert store.get(*reference) is None


@pytest.mark.parametrize("change", ["unscheduled", "ended"])
def test_a_pod_that_does_not_run_goes_at_once(change):
    store = make_store()
    reference = reference_of(store.create(pod(node="" if change == "unscheduled" else "node-a")))
    if change == "ended":
        store.update_status(reference, {"phase": "Succeeded"})
    assert store.is_gone(store.delete(reference))


@pytest.mark.parametrize("confirmed_first", [True, False])
def test_finalizers_hold_an_object(confirmed_first):
    store = make_store()
    reference = reference_of(store.create(pod(finalizers=["a/b"])))
    store.delete(reference)
    release = {"metadata": {"finalizers": None}}
    if confirmed_first:
        store.delete(reference, grace=0)
        assert store.get(*reference) is not None
        store.patch(reference, release)
    else:
        store.patch(reference, release)
        assert store.get(*reference) is not None
        store.delete(reference, grace=0)
    assert store.get(*reference) is None


def test_dependents_follow_their_last_owner():
    store = make_store()
    first, second = store.create(config_map("one")), store.create(config_map("two"))
    child = config_map("child")
    child["metadata"]["ownerReferences"] = owned_by(first) + owned_by(second)
    child = store.create(child)
    grandchild = store.create(pod("grandchild", ownerReferences=owned_by(child)))
    store.delete(reference_of(first))
    assert not store.is_gone(child)
    store.delete(reference_of(second))
    assert store.is_gone(child)
    assert "deletionTimestamp" in store.need(*reference_of(grandchild))["metadata"]


def test_an_object_whose_owner_is_gone_does_not_stay():
    store = make_store()
    owner = store.create(config_map("one"))
    store.delete(reference_of(owner))
    child = config_map("child")
    child["metadata"]["ownerReferences"] = owned_by(owner)
    assert store.is_gone(store.create(child))


def test_a_namespace_ends_when_it_is_empty():
    store = make_store()
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    reference = reference_of(store.create(namespace))
    child = reference_of(store.create(config_map(namespace="shop")))
    assert store.delete(reference)["status"] == {"phase": "Terminating"}
    with refused(ErrorCode.INVALID) as caught:
        store.create(config_map("b", namespace="shop"))
    assert "because it is being terminated" in str(caught.value)
    store.delete(reference)
    assert store.get(*reference) is not None
    store.delete(child)
    store.delete(reference)
    assert store.get(*reference) is None


def test_the_first_namespaces_stay():
    store = make_store()
    with refused(ErrorCode.INVALID):
        store.delete(Reference("Namespace", "", "default"))
    assert store.get("Namespace", "", "default") is not None


def test_events_have_what_was_before():
    store = make_store()
    seen = []
    unsubscribe = store.subscribe(seen.extend)
    first = store.create(config_map(x="1"))
    second = store.replace(config_map(x="2"))
    last = store.delete(reference_of(first))
    unsubscribe()
    store.create(config_map("b"))
    assert [(event.type, event.object, event.previous) for event in seen] == [
        (EventType.ADDED, first, None),
        (EventType.MODIFIED, second, first),
        (EventType.DELETED, last, second),
    ]
    assert [event.revision for event in seen] == [
        int(obj["metadata"]["resourceVersion"]) for obj in (first, second, last)
    ]


def test_history_is_bounded_and_says_so():
    store = make_store(history=4)
    start = store.revision
    for number in range(20):
        store.create(config_map(f"a{number}"))
    with refused(ErrorCode.EXPIRED) as caught:
        store.events_since(start, "ConfigMap")
    assert "too old" in str(caught.value)
    recent = store.events_since(store.revision - 4, "ConfigMap")
    assert [event.reference.name for event in recent] == ["a16", "a17", "a18", "a19"]
    assert list(store.events_since(store.revision, "ConfigMap")) == []
    with refused(ErrorCode.EXPIRED):
        store.events_since(store.revision + 1, "ConfigMap")


def test_kinds_are_forgotten_apart():
    store = make_store(history=4)
    first = store.revision
    reference = reference_of(store.create(pod()))
    for number in range(20):
        store.create(config_map(f"a{number}"))
    store.delete(reference)
    assert [event.type for event in store.events_since(first, "Pod")] == [EventType.ADDED, EventType.MODIFIED]
    assert list(store.events_since(first, "Secret")) == []
    assert store.oldest_revision("ConfigMap") > first >= store.oldest_revision("Pod")


def test_load_continues_where_another_store_ended():
    old = make_store()
    owner = old.create(config_map("owner"))
    child = config_map("child")
    child["metadata"]["ownerReferences"] = owned_by(owner)
    old.create(child)
    store = Store(random=random.Random(2), clock=Clock())
    store.load(old.everything(), old.revision)
    assert store.revision == old.revision
    assert list(store.events_since(old.revision, "ConfigMap")) == []
    with refused(ErrorCode.EXPIRED):
        store.events_since(old.revision - 1, "ConfigMap")
    store.delete(reference_of(owner))
    assert store.get("ConfigMap", "default", "child") is None


def test_dry_run_changes_nothing():
    store = make_store()
    store.create(config_map("kept"))
    seen = []
    store.subscribe(seen.extend)
    before = (store.revision, sorted(map(str, store.everything())))
    with store.transaction(dry_run=True):
        store.create(config_map("new"))
        store.delete(Reference("ConfigMap", "default", "kept"))
        assert store.get("ConfigMap", "default", "kept") is None
    assert (store.revision, sorted(map(str, store.everything()))) == before
    assert seen == []
