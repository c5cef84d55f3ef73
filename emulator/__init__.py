"""Podwire: a Kubernetes cluster's network in user space, packet by packet, each node a process of its own."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.runtime.cluster.cluster import Cluster
    from emulator.runtime.traffic.load import Load
    from emulator.runtime.traffic.report import Report

__all__ = ["Cluster", "Load", "Report", "__version__"]

__version__ = "0.1.0"


_MODULES = {
    "Cluster": "emulator.runtime.cluster.cluster",
    "Load": "emulator.runtime.traffic.load",
    "Report": "emulator.runtime.traffic.report",
}


def __getattr__(name: str) -> object:
    """Import the Python API when it is first asked for: the command line has no use for it, and trio takes its time."""
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
