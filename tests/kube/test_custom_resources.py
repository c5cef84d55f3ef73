"""Definitions of custom resources: established, and gone only after their objects; namespaces are emptied of those."""

from __future__ import annotations

from ipaddress import IPv4Network

from emulator.api.custom_kinds import DEFINITION
from emulator.api.manifest import ManifestObject
from emulator.api.objects.meta import Object
from emulator.cli.manifests import check_places
from emulator.cli.stand_ins import stand_in_notes
from emulator.kube.admission.admission import ClusterAdmission
from emulator.kube.controllers.custom_resources import CLEANUP, CustomResourceController
from emulator.kube.controllers.namespace import NamespaceController
from emulator.kube.reconciler import Delete, Key, Moment, Requeue
from tests.api.test_custom_kinds import definition, resource

from .harness import Cluster

NAME = Key(DEFINITION, "", "crontabs.stable.example.com")
MOMENT = Moment("2026-01-01T00:00:00Z", 0.0, 1)


def cluster(*objects: Object) -> Cluster:
    made = Cluster([CustomResourceController()])
    for obj in objects:
        made.put(obj)
    made.settle()
    return made


def in_default(obj: Object) -> Object:
    return obj | {"metadata": obj["metadata"] | {"namespace": "default"}}


def test_a_definition_is_established_under_its_names() -> None:
    where = cluster(definition())
    stored = where.objects[NAME]
    assert stored["metadata"]["finalizers"] == [CLEANUP]
    conditions = {entry["type"]: entry["status"] for entry in stored["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}
    assert stored["status"]["acceptedNames"]["singular"] == "crontab"
    assert stored["status"]["storedVersions"] == ["v1"]


def test_what_it_defines_goes_before_it() -> None:
    where = cluster(definition(), in_default(resource()))
    ending = where.objects[NAME]
    where.objects[NAME] = ending | {"metadata": ending["metadata"] | {"deletionTimestamp": where.wall}}
    controller = CustomResourceController()
    changes = controller.reconcile(where, NAME, MOMENT)
    assert changes == [Delete(Key("CronTab.stable.example.com", "default", "my")), Requeue(NAME, 0.0)]
    del where.objects[Key("CronTab.stable.example.com", "default", "my")]
    (change,) = controller.reconcile(where, NAME, MOMENT)
    assert change.object["metadata"]["finalizers"] == []  # type: ignore[union-attr]


def test_a_namespace_is_emptied_of_custom_resources_too() -> None:
    where = cluster(in_default(resource()))
    namespace = Key("Namespace", "", "default")
    metadata = {"name": "default", "deletionTimestamp": where.wall}
    where.objects[namespace] = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    controller = NamespaceController()
    first, again = controller.reconcile(where, namespace, MOMENT)
    assert first == Delete(Key("CronTab.stable.example.com", "default", "my"))
    assert isinstance(again, Requeue)
    del where.objects[Key("CronTab.stable.example.com", "default", "my")]
    assert controller.reconcile(where, namespace, MOMENT) == [Delete(namespace)]


def test_a_kind_that_is_named_as_one_of_kubernetes_is_left_as_it_is() -> None:
    """Knative's Service gets no ClusterIP."""
    metadata: Object = {"name": "hello", "namespace": "default"}
    for kind, spec in (("Service", {"template": {}}), ("Pod", [1]), ("Node", {"podCIDR": 7}), ("Deployment", {})):
        obj: Object = {"apiVersion": "serving.knative.dev/v1", "kind": kind, "metadata": metadata, "spec": spec}
        assert ClusterAdmission(IPv4Network("10.96.0.0/12")).admit(cluster(), obj, None) == obj
        check_places([ManifestObject(obj, "file", 1)], set(), {"default"})
        assert stand_in_notes([obj]) == []
