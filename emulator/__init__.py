"""Podwire: a Kubernetes cluster's network in user space, packet by packet, each node a process of its own."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.runtime.cluster.cluster import Cluster

__all__ = ["Cluster", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import `Cluster` when it is first asked for: the command line has no use for it, and trio takes its time."""
    if name == "Cluster":
        return import_module("emulator.runtime.cluster.cluster").Cluster
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
