"""What loading very many rules costs."""

from __future__ import annotations

import os
import subprocess

import pytest

from emulator.runtime.bench.rules import RULES_A_SERVICE, measure_rules


def test_at_least_so_many_rules_are_loaded() -> None:
    said: list[str] = []
    report = measure_rules(100, 2, kernel=False, say=said.append)
    assert 100 <= report.rules < 100 + RULES_A_SERVICE + 40
    assert 0 < report.load.minimum <= report.load.maximum
    assert report.update.minimum > 0
    assert report.save.minimum > 0
    assert report.kernel is None
    assert said[-1] == "loading, run 2 of 2 …"


@pytest.mark.kernel
def test_the_real_tool_loads_the_same_text_and_its_namespace_goes() -> None:
    report = measure_rules(100, 1, kernel=True, say=lambda _: None)
    assert report.kernel is not None
    assert report.kernel > 0
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    assert f"pwbench{os.getpid()}-" not in listed
