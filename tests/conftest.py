"""What every test stands on: kernel tests skip or fail as a whole, and no process of the product outlives the tests."""

from __future__ import annotations

import functools
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

KERNEL_TOOLS = (
    *("ip", "bridge", "iptables", "iptables-save", "iptables-restore", "ipset", "conntrack", "nft", "tcpdump"),
    *("dig", "host", "nslookup"),
)
REQUIRE_KERNEL = "PODWIRE_REQUIRE_KERNEL"
SESSION = "PODWIRE_TEST_SESSION"
ENDING_SECONDS = 3.0


@functools.cache
def missing_for_kernel_tests() -> str:
    """Return what this machine lacks for tests marked `kernel`, as words for a skip reason; empty: nothing."""
    if os.geteuid() != 0:
        return "root"
    tools = [tool for tool in KERNEL_TOOLS if shutil.which(tool) is None]
    if tools:
        return "the commands " + ", ".join(tools)
    command = ["unshare", "--net", "ip", "link", "set", "lo", "up"]
    probe = subprocess.run(command, check=False, capture_output=True, text=True)
    if probe.returncode != 0:
        return f"the right to make network namespaces ({probe.stderr.strip()})"
    return ""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a kernel test where it cannot run, or fail it where it must (PODWIRE_REQUIRE_KERNEL=1)."""
    if item.get_closest_marker("kernel") is None:
        return
    missing = missing_for_kernel_tests()
    if not missing:
        return
    if os.environ.get(REQUIRE_KERNEL) == "1":
        pytest.fail(
            f"kernel tests are required here ({REQUIRE_KERNEL}=1), but this machine lacks {missing}", pytrace=False
        )
    pytest.skip(f"kernel test: this machine lacks {missing}")


def pytest_configure(config: pytest.Config) -> None:
    """Give the session a state directory, away from the user's own clusters; its path marks what the tests start.

    With pytest-xdist each worker is a session of its own. Where kernel tests must run (CI), what is drawn is the same
    in each run: a find of another draw is for `scripts/oracle` and for whoever runs the tests, and stops no landing.

    A Unix socket's path has 107 bytes, hence a short directory and not pytest's own.
    """
    directory = tempfile.mkdtemp(prefix="pw-")
    if config.option.basetemp is None:
        config.option.basetemp = f"{directory}/t"  # what tests start has sockets below it, too
    os.environ["XDG_RUNTIME_DIR"] = directory
    os.environ[SESSION] = directory
    too_slow = [HealthCheck.too_slow]  # how quick a machine is that does other work is no test's matter
    settings.register_profile("patient", deadline=None, suppress_health_check=too_slow)
    settings.register_profile("repeatable", settings.get_profile("patient"), derandomize=True)
    settings.load_profile("repeatable" if os.environ.get(REQUIRE_KERNEL) == "1" else "patient")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the session's state directory."""
    shutil.rmtree(os.environ[SESSION])


def processes_of_session() -> Iterator[tuple[int, str]]:
    """Yield pid and command line of every live process that these tests started, daemons among them included.

    /proc shows the environment that a process was executed with, also after it forked or left its parent.
    """
    mark = f"{SESSION}={os.environ[SESSION]}".encode()
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            environment = (directory / "environ").read_bytes().split(b"\0")
            command = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:  # it has ended, or it is another user's
            continue
        if mark in environment and int(directory.name) != os.getpid():
            yield int(directory.name), command


def ended(pid: int, deadline: float) -> bool:
    """Wait until a process ends or the deadline (time.monotonic) passes; true if it ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        readable, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        if not readable:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        return bool(readable)
    finally:
        os.close(descriptor)


@pytest.fixture(scope="session", autouse=True)
def no_process_left() -> Iterator[None]:
    """Kill what the tests started and left running after all of them, and fail with its command lines."""
    yield
    deadline = time.monotonic() + ENDING_SECONDS
    left = [command for pid, command in processes_of_session() if not ended(pid, deadline)]
    assert not left, "processes left behind by the tests, now killed:\n" + "\n".join(left)
