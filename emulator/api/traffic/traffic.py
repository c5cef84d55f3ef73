"""Scripted traffic as values: what a traffic file says (`file.py`), and what Python scripts make too."""

from __future__ import annotations

import enum
from pathlib import Path

from msgspec import Struct

from emulator.api.messages.load import LoadPace, LoadTarget
from emulator.api.traffic.assertion import Assertion

DEFAULT_DURATION = 10.0
DEFAULT_NAMESPACE = "default"


class LoadSpec(Struct, frozen=True, kw_only=True):
    """Requests of some clients to some targets; `start` in seconds after the beginning.

    `clients` are written as for `emulator exec`, but mean all pods of a workload or Service, or are a label selector.
    `rate` (requests a second; 0: closed loop), `concurrency` (requests under way in a closed loop) and `requests` (how
    many at most, 0: no limit) are of all clients together.
    """

    name: str
    clients: tuple[str, ...]
    targets: tuple[LoadTarget, ...]
    pace: LoadPace
    rate: float = 0.0
    concurrency: int = 1
    requests: int = 0
    start: float = 0.0


class Verb(enum.Enum):
    """What a phase does; `RESTART` is `kubectl rollout restart`."""

    APPLY = "apply"
    DELETE = "delete"
    SCALE = "scale"
    RESTART = "restart"


class Phase(Struct, frozen=True, kw_only=True):
    """A change of the cluster, `at` seconds after the beginning: of `KIND/NAME`, or by the manifest `file`."""

    at: float
    verb: Verb
    what: str = ""
    replicas: int = 0
    file: Path | None = None

    def __str__(self) -> str:
        what = str(self.file) if self.file is not None else self.what
        return f"{self.verb.value} {what}" + (f" to {self.replicas}" if self.verb is Verb.SCALE else "")


class Scenario(Struct, frozen=True, kw_only=True):
    """A whole traffic file. Its manifests are applied first and removed at the end; `seed` decides what is drawn."""

    name: str
    description: str = ""
    namespace: str = DEFAULT_NAMESPACE
    seed: int = 0
    manifests: tuple[Path, ...] = ()
    loads: tuple[LoadSpec, ...] = ()
    phases: tuple[Phase, ...] = ()
    assertions: tuple[Assertion, ...] = ()
    source: str = ""
