"""A traffic script on real processes, as a user runs it."""

import json
from pathlib import Path

import pytest

from .conftest import Running

SCRIPTS = Path(__file__).parents[2] / "scripts" / "traffic"
pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(180)]


def test_an_update_as_kubernetes_advises_loses_no_request_and_one_without_does(running: Running) -> None:
    told = running.run("traffic", "run", str(SCRIPTS / "rolling-update.toml"), "-o", "json", within=150)
    assert told.returncode == 0, told.stdout + told.stderr
    report = json.loads(told.stdout)
    failed = {load["name"]: load["failed"] for load in report["loads"]}
    assert failed["careful-new"] == failed["careful-kept"] == 0
    assert failed["careless-new"] > 0
    assert [event["text"] for event in report["events"]][-1].endswith("is rolled out")
    assert "traffic-update" not in running.run("get", "namespaces", "-o", "name").stdout
