"""The store against a model that is simple enough to be right: a dict, a counter and a list of what happened."""

import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from emulator.api.messages import ControlError, ErrorCode, EventType
from emulator.api.store.apply import apply
from emulator.api.store.history import Reference
from emulator.api.store.store import Store

names = st.sampled_from(["a", "b", "c"])
data = st.dictionaries(st.sampled_from(["x", "y"]), st.sampled_from(["1", "2"]))


def config_map(name, content, owner=None):
    metadata = {"name": name, "namespace": "default"}
    if owner is not None:
        kind = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner}
        metadata["ownerReferences"] = [kind]
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": content}


class StoreAgainstModel(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.store = Store(random=random.Random(1), clock=lambda: 0.0, history=1_000)
        self.store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
        self.first = self.store.revision
        self.events = []
        self.store.subscribe(self.events.extend)
        self.model = {}  # name -> (data, generation, owner's name or None)

    def code_of(self, operation):
        try:
            operation()
        except ControlError as error:
            return error.code
        return None

    @rule(name=names, content=data)
    def create(self, name, content):
        code = self.code_of(lambda: self.store.create(config_map(name, content)))
        assert (code is ErrorCode.ALREADY_EXISTS) == (name in self.model)
        self.model.setdefault(name, (content, 1, None))

    @rule(name=names, owner=names)
    def create_owned(self, name, owner):
        if owner not in self.model or name in self.model:
            return
        uid = self.store.need("ConfigMap", "default", owner)["metadata"]["uid"]
        self.store.create(config_map(name, {}, uid))
        self.model[name] = ({}, 1, owner)

    @rule(name=names, content=data)
    def replace(self, name, content):
        if name not in self.model:
            assert self.code_of(lambda: self.store.replace(config_map(name, content))) is ErrorCode.NOT_FOUND
            return
        before = self.store.revision
        obj = self.store.need("ConfigMap", "default", name)
        self.store.replace(obj | {"data": content})
        old, generation, owner = self.model[name]
        assert (self.store.revision == before) == (old == content)
        self.model[name] = (content, generation + (old != content), owner)

    @rule(name=names, content=data)
    def stale_replace(self, name, content):
        if name in self.model:
            stale = config_map(name, content)
            stale["metadata"]["resourceVersion"] = "1"
            assert self.code_of(lambda: self.store.replace(stale)) is ErrorCode.CONFLICT

    @rule(name=names)
    def delete(self, name):
        reference = Reference("ConfigMap", "default", name)
        code = self.code_of(lambda: self.store.delete(reference))
        assert (code is ErrorCode.NOT_FOUND) == (name not in self.model)
        gone = [name]
        while gone:
            owner = gone.pop()
            self.model.pop(owner, None)
            gone += [child for child, (_, _, of) in self.model.items() if of == owner]

    @rule(content=st.lists(st.tuples(names, data), max_size=4), fails=st.booleans(), dry_run=st.booleans())
    def apply(self, content, fails, dry_run):
        """Only a failed or a dry one, whose effect is easy to tell: none."""
        objects = [config_map(name, values) for name, values in content]
        before = (self.store.revision, len(self.events))
        if fails:
            objects.append({"apiVersion": "v1", "kind": "Bogus", "metadata": {"name": "x"}})
            assert self.code_of(lambda: apply(self.store, objects)) is ErrorCode.INVALID
        elif dry_run:
            with self.store.transaction(dry_run=True):
                apply(self.store, objects)
        assert (self.store.revision, len(self.events)) == before

    @invariant()
    def stored_is_the_model(self):
        stored = {
            obj["metadata"]["name"]: (obj["data"], obj["metadata"]["generation"])
            for obj in self.store.list("ConfigMap")
        }
        assert stored == {name: (content, generation) for name, (content, generation, _) in self.model.items()}

    @invariant()
    def events_replay_to_what_is_stored_from_any_revision(self):
        revisions = [event.revision for event in self.events]
        assert revisions == list(range(self.first + 1, self.store.revision + 1))
        replayed = {}
        for event in self.events:
            if event.type is EventType.DELETED:
                del replayed[event.reference]
            else:
                assert (event.reference in replayed) == (event.type is EventType.MODIFIED)
                assert replayed.get(event.reference) is event.previous
                replayed[event.reference] = event.object
        assert all(self.store.get(*reference) is obj for reference, obj in replayed.items())
        assert {reference.name for reference in replayed} == set(self.model)
        middle = (self.first + self.store.revision) // 2
        assert list(self.store.events_since(middle, "ConfigMap")) == [
            event for event in self.events if event.revision > middle
        ]

    @invariant()
    def uids_are_unique_and_lead_to_their_objects(self):
        objects = self.store.list("ConfigMap")
        assert all(self.store.by_uid(obj["metadata"]["uid"]) is obj for obj in objects)


TestStoreAgainstModel = StoreAgainstModel.TestCase
TestStoreAgainstModel.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
