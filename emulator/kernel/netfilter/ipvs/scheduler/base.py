"""What a scheduler is asked, and what it is told about its service (`struct ip_vs_scheduler`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipvs.service import Destination, Service

FALLBACK, PORT = 1, 2  # bits of `ServiceOptions.scheduler_flags`, for sh and mh (IP_VS_SVC_F_SCHED1 and 2)


class Scheduler:
    """The scheduler of one service. Schedulers that remember nothing implement `schedule` only."""

    name: ClassVar[str]

    def __init__(self, service: Service) -> None:
        self.service = service

    def schedule(self, caddr: int, cport: int, vaddr: int) -> Destination | None:
        """Return the real server for a new connection of a client to a service's address; None if none may have it."""
        raise NotImplementedError

    def added(self, destination: Destination) -> None:
        """A real server was put in front of the others."""
        self.updated(destination)

    def removed(self, destination: Destination, place: int) -> None:
        """A real server was taken from its place among `destinations`."""
        self.updated(destination)

    def updated(self, destination: Destination) -> None:
        """A real server has another weight or other thresholds."""


def takes_new(destination: Destination) -> bool:
    """Whether a real server may have new connections: its weight is not zero, and it is not over its threshold."""
    return destination.weight > 0 and not destination.overloaded
