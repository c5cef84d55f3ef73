"""Which programs a launcher imports for the objects that a cluster starts with."""

from __future__ import annotations

from pathlib import Path

from emulator.api.manifest import parse_manifest
from emulator.runtime.programs import programs_of

WEB = Path(__file__).parents[2] / "configs" / "web.yaml"


def test_the_programs_of_pods_and_of_templates_and_the_clusters_own() -> None:
    objects = [item.object for item in parse_manifest(WEB.read_text(), str(WEB))]
    assert programs_of(objects) == ["coredns", "idle", "whoami"]
    assert programs_of([]) == ["coredns"]
    assert programs_of([{"kind": "Namespace", "spec": None}]) == ["coredns"]


def test_init_containers_count() -> None:
    pod = {"kind": "Pod", "spec": {"initContainers": [{"image": "nginx:1.27"}], "containers": [{"image": "x.test/y"}]}}
    assert programs_of([pod]) == ["coredns", "generic", "nginx"]
