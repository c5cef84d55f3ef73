"""What one run of the command line knows: which cluster is meant, and how its processes are reached."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.cli.client import Client
    from emulator.runtime.state_directory import StateDirectory

CLOUD = "cloud"
CONTROLLER = "controller"
SUPERVISOR = "supervisor"
NAME = "emulator"


@dataclass(slots=True)
class Session:
    """The global options; what they lead to is found when it is first asked for."""

    state_dir: str | None = None
    cluster: str | None = None
    _directory: StateDirectory | None = field(default=None, repr=False)

    @property
    def directory(self) -> StateDirectory:
        """The state directory of the cluster that is meant. Raises StateDirectoryError, which says what to do."""
        if self._directory is None:
            from emulator.runtime.state_directory import find

            self._directory = find(self.cluster, self.state_dir)
        return self._directory

    @property
    def program(self) -> str:
        """How the command is called for this cluster, for what is suggested to the user."""
        options = (("--state-dir", self.state_dir), ("--cluster", self.cluster))
        return " ".join([_called(), *(f"{name} {shlex.quote(value)}" for name, value in options if value)])

    def controller(self) -> Client:
        """Connect to the controller. Raises ControlError (UNAVAILABLE)."""
        return self._connect(CONTROLLER)

    def supervisor(self) -> Client:
        """Connect to the supervisor. Raises ControlError (UNAVAILABLE)."""
        return self._connect(SUPERVISOR)

    def node(self, name: str) -> Client:
        """Connect to a node, or to the cloud. Raises ControlError (UNAVAILABLE)."""
        return self._connect(name)

    def _connect(self, process: str) -> Client:
        from emulator.cli.client import Client

        return Client(self.directory.socket(process), process)


def _called() -> str:
    """Return what a shell finds this command by: its name, or its path where it is not on the PATH (a `.venv`)."""
    import os
    import shutil
    import sys

    path = sys.argv[0]
    if os.path.basename(path) != NAME or shutil.which(NAME) is not None:
        return NAME
    relative = os.path.relpath(path)
    return shlex.quote(path if relative.startswith(os.pardir) else relative)
