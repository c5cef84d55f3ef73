"""How the Python API reaches a cluster's processes: Unix sockets of real ones, memory streams of simulated ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import trio
from msgspec import Struct

from emulator.runtime.control.memory_listener import MemoryListener
from emulator.runtime.state_directory import CONTROLLER, StateDirectory


class Backend(Protocol):
    """Opens control connections."""

    async def controller(self) -> trio.abc.Stream:
        """Connect to the controller. Raises OSError."""

    async def node(self, name: str) -> trio.abc.Stream:
        """Connect to a node. Raises OSError."""


class UnixBackend(Struct, frozen=True):
    """The sockets in a state directory."""

    directory: StateDirectory

    async def controller(self) -> trio.abc.Stream:
        """Connect to the controller's socket."""
        return await trio.open_unix_socket(str(self.directory.socket(CONTROLLER)))

    async def node(self, name: str) -> trio.abc.Stream:
        """Connect to a node's socket."""
        return await trio.open_unix_socket(str(self.directory.socket(name)))


class MemoryBackend(Struct, frozen=True):
    """The listeners of processes that are tasks here, by name; one that comes again listens anew."""

    listeners: Mapping[str, MemoryListener]

    async def controller(self) -> trio.abc.Stream:
        """Connect to the controller."""
        return await self.listeners[CONTROLLER].connect()

    async def node(self, name: str) -> trio.abc.Stream:
        """Connect to a node."""
        return await self.listeners[name].connect()
