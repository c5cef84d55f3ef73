"""Indexes hold what a look at every object would find, whatever was written and taken back."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.api.store.history import Reference
from emulator.api.store.index import Index
from emulator.api.store.store import Store
from emulator.errors import PodwireError

LABELS = Index("ConfigMap", lambda obj: (obj["metadata"].get("labels") or {}).items())

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["write", "delete", "abandon"]),
        st.sampled_from(["a", "b", "c"]),
        st.dictionaries(st.sampled_from(["x", "y"]), st.sampled_from(["1", "2"])),
    ),
    max_size=30,
)


def config_map(name: str, labels: dict[str, str]) -> dict[str, object]:
    metadata = {"name": name, "namespace": "default", "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def write(store: Store, name: str, labels: dict[str, str]) -> None:
    obj = config_map(name, labels)
    if store.get("ConfigMap", "default", name) is None:
        store.create(obj)
    else:
        store.replace(obj)


@given(steps=STEPS, asked_first=st.booleans())
@settings(max_examples=60, deadline=None)
def test_an_index_agrees_with_a_scan(steps: list[tuple[str, str, dict[str, str]]], asked_first: bool) -> None:
    store = Store(random=random.Random(1), clock=lambda: 0.0)
    store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
    if asked_first:
        assert store.count(LABELS, ("x", "1")) == 0
    for step, name, labels in steps:
        if step == "write":
            write(store, name, labels)
        elif step == "abandon":
            with store.transaction(dry_run=True):
                write(store, name, labels)
        elif store.get("ConfigMap", "default", name) is not None:
            store.delete(Reference("ConfigMap", "default", name))
    for pair in (("x", "1"), ("x", "2"), ("y", "1"), ("y", "2")):
        expected = [obj for obj in store.list("ConfigMap") if pair in obj["metadata"].get("labels", {}).items()]
        found = store.find(LABELS, pair)
        assert sorted(map(id, found)) == sorted(map(id, expected))
        assert store.count(LABELS, pair) == len(expected)


def test_what_a_failed_transaction_wrote_is_not_found() -> None:
    store = Store(random=random.Random(1), clock=lambda: 0.0)
    store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
    assert store.find(LABELS, ("x", "1")) == []
    try:
        with store.transaction():
            write(store, "a", {"x": "1"})
            assert len(store.find(LABELS, ("x", "1"))) == 1
            store.create(config_map("a", {}))
    except PodwireError:
        pass
    assert store.find(LABELS, ("x", "1")) == []
