"""What the command line knows of itself and of the cluster that is meant."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from emulator.cli.session import Session


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / ".venv" / "bin" / "emulator"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", "/nowhere")
    return program


def test_what_is_suggested_can_be_pasted_where_the_command_is_not_on_the_path(installed: Path) -> None:
    assert Session().program == ".venv/bin/emulator"
    assert Session(state_dir="/tmp/a b").program == ".venv/bin/emulator --state-dir '/tmp/a b'"


def test_from_elsewhere_it_is_suggested_by_its_whole_path(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert Session().program == str(installed).removeprefix("/")
    (installed.parent.parent.parent / "below").mkdir()
    monkeypatch.chdir(installed.parent.parent.parent / "below")
    assert Session().program == str(installed)


def test_on_the_path_its_name_is_enough(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join(("/nowhere", str(installed.parent))))
    assert Session(cluster="shop").program == "emulator --cluster shop"
