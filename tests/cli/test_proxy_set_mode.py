"""`emulator proxy set-mode` on a real cluster, and how `status` shows the mode."""

from __future__ import annotations

import json

import pytest

from emulator.kube.proxy.modes import MODES

from .conftest import Ask


@pytest.mark.end_to_end
def test_the_mode_of_a_running_cluster_is_changed(ask: Ask) -> None:
    assert "kube-proxy in iptables mode" in ask.ok("status")
    for mode in [*MODES][::-1]:  # ends where it began
        assert ask.ok("proxy", "set-mode", mode) == f"kube-proxy is running in {mode} mode\n"
        assert json.loads(ask.ok("status", "-o", "json"))["overview"]["proxy_mode"] == mode
        assert "Hostname: web-" in ask.ok("exec", "client", "--", "curl", "-s", "http://web/")
        assert ask.ok("proxy", "set-mode", mode, "--no-wait") == f"kube-proxy is to run in {mode} mode\n"
    assert "mode: iptables" in ask.ok("get", "cm", "kube-proxy", "-n", "kube-system", "-o", "yaml")
    refused = ask("proxy", "set-mode", "userspace")
    assert refused.status == 2
    assert "'userspace' is not one of 'iptables'" in refused.err
