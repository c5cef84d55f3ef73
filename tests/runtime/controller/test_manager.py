import logging
import random
from collections import Counter

import pytest
import trio
import trio.lowlevel

from emulator.api.store.history import Reference
from emulator.api.store.store import Store
from emulator.kube.reconciler import Create, Delete, Key, Replace, Requeue, UpdateStatus
from emulator.runtime.controller.manager import Manager
from tests.runtime.lab import LOGGER, config_map


class Copier:
    """Keeps a ConfigMap `copy-NAME` with the data of each ConfigMap NAME."""

    watches = frozenset({"ConfigMap"})

    def __init__(self):
        self.calls = Counter()

    def keys(self, reader, event):
        name = event["metadata"]["name"].removeprefix("copy-")
        return [Key("ConfigMap", "default", name)]

    def reconcile(self, reader, key, moment):
        self.calls[key.name] += 1
        source = reader.get(*self.reference(key.name))
        copy = reader.get(*self.reference(f"copy-{key.name}"))
        if source is None:
            return [] if copy is None else [Delete(Key("ConfigMap", "default", f"copy-{key.name}"))]
        if copy is None:
            return [Create(config_map(f"copy-{key.name}", **source["data"]))]
        if copy["data"] != source["data"]:
            return [Replace(copy | {"data": source["data"]})]
        return []

    @staticmethod
    def reference(name):
        return Reference("ConfigMap", "default", name)


def make(nursery, *reconcilers, logger=LOGGER):
    store = Store(random=random.Random(1), clock=lambda: 0.0)
    store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
    manager = Manager(store, reconcilers, clock=lambda: 0.0, random=random.Random(2), logger=logger)
    nursery.start_soon(manager.run)
    return store, manager


async def test_a_storm_is_coalesced_and_its_end_is_exact(nursery, autojump_clock):
    copier = Copier()
    store, _ = make(nursery, copier)
    store.create(config_map("a", x="0"))
    await trio.sleep(1)
    before = copier.calls["a"]
    for number in range(10_000):
        store.replace(config_map("a", x=str(number)))
    await trio.sleep(1)
    assert store.need("ConfigMap", "default", "copy-a")["data"] == {"x": "9999"}
    assert copier.calls["a"] - before <= 3


@pytest.mark.parametrize("seed", range(5))
async def test_any_order_of_events_ends_the_same(seed, nursery, autojump_clock):
    choose = random.Random(seed)
    store, _ = make(nursery, Copier())
    for number in range(200):
        name = f"a{choose.randrange(5)}"
        reference = Copier.reference(name)
        if store.get(*reference) is None:
            store.create(config_map(name, x=str(number)))
        elif choose.random() < 0.4:
            store.delete(reference)
        else:
            store.replace(config_map(name, x=str(number)))
        if choose.random() < 0.3:
            await trio.lowlevel.checkpoint()
    await trio.sleep(1)
    data = {obj["metadata"]["name"]: obj["data"] for obj in store.list("ConfigMap")}
    sources = {name: value for name, value in data.items() if not name.startswith("copy-")}
    assert data == sources | {f"copy-{name}": value for name, value in sources.items()}


async def test_after_a_start_everything_is_looked_at(nursery, autojump_clock):
    store = Store(random=random.Random(1), clock=lambda: 0.0)
    store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
    store.create(config_map("a", x="1"))
    manager = Manager(store, [Copier()], clock=lambda: 0.0, random=random.Random(2), logger=LOGGER)
    manager.look_at_everything()
    nursery.start_soon(manager.run)
    await trio.sleep(1)
    assert store.get("ConfigMap", "default", "copy-a") is not None


class Failing(Copier):
    """Fails some times before it works; notes when it was asked."""

    def __init__(self, failures, error):
        super().__init__()
        self.failures = failures
        self.error = error
        self.times = []

    def reconcile(self, reader, key, moment):
        self.times.append(trio.current_time())
        if len(self.times) <= self.failures:
            raise self.error
        return super().reconcile(reader, key, moment)


async def test_failures_are_tried_again_later_and_later(nursery, autojump_clock):
    failing = Failing(6, ZeroDivisionError("oops"))
    logged = []
    logger = logging.Logger("test")
    handler = logging.Handler()
    handler.emit = logged.append
    logger.addHandler(handler)
    store, _ = make(nursery, failing, logger=logger)
    store.create(config_map("a", x="1"))
    await trio.sleep(60)
    assert store.get("ConfigMap", "default", "copy-a") is not None
    pauses = [after - before for before, after in zip(failing.times, failing.times[1:7], strict=False)]
    assert pauses == pytest.approx([0.01, 0.02, 0.04, 0.08, 0.16, 0.32])
    assert len([record for record in logged if record.exc_info]) == 6


async def test_a_stale_write_is_asked_again(nursery, autojump_clock):
    class Stale(Copier):
        def reconcile(self, reader, key, moment):
            self.calls[key.name] += 1
            obj = reader.get(*self.reference(key.name))
            if self.calls[key.name] == 1:
                old = obj | {"metadata": obj["metadata"] | {"resourceVersion": "1"}, "data": {"x": "stale"}}
                return [Replace(old)]
            return []

    stale = Stale()
    store, _ = make(nursery, stale)
    store.create(config_map("a", x="1"))
    await trio.sleep(1)
    assert stale.calls["a"] == 2
    assert store.need("ConfigMap", "default", "a")["data"] == {"x": "1"}


async def test_requeue_comes_when_it_said(nursery, autojump_clock):
    class Later(Copier):
        def __init__(self):
            super().__init__()
            self.times = []

        def reconcile(self, reader, key, moment):
            self.times.append((key.name, moment.monotonic))
            return [Requeue(key, 5.0), Requeue(key, 3.0)] if len(self.times) == 1 else []

    later = Later()
    store, _ = make(nursery, later)
    store.create(config_map("a"))
    await trio.sleep(10)
    assert later.times == [("a", 0.0), ("a", pytest.approx(3.0))]


async def test_statuses_and_deletions_are_written(nursery, autojump_clock):
    class Ender(Copier):
        watches = frozenset({"Pod"})

        def reconcile(self, reader, key, moment):
            pod = reader.get("Pod", "default", key.name)
            if pod is None:
                return []
            if not pod.get("status"):
                return [UpdateStatus(Key("Pod", "default", key.name), {"phase": "Running"})]
            return [Delete(Key("Pod", "default", key.name), 7), Delete(Key("Pod", "default", "absent"))]

    store, _ = make(nursery, Ender())
    store.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"nodeName": "a"}})
    await trio.sleep(1)
    pod = store.need("Pod", "default", "p")
    assert pod["status"] == {"phase": "Running"}
    assert pod["metadata"]["deletionGracePeriodSeconds"] == 7
