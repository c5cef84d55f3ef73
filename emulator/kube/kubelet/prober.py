"""One probe of one container: when it runs, and what its answers add up to.

A worker ticks every period from when its pod came to the node, whatever its container does meanwhile; a tick at which
the container cannot be asked is passed over. Source: pkg/kubelet/prober (worker.go, prober_manager.go).
"""

from __future__ import annotations

import enum
import math

from emulator.api.objects.container import Probe

_SLACK = 1e-6  # seconds by which sums of times may be off


class ProbeKind(enum.Enum):
    """What a probe decides; the value is how the kubelet's events name it."""

    STARTUP = "Startup"  # whether the container counts as started: until then the others wait
    READINESS = "Readiness"  # whether it gets traffic
    LIVENESS = "Liveness"  # whether it is to be restarted


class Outcome(enum.Enum):
    """What one run of a probe found."""

    SUCCESS = "success"
    WARNING = "warning"  # success with something to tell
    FAILURE = "failure"
    ERROR = "error"  # the probe itself could not be run: this says nothing of the container


class ProbeWorker:
    """A probe's state. `passed` is what the kubelet goes by: it changes only where a threshold is met."""

    __slots__ = ("again", "in_flight", "kind", "last", "next_tick", "on_hold", "passed", "period", "probe", "streak")

    def __init__(self, kind: ProbeKind, probe: Probe, first_tick: float) -> None:
        self.kind = kind
        self.probe = probe
        self.period = float(probe.period_seconds or 10)
        self.next_tick = first_tick
        self.last: bool | None = None
        self.streak = 0
        self.renew()

    def renew(self) -> None:
        """Begin anew, for a new run of the container. As in Kubernetes, how often the last answer came is kept."""
        self.passed = self.kind is ProbeKind.LIVENESS
        self.on_hold = False
        self.in_flight = False
        self.again = False

    def tick_after(self, now: float) -> None:
        """Pass over the ticks up to now."""
        if self.next_tick <= now + _SLACK:
            self.next_tick += self.period * math.floor((now + _SLACK - self.next_tick) / self.period + 1)

    def may_run(self, *, started: bool, ran_for: float, terminating: bool) -> bool:
        """Whether a container that runs for so many seconds may be asked now."""
        if self.on_hold or (terminating and self.kind is not ProbeKind.READINESS):
            return False
        if int(ran_for + _SLACK) < self.probe.initial_delay_seconds:
            return False
        return started is (self.kind is not ProbeKind.STARTUP)

    def take(self, outcome: Outcome) -> bool:
        """Count an answer; True if `passed` was set by it, to the same value or another."""
        self.in_flight = False
        if outcome is Outcome.ERROR:
            return False
        success = outcome is not Outcome.FAILURE
        self.streak = self.streak + 1 if self.last is success else 1
        self.last = success
        if self.streak < ((self.probe.success_threshold or 1) if success else (self.probe.failure_threshold or 3)):
            return False
        self.passed = success
        if not success and self.kind is not ProbeKind.READINESS:
            self.on_hold = True  # until the container that it ends has been started anew
            self.streak = 0
        return True
