"""Runs the probes of all pods: which are due, and what their answers mean for the containers.

Source: pkg/kubelet/prober (prober.go for the words of events, prober_manager.go for the trigger of readiness probes).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from emulator.kube.kubelet.action import Action, ReportEvent, RunProbe
from emulator.kube.kubelet.capabilities import Capabilities
from emulator.kube.kubelet.prober import Outcome, ProbeKind, ProbeWorker
from emulator.kube.kubelet.record import SERVES, ContainerRecord, PodRecord, probes
from emulator.kube.reconciler import Moment

_GOLDEN = 0x9E3779B97F4A7C15


class Prober:
    """The probes of one node's pods."""

    def __init__(self, capabilities: Capabilities) -> None:
        self._capabilities = capabilities
        self._began: float | None = None
        self._drawn = 0

    def add(self, record: PodRecord, container: ContainerRecord, moment: Moment) -> None:
        """Make the workers of a container that has come to this node.

        For pods that come while the kubelet itself is younger than a probe's period the first tick is drawn, so that
        not all of them are probed at one time; others tick from now on.
        """
        if self._began is None:
            self._began = moment.monotonic
        for kind, name, probe in probes(container.container):
            if not self._capabilities.runs_probe(container.container, probe):
                record.skipped_probes.append(f"{container.container.name} {name}")
                continue
            period = float(probe.period_seconds or 10)
            first = moment.monotonic + period
            if period > moment.monotonic - self._began:
                first = moment.monotonic + period * self._draw(moment)
            container.workers[kind] = ProbeWorker(kind, probe, first)

    def _draw(self, moment: Moment) -> float:
        """Return a number from 0 to 1, another one at each call."""
        self._drawn += 1
        return ((moment.random_bits ^ (self._drawn * _GOLDEN)) & (2**64 - 1)) / 2**64

    def on_started(self, uid: str, record: PodRecord, container: ContainerRecord, now: float) -> Iterable[Action]:
        """The container has started: its readiness is asked at once, the others wait for their next ticks."""
        for worker in container.workers.values():
            worker.tick_after(now)
        return list(self._ask(uid, record, container, ProbeKind.READINESS, now))

    def tick(self, uid: str, record: PodRecord, now: float) -> Iterator[Action]:
        """Ask what is due in a pod."""
        for container in record.containers.values():
            for kind, worker in container.workers.items():
                if worker.next_tick <= now:
                    worker.tick_after(now)
                    yield from self._ask(uid, record, container, kind, now)

    def next_tick(self, record: PodRecord) -> float | None:
        """Return when a probe of the pod is next due."""
        return min(
            (
                worker.next_tick
                for container in record.containers.values()
                if container.state in SERVES
                for worker in container.workers.values()
                if _waits_for_tick(record, container, worker)
            ),
            default=None,
        )

    def take(
        self,
        uid: str,
        record: PodRecord,
        container: ContainerRecord,
        kind: ProbeKind,
        outcome: Outcome,
        message: str,
        now: float,
    ) -> tuple[list[Action], bool]:
        """Take an answer. Returns what is to be told and asked next, and whether the container is to be ended."""
        worker = container.workers[kind]
        was_started = container.started
        is_set = worker.take(outcome)
        actions: list[Action] = []
        name = container.container.name
        text = _told(kind, outcome, message)
        if text:
            reason = "ProbeWarning" if outcome is Outcome.WARNING else "Unhealthy"
            actions.append(ReportEvent(record.key, uid, reason, text, name, warning=True))
        if container.started and not was_started:
            actions += self.on_started(uid, record, container, now)
        elif worker.again:
            worker.again = False
            actions += self._ask(uid, record, container, kind, now)
        return actions, is_set and not worker.passed and kind is not ProbeKind.READINESS

    def _ask(
        self, uid: str, record: PodRecord, container: ContainerRecord, kind: ProbeKind, now: float
    ) -> Iterator[Action]:
        """Have a probe run, if it may. One that is still under way runs again as soon as it has its answer."""
        worker = container.workers.get(kind)
        if worker is None or container.state not in SERVES:
            return
        ran_for = now - container.started_monotonic
        if not worker.may_run(started=container.started, ran_for=ran_for, terminating=record.terminating):
            return
        if worker.in_flight:
            worker.again = True
            return
        worker.in_flight = True
        yield RunProbe(uid, container.container, kind, worker.probe, container.restart_count)


def _waits_for_tick(record: PodRecord, container: ContainerRecord, worker: ProbeWorker) -> bool:
    return worker.may_run(
        started=container.started, ran_for=float(worker.probe.initial_delay_seconds), terminating=record.terminating
    )


def _told(kind: ProbeKind, outcome: Outcome, message: str) -> str:
    match outcome:
        case Outcome.SUCCESS:
            return ""
        case Outcome.WARNING:
            return f"{kind.value} probe warning: {message}"
        case Outcome.FAILURE:
            return f"{kind.value} probe failed: {message}"
        case Outcome.ERROR:
            return f"{kind.value} probe errored: {message}" if message else ""
