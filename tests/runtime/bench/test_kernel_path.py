"""The comparison with the real kernel."""

from __future__ import annotations

import os
import subprocess

import pytest

from emulator.runtime.bench.kernel_path import measure_kernel, missing


def namespaces() -> str:
    return subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout


@pytest.mark.kernel
def test_packets_go_through_the_kernel_and_the_namespaces_go_away() -> None:
    transfer = measure_kernel(500, 64)
    assert transfer.sent == 500
    assert 0 < transfer.delivered <= 500
    assert transfer.seconds > 0
    assert f"pwbench{os.getpid()}-" not in namespaces()


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert missing() == "only root can make network namespaces"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", "/nowhere")
    assert missing() == "ip and iptables cannot be found"
