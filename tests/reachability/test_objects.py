"""What of manifests is looked at, and what is said of the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator.api.manifest import in_namespace, parse_manifest
from emulator.errors import ManifestError
from emulator.reachability.objects import ClusterObjects, read_objects


def objects(*items: dict[str, Any]) -> ClusterObjects:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    return read_objects(in_namespace(parse_manifest(text, "objects.json"), None))


def service(name: str, **spec: Any) -> dict[str, Any]:
    ports = {} if spec.get("type") == "ExternalName" else {"ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {**ports, **spec}}


def endpoint_slice(name: str, of: str, address_type: str = "IPv4") -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": of} if of else {}
    return {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": name, "labels": labels},
        "addressType": address_type, "endpoints": [], "ports": [],
    }  # fmt: skip


POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p"},
    "spec": {"containers": [{"name": "c", "image": "i"}]},
}


def test_notes_for_whoever_wrote_the_manifests() -> None:
    found = objects(
        service("bare"),
        service("lonely", clusterIP="10.96.0.1"),
        service("headless", clusterIP="None"),
        service("alias", type="ExternalName", externalName="example.com"),
        endpoint_slice("stray", "nobody"),
        endpoint_slice("unlabelled", ""),
        endpoint_slice("six", "lonely", "IPv6"),
        POD,
    )
    assert len(found.services) == 4
    assert len(found.slices) == 3
    notes = [note.partition(";")[0] for note in found.notes]
    assert notes == [
        "service default/bare: left out, since it has no spec.clusterIP",
        "endpointslice default/stray: ignored, since there is no service default/nobody",
        "endpointslice default/unlabelled: ignored, since it has no label kubernetes.io/service-name",
        "endpointslice default/six: ignored, since its addressType is IPv6",
        "ignored: 1 Pod: kube-proxy looks at Services, EndpointSlices and its Node only",
    ]


def test_two_objects_of_one_name_are_refused() -> None:
    with pytest.raises(ManifestError, match=r'objects.json:1: Service "default/a" is at objects.json:1 too'):
        objects(service("a", clusterIP="10.96.0.1"), service("a", clusterIP="10.96.0.2"))


def test_what_only_the_api_server_refuses_is_taken_with_a_remark() -> None:
    odd = service("odd", type="NodePort", clusterIP="10.96.0.1", ports=[{"port": 80, "nodePort": 3001}])
    remarks: list[str] = []
    assert len(parse_manifest(json.dumps(odd), "odd.json", remarks)) == 1
    assert remarks == [
        "odd.json:1: spec.ports[0].nodePort: Invalid value: 3001: provided port is not in the valid range. "
        "The range of valid ports is 30000-32767; the API server would refuse this, here it is read all the same"
    ]
    custom = {"apiVersion": "cilium.io/v2", "kind": "CiliumNode", "metadata": {"name": "n"}}
    assert parse_manifest(json.dumps(custom), "odd.json", remarks) == []
    assert remarks[1:] == ["odd.json:1: CiliumNode is ignored"]
    misspelt = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlic", "metadata": {"name": "n"}}
    with pytest.raises(ManifestError, match="did you mean EndpointSlice"):
        parse_manifest(json.dumps(misspelt), "odd.json", remarks)
    with pytest.raises(ManifestError, match="3001"):
        parse_manifest(json.dumps(odd), "odd.json")
    with pytest.raises(ManifestError, match="unknown field"):
        parse_manifest(json.dumps({**odd, "specs": {}}), "odd.json", remarks)
