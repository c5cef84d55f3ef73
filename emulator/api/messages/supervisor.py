"""What is asked of the supervisor: the processes of the cluster, and its end."""

from __future__ import annotations

from msgspec import Struct, field

from emulator.api.messages.envelope import Empty, Method


class ProcessStatus(Struct, frozen=True, kw_only=True):
    """One process of the cluster; `state` is starting, running, restarting or stopped."""

    name: str
    role: str
    pid: int
    state: str
    restarts: int = 0
    uptime: float = 0.0
    last_exit: str = ""


class SupervisorStatusResult(Struct, frozen=True, kw_only=True):
    """The processes of a cluster; `ready` once all nodes and pods were."""

    cluster: str
    pid: int
    ready: bool
    uptime: float
    state_directory: str
    processes: tuple[ProcessStatus, ...] = field(default=())


SUPERVISOR_STATUS = Method("status", Empty, Empty, SupervisorStatusResult)
STOP = Method("stop", Empty, Empty, Empty)
