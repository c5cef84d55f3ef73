"""Manifests as projects publish them are accepted as they are, and applying them again changes nothing."""

from __future__ import annotations

import random
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from emulator.api.manifest import in_namespace, read_manifests
from emulator.api.messages import ApplyAction
from emulator.api.store.apply import apply
from emulator.api.store.store import Store
from emulator.kube import addons
from emulator.kube.admission.admission import ClusterAdmission

DATA = Path(__file__).parent.parent / "data" / "manifests"
FILES = sorted(DATA.rglob("*.yaml"))


def test_there_are_some() -> None:
    assert len(FILES) > 10


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_applies_and_stays(path: Path) -> None:
    objects = [item.object for item in in_namespace(read_manifests([path]), None)]
    admission = ClusterAdmission(IPv4Network("10.96.0.0/16"))
    store = Store(random=random.Random(1), clock=lambda: 0.0, admit=admission.admit)
    for namespace in addons.namespaces():
        store.create(namespace)
    assert {outcome.action for outcome in apply(store, objects)} <= {ApplyAction.CREATED, ApplyAction.CONFIGURED}
    assert {outcome.action for outcome in apply(store, objects)} == {ApplyAction.UNCHANGED}
