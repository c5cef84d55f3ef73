import os
import random
import signal
import sqlite3
import subprocess
import sys

import pytest

from emulator.api.store.normalize import reference_of
from emulator.api.store.store import Store
from emulator.runtime.controller.database import Database, DatabaseError


def config_map(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def make_store(database):
    store = Store(random=random.Random(1), clock=lambda: 0.0)
    store.subscribe(database.write)
    store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
    return store


def by_name(objects):
    return {reference_of(obj): obj for obj in objects}


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "store.sqlite"
    database = Database(path)
    assert database.begin_epoch().revision == 0
    store = make_store(database)
    for number in range(5):
        store.create(config_map(f"a{number}", text="ünï\x00", x=str(number)))
    store.replace(config_map("a1", x="changed"))
    store.delete(reference_of(store.need("ConfigMap", "default", "a2")))
    database.close()

    snapshot = Database(path).begin_epoch()
    assert by_name(snapshot.objects) == by_name(store.everything())
    assert snapshot.revision == store.revision
    assert snapshot.epoch == 2


def test_only_the_last_form_of_a_batch_counts():
    database = Database(None)
    store = Store(random=random.Random(1), clock=lambda: 0.0)
    events = []
    store.subscribe(events.extend)
    store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
    store.create(config_map("a", x="1"))
    store.replace(config_map("a", x="2"))
    store.create(config_map("b"))
    store.delete(reference_of(config_map("b") | {"metadata": {"name": "b", "namespace": "default"}}))
    database.write(events)
    assert by_name(database.begin_epoch().objects) == by_name(store.everything())


WRITER = """
import random, sys
from pathlib import Path
from emulator.api.store.store import Store
from emulator.runtime.controller.database import Database

database = Database(Path(sys.argv[1]))
database.begin_epoch()
store = Store(random=random.Random(1), clock=lambda: 0.0)
store.subscribe(database.write)
store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
number = 0
while True:
    with store.transaction():  # two objects that must never be seen apart
        for name in ("left", "right"):
            metadata = {"name": f"{name}-{number}"}
            store.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    print(store.revision, flush=True)
    number += 1
"""


@pytest.mark.parametrize("acknowledged", [1, 20, 57])
def test_what_was_acknowledged_survives_a_kill(tmp_path, acknowledged):
    path = tmp_path / "store.sqlite"
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        seen = [int(process.stdout.readline()) for _ in range(acknowledged)]
        os.kill(process.pid, signal.SIGKILL)
    snapshot = Database(path).begin_epoch()
    assert snapshot.revision >= seen[-1]
    names = {obj["metadata"]["name"] for obj in snapshot.objects if obj["kind"] == "ConfigMap"}
    assert {name.partition("-")[2] for name in names if name.startswith("left")} == {
        name.partition("-")[2] for name in names if name.startswith("right")
    }
    assert len(names) == snapshot.revision - 1
    assert snapshot.epoch == 2


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "store.sqlite"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(DatabaseError, match=r"store\.sqlite: the store cannot be opened: .*; stop .* start it anew"):
        Database(path)


def test_a_directory_that_cannot_be_written(tmp_path):
    with pytest.raises(DatabaseError, match="cannot be opened"):
        Database(tmp_path / "absent" / "store.sqlite")


def test_another_format_is_refused(tmp_path):
    path = tmp_path / "store.sqlite"
    Database(path).close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE meta SET value = 99 WHERE key = 'format'")
    connection.commit()
    connection.close()
    with pytest.raises(DatabaseError, match="format 99"):
        Database(path)


def test_a_broken_object_is_told(tmp_path):
    path = tmp_path / "store.sqlite"
    Database(path).close()
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO objects VALUES ('Pod', 'default', 'a', '{')")
    connection.commit()
    connection.close()
    with pytest.raises(DatabaseError, match="cannot be read"):
        Database(path).begin_epoch()
