"""Custom kinds: what a definition says of them, and what a store does with their objects."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from emulator.api.custom_kinds import DEFINITION, custom_kinds, defined_kinds, find_custom, kind_in
from emulator.api.messages import ApplyAction, ControlError, Object
from emulator.api.store.apply import apply
from emulator.api.store.normalize import reference_of
from emulator.api.store.store import Store
from emulator.api.validate import validate


def definition(kind: str = "CronTab", group: str = "stable.example.com", scope: str = "Namespaced") -> Object:
    plural = f"{kind.lower()}s"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    versions = [
        {"name": "v1beta1", "served": True, "storage": False, "schema": schema},
        {"name": "v1", "served": True, "storage": True, "schema": schema},
        {"name": "v1alpha1", "served": False, "storage": False, "schema": schema},
    ]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": DEFINITION,
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"kind": kind, "plural": plural, "shortNames": ["ct"]},
            "versions": versions,
        },
    }


def resource(name: str = "my", version: str = "v1", **fields: Any) -> Object:
    api_version = f"stable.example.com/{version}"
    return {"apiVersion": api_version, "kind": "CronTab", "metadata": {"name": name}, "spec": {"any": [1]}, **fields}


@pytest.fixture
def store() -> Store:
    made = Store(random=Random(1), clock=lambda: 0.0)
    made.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
    return made


def test_a_definition_is_fit_to_be_kept() -> None:
    assert validate(definition()) == []


def test_definitions_that_are_wrong() -> None:
    misnamed = definition()
    misnamed["metadata"]["name"] = "crontabs"
    unstored = definition()
    unstored["spec"]["versions"][1]["storage"] = False
    assert [str(problem) for problem in validate(misnamed) + validate(unstored)] == [
        'metadata.name: Invalid value: "crontabs": must be spec.names.plural+"."+spec.group',
        "spec.versions: Invalid value: 0: must have exactly one version marked as storage version",
    ]


def test_the_stored_version_comes_first_and_others_that_are_served_follow() -> None:
    assert [kind.api_version for kind in defined_kinds(definition())] == [
        "stable.example.com/v1",
        "stable.example.com/v1beta1",
    ]


@pytest.mark.parametrize(
    "word", ["crontabs", "CronTab", "ct", "crontabs.stable.example.com", "CronTab.stable.example.com"]
)
def test_words(word: str) -> None:
    found = find_custom(word, defined_kinds(definition()))
    assert found is not None
    assert found.kind == "CronTab"


def test_any_fields_are_kept_and_metadata_is_checked() -> None:
    assert validate(resource(whatever={"a": 1})) == []
    (problem,) = validate(resource("A"))
    assert str(problem).startswith('metadata.name: Invalid value: "A"')


def test_objects_of_one_kind_name_in_two_groups_are_apart(store: Store) -> None:
    store.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {}})
    knative = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {"name": "web"}}
    stored = store.create(knative)
    assert reference_of(stored).kind == "Service.serving.knative.dev"
    assert len(store.list("Service")) == len(store.list("Service.serving.knative.dev")) == 1


def test_a_kind_without_definition_is_known_by_its_objects(store: Store) -> None:
    store.create(resource())
    assert [(kind.resource, "API server refuses" in kind.note) for kind in custom_kinds(store)] == [
        ("crontabs.stable.example.com", True)
    ]
    store.create(definition())
    assert [(kind.resource, "API server refuses" in kind.note) for kind in custom_kinds(store)] == [
        ("crontabs.stable.example.com", False)
    ]


def test_versions_of_one_object(store: Store) -> None:
    """They name the same object; one that is not served is refused, as discovery has no such kind."""
    store.create(definition())
    assert kind_in(store, resource(version="v1beta1")).api_version == "stable.example.com/v1beta1"
    with pytest.raises(ControlError, match=r'in version "stable.example.com/v1alpha1"; use stable.example.com/v1'):
        store.create(resource(version="v1alpha1"))
    store.create(resource())
    with pytest.raises(ControlError, match="already exists"):
        store.create(resource(version="v1beta1"))


def test_apply_stores_definitions_before_what_they_define(store: Store) -> None:
    objects = [resource(), definition(scope="Cluster")]
    objects[0]["metadata"]["namespace"] = "default"  # as a client does that does not know the scope
    outcomes = apply(store, objects)
    assert [(outcome.kind, outcome.namespace) for outcome in outcomes] == [
        ("CronTab.stable.example.com", ""),
        (DEFINITION, ""),
    ]
    assert {outcome.action for outcome in apply(store, objects)} == {ApplyAction.UNCHANGED}


def test_a_long_definition_is_changed_by_apply_as_it_was_created(store: Store) -> None:
    """Our annotation of what was applied is longer than annotations may be; kubectl would refuse it at once."""
    long = definition()
    long["spec"]["versions"][1]["schema"]["openAPIV3Schema"]["description"] = "x" * 300_000
    apply(store, [long])
    long["spec"]["names"]["shortNames"] = ["cron"]
    (outcome,) = apply(store, [long])
    assert outcome.action is ApplyAction.CONFIGURED


@pytest.mark.parametrize("kind", ["Pod", "Namespace"])
def test_custom_kinds_with_names_of_kubernetes_own_are_none_of_them(store: Store, kind: str) -> None:
    odd = {"apiVersion": "example.com/v1", "kind": kind, "metadata": {"name": "x", "namespace": "default"}, "spec": [1]}
    stored = store.create(odd)
    assert "status" not in stored
    assert store.delete(reference_of(stored))["metadata"]["name"] == "x"
    assert list(store.list(f"{kind}.example.com")) == []
