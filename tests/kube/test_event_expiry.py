"""Events go an hour after they last happened."""

from emulator.kube.controllers.event_expiry import KEPT, EventExpiry
from emulator.kube.ownership import key_of
from emulator.kube.reconciler import Delete, Key, Moment, Requeue
from tests.kube.harness import Cluster


def test_an_event_goes_an_hour_after_it_last_happened() -> None:
    store = Cluster()
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "p.1", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "lastTimestamp": "2026-01-01T00:30:00Z",
    }
    store.objects[key_of(event)] = event
    key = Key("Event", "default", "p.1")
    assert EventExpiry().reconcile(store, key, Moment("2026-01-01T00:40:00Z", 0.0, 0)) == [Requeue(key, KEPT - 600)]
    assert EventExpiry().reconcile(store, key, Moment("2026-01-01T01:30:00Z", 0.0, 0)) == [Delete(key)]
