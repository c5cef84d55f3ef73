"""The pytest plugin: a `cluster` fixture for tests of one's own manifests, programs and rules (docs/testing.md).

Loaded with every pytest run where Podwire is installed, so it imports nothing until a test asks for the fixture. Tests
that use it are trio tests (pytest-trio).
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from emulator.api.cluster_file import ClusterConfig
    from emulator.runtime.cluster.cluster import Cluster

REAL_OPTION = "--podwire-real"
MARK = "podwire"
_NODES = 2
_WORDS = ("config", "nodes", "manifests", "app_path", "proxy_mode", "seed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run choose real processes."""
    group = parser.getgroup("podwire")
    group.addoption(
        REAL_OPTION, action="store_true", help="run the `cluster` fixture on real processes, not simulated in this one"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", f"{MARK}({', '.join(_WORDS)}): the cluster that the `cluster` fixture starts")


@pytest.fixture
def podwire_needs_trio(request: pytest.FixtureRequest) -> None:
    """Say what is missing where nothing would await the fixture."""
    if not request.config.pluginmanager.hasplugin("trio"):
        pytest.fail("the `cluster` fixture needs pytest-trio: pip install pytest-trio", pytrace=False)
    if request.node.get_closest_marker("trio") is None:
        pytest.fail(
            "the `cluster` fixture is for trio tests: write `async def` and @pytest.mark.trio, or set"
            " trio_mode = true in pytest's configuration",
            pytrace=False,
        )


@pytest.fixture
def cluster_config(request: pytest.FixtureRequest) -> ClusterConfig | str | Path:
    """The cluster that `cluster` starts, by the test's mark: two nodes without manifests if it has none.

    Override it with a cluster file's path or a ClusterConfig.
    """
    mark = request.node.get_closest_marker(MARK)
    return _config({} if mark is None else mark.kwargs, () if mark is None else mark.args, request.path.parent)


@pytest.fixture
async def cluster(
    request: pytest.FixtureRequest,
    podwire_needs_trio: None,  # noqa: ARG001  looked at first
    cluster_config: ClusterConfig | str | Path,
) -> AsyncIterator[Cluster]:
    """A cluster that is ready, for one test: simulated, on the test's clock, unless --podwire-real is given."""
    import trio
    from trio.testing import MockClock

    from emulator.runtime.cluster.cluster import Cluster

    simulate = not request.config.getoption(REAL_OPTION, default=False)
    if not simulate and isinstance(trio.lowlevel.current_clock(), MockClock):
        pytest.skip(f"a mock clock is for simulated clusters, and {REAL_OPTION} asks for real processes")
    async with Cluster.start(cluster_config, simulate=simulate) as started:
        yield started


def _config(said: Mapping[str, Any], words: Sequence[object], directory: Path) -> ClusterConfig:
    """Make a configuration of a mark; paths are relative to the test's directory. What is wrong ends the test."""
    from msgspec.structs import replace

    from emulator.api.cluster_file import PROXY_MODES, ClusterConfig, NodeConfig, read_cluster_file

    unknown = [*map(repr, words), *(word for word in said if word not in _WORDS)]
    if unknown:
        _refuse(f"{', '.join(unknown)} is none of {', '.join(_WORDS)}")
    if "config" in said:
        config = read_cluster_file(directory / said["config"])
    else:
        nodes = said.get("nodes", _NODES)
        names = [f"node-{chr(ord('a') + index)}" for index in range(nodes)] if isinstance(nodes, int) else nodes
        config = ClusterConfig(
            name=f"pytest-{os.getpid()}", nodes=tuple(map(NodeConfig, names)), app_path=(directory.resolve(),)
        )
    if said.get("proxy_mode", config.proxy_mode) not in PROXY_MODES:
        _refuse(f"proxy_mode is one of {', '.join(PROXY_MODES)}")
    changes: dict[str, Any] = {key: said[key] for key in ("proxy_mode", "seed") if key in said}
    if "manifests" in said:
        changes["manifests"] = tuple(_paths(said["manifests"], directory, "manifests"))
    if "app_path" in said:
        changes["app_path"] = tuple(_paths(said["app_path"], directory, "app_path"))
    return replace(config, **changes)


def _refuse(what: str) -> NoReturn:
    pytest.fail(f"@pytest.mark.{MARK}: {what}", pytrace=False)


def _paths(given: Sequence[str | Path], directory: Path, key: str) -> list[Path]:
    if isinstance(given, str):
        _refuse(f'{key} is a list: ["{given}"]')
    paths = [(directory / each).resolve() for each in given]
    for path in paths:
        if not path.exists():
            _refuse(f"{key}: there is no {path}")
    return paths
