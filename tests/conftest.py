"""What every test stands on: kernel tests skip or fail as a whole, and no process of the product outlives the tests."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

KERNEL_TOOLS = ("ip", "bridge", "iptables", "iptables-save", "iptables-restore", "ipset", "conntrack", "nft", "tcpdump")
REQUIRE_KERNEL = "PODWIRE_REQUIRE_KERNEL"
SESSION = "PODWIRE_TEST_SESSION"


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
    """Mark what the tests start, and keep its state away from the user's own clusters.

    A Unix socket's path has 107 bytes, hence a short directory and not pytest's own.
    """
    os.environ[SESSION] = str(os.getpid())
    os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="pw-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the session's state directory."""
    shutil.rmtree(os.environ["XDG_RUNTIME_DIR"])


def processes_of_session() -> Iterator[tuple[int, str]]:
    """Yield pid and command line of every live process that these tests started, daemons of it included.

    A process keeps the environment it was executed with in /proc, also when it forks or leaves its parent.
    """
    mark = f"{SESSION}={os.getpid()}".encode()
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            environment = (directory / "environ").read_bytes().split(b"\0")
            command = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:  # it has ended, or it is another user's
            continue
        if mark in environment and int(directory.name) != os.getpid():
            yield int(directory.name), command


@pytest.fixture(scope="session", autouse=True)
def no_process_left() -> Iterator[None]:
    """Fail the last test when a process that the tests started still lives after all of them."""
    yield
    left = list(processes_of_session())
    assert not left, f"processes left behind by the tests: {left}"
