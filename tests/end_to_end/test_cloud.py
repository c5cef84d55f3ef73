"""What lies outside the nodes, as a process among others: it is reached, killed, and comes back."""

import os
import signal

import pytest

from .conftest import Running, wait_until

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(120)]


def test_killed_cloud_comes_back_and_the_nodes_never_noticed(running: Running) -> None:
    def web() -> str:
        return running.run("exec", "client", "--", "curl", "-s", "--max-time", "5", "http://example.com/").stdout

    wait_until(lambda: "RemoteAddr: 198.51.100.2:" in web())
    assert "1 received" in running.run("exec", "host/example.com", "--", "ping", "-c", "1", "1.1.1.1").stdout
    pid = running.pids()["cloud"]
    os.kill(pid, signal.SIGKILL)
    assert {running.ask() for _ in range(5)} <= running.pods()
    wait_until(lambda: running.pids()["cloud"] not in (0, pid))
    wait_until(lambda: "Hostname: example.com" in web())
    assert "src=" in running.run("exec", "host/gateway", "--", "conntrack", "-L").stdout
