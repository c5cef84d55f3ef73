"""Probes: when each runs, what its answers do to the pod, and in which words the kubelet tells of it."""

from collections.abc import Sequence
from typing import Any

import pytest

from emulator.api.messages import Object
from emulator.kube.kubelet.action import Action, RunProbe
from emulator.kube.kubelet.deadlines import Deadlines
from emulator.kube.kubelet.kubelet import Kubelet
from emulator.kube.kubelet.prober import Outcome, ProbeKind
from tests.kube.test_kubelet import HOST, at, condition, deleted, events, kinds, last_status, pod, stops

OLD = 1000.0
"""A kubelet that has run for longer than any period: ticks are not drawn."""


class Story:
    """One pod with probes on a kubelet; probes are answered by `answers`."""

    def __init__(self, obj: Object, *, age: float = OLD) -> None:
        self.kubelet = Kubelet("node-a", HOST)
        self.kubelet.sync([pod("first")], at())
        self.obj = obj
        self.now = age
        self.asked: list[tuple[float, ProbeKind]] = []
        self.answers: dict[ProbeKind, Outcome] = dict.fromkeys(ProbeKind, Outcome.SUCCESS)
        self.told: list[str] = []
        self.status: Object = {}
        self.stopped: list[float] = []
        self.do(self.kubelet.sync([pod("first"), obj], at(self.now)))
        self.do(self.kubelet.sandbox_ready("uid-p", "10.244.0.5", at(self.now)))
        self.start()

    def start(self) -> None:
        self.do(self.kubelet.container_started("uid-p", "main", at(self.now)))

    def do(self, actions: Sequence[Action]) -> None:
        self.told += events(actions)
        self.stopped += [stop.grace for stop in stops(actions)]
        if "ReportStatus" in [type(action).__name__ for action in actions]:
            self.status = last_status(actions)
        for action in actions:
            if isinstance(action, RunProbe):
                self.asked.append((round(self.now - OLD, 3), action.kind))
                answer = self.answers[action.kind]
                self.do(
                    self.kubelet.probed(
                        action.uid, "main", action.kind, action.restart_count, answer, "it said so", at(self.now)
                    )
                )

    def run_until(self, end: float) -> None:
        while (due := self.kubelet.next_deadline()) is not None and due <= OLD + end:
            self.now = due
            self.do(self.kubelet.tick(at(due)))
        self.now = OLD + end

    def times(self, kind: ProbeKind) -> list[float]:
        return [time for time, asked in self.asked if asked is kind]

    @property
    def ready(self) -> bool:
        return bool(condition(self.status, "Ready")["status"] == "True")

    @property
    def container(self) -> Object:
        container: Object = self.status["containerStatuses"][0]
        return container


def probed_pod(**probes: Any) -> Object:
    obj = pod(terminationGracePeriodSeconds=30)
    obj["spec"]["containers"][0] |= {
        f"{name}Probe": {"httpGet": {"port": 80}} | probe for name, probe in probes.items()
    }
    return obj


def test_readiness_is_asked_at_once_and_then_every_period() -> None:
    story = Story(probed_pod(readiness={"periodSeconds": 5}))
    assert story.ready
    story.run_until(12)
    assert story.times(ProbeKind.READINESS) == [0, 5, 10]


def test_a_pod_is_unready_until_its_probe_passes_and_after_it_failed_often_enough() -> None:
    obj = probed_pod(readiness={"periodSeconds": 5, "failureThreshold": 2, "successThreshold": 2})
    story = Story(obj)
    assert not story.ready
    message = condition(story.status, "Ready")["message"]
    assert message == "containers with unready status: [main]"
    story.run_until(5)
    assert story.ready
    story.answers[ProbeKind.READINESS] = Outcome.FAILURE
    story.run_until(10)
    assert story.ready, "once is not often enough"
    story.run_until(15)
    assert not story.ready
    assert story.told[-2:] == ["Unhealthy: Readiness probe failed: it said so"] * 2
    assert story.container["state"] == {"running": {"startedAt": at(OLD).wall}}
    assert story.stopped == []


def test_liveness_ends_the_container_which_starts_again_with_probes_anew() -> None:
    story = Story(probed_pod(liveness={"periodSeconds": 10, "failureThreshold": 3}, readiness={"periodSeconds": 100}))
    story.answers[ProbeKind.LIVENESS] = Outcome.FAILURE
    story.run_until(35)
    assert story.times(ProbeKind.LIVENESS) == [10, 20, 30], "nothing is asked while it ends"
    assert story.told[-1] == "Killing: Container main failed liveness probe, will be restarted"
    assert story.stopped == [30]
    assert story.ready, "it serves until it has ended"
    story.do(story.kubelet.container_exited("uid-p", "main", 137, "", at(story.now)))
    assert not story.ready
    story.start()
    assert story.ready
    assert story.container["restartCount"] == 1
    assert story.container["lastState"]["terminated"]["exitCode"] == 137
    story.run_until(59)
    assert story.times(ProbeKind.LIVENESS) == [10, 20, 30, 40, 50]


def test_a_probe_may_have_a_grace_period_of_its_own() -> None:
    story = Story(probed_pod(liveness={"failureThreshold": 1, "terminationGracePeriodSeconds": 3}))
    story.answers[ProbeKind.LIVENESS] = Outcome.FAILURE
    story.run_until(10)
    assert story.stopped == [3]


def test_a_container_that_may_not_restart_is_not_said_to() -> None:
    obj = probed_pod(liveness={"failureThreshold": 1})
    obj["spec"]["restartPolicy"] = "Never"
    story = Story(obj)
    story.answers[ProbeKind.LIVENESS] = Outcome.FAILURE
    story.run_until(10)
    assert story.told[-1] == "Killing: Container main failed liveness probe"
    story.do(story.kubelet.container_exited("uid-p", "main", 143, "", at(story.now)))
    assert story.status["phase"] == "Failed"


def test_startup_holds_the_others_back_until_it_passes() -> None:
    story = Story(
        probed_pod(startup={"periodSeconds": 4, "failureThreshold": 10}, readiness={"periodSeconds": 7}, liveness={})
    )
    story.answers[ProbeKind.STARTUP] = Outcome.FAILURE
    story.run_until(11)
    assert story.asked == [(4, ProbeKind.STARTUP), (8, ProbeKind.STARTUP)]
    assert not story.container["started"]
    story.answers[ProbeKind.STARTUP] = Outcome.SUCCESS
    story.run_until(12)
    assert story.asked[2:] == [(12, ProbeKind.STARTUP), (12, ProbeKind.READINESS)], "readiness follows at once"
    assert story.container["started"]
    assert story.ready
    story.run_until(21)
    assert story.asked[4:] == [(14, ProbeKind.READINESS), (20, ProbeKind.LIVENESS), (21, ProbeKind.READINESS)]


def test_a_container_that_does_not_start_in_time_is_ended() -> None:
    story = Story(probed_pod(startup={"periodSeconds": 1, "failureThreshold": 3}))
    story.answers[ProbeKind.STARTUP] = Outcome.FAILURE
    story.run_until(9)
    assert story.times(ProbeKind.STARTUP) == [1, 2, 3]
    assert story.told[-1] == "Killing: Container main failed startup probe, will be restarted"


def test_the_initial_delay_passes_over_ticks() -> None:
    story = Story(probed_pod(readiness={"periodSeconds": 4, "initialDelaySeconds": 6}))
    assert not story.ready
    story.run_until(12)
    assert story.times(ProbeKind.READINESS) == [8, 12]


def test_the_first_ticks_of_a_young_kubelet_are_spread() -> None:
    kubelet = Kubelet("node-a", HOST)
    ticks = []
    for number in range(50):
        obj = probed_pod(liveness={"periodSeconds": 10})
        obj["metadata"] |= {"name": f"p{number}", "uid": f"uid-{number}"}
        kubelet.sync([obj], at())
        kubelet.sandbox_ready(f"uid-{number}", "10.244.0.5", at())
        kubelet.container_started(f"uid-{number}", "main", at())
        ticks.append(kubelet.next_deadline())
        kubelet.sync([], at())
        kubelet.container_exited(f"uid-{number}", "main", 0, "", at())
    assert len({round(tick or 0) for tick in ticks}) > 8
    assert kubelet.next_deadline() is None, "nothing is left of pods that went"


def test_a_probe_that_could_not_run_says_nothing_of_the_container() -> None:
    story = Story(probed_pod(liveness={"failureThreshold": 1}))
    story.answers[ProbeKind.LIVENESS] = Outcome.ERROR
    story.run_until(30)
    assert story.stopped == []
    assert story.told[-1] == "Unhealthy: Liveness probe errored: it said so"


def test_a_warning_counts_as_success_and_is_told() -> None:
    obj = probed_pod(readiness={})
    story = Story(obj)
    story.answers[ProbeKind.READINESS] = Outcome.WARNING
    story.run_until(10)
    assert story.ready
    assert story.told[-1] == "ProbeWarning: Readiness probe warning: it said so"


def test_while_a_pod_ends_only_readiness_is_asked() -> None:
    obj = probed_pod(readiness={"periodSeconds": 5}, liveness={"periodSeconds": 5})
    story = Story(obj)
    story.do(story.kubelet.sync([pod("first"), deleted(obj)], at(story.now + 1)))
    story.run_until(10)
    assert story.times(ProbeKind.LIVENESS) == []
    assert story.times(ProbeKind.READINESS) == [0, 5, 10]
    assert story.ready, "its endpoint is terminating, but serves"
    story.answers[ProbeKind.READINESS] = Outcome.FAILURE
    story.run_until(25)
    assert not story.ready


def test_a_slow_probe_runs_again_as_soon_as_it_has_its_answer() -> None:
    kubelet = Kubelet("node-a", HOST)
    kubelet.sync([pod("first")], at())
    kubelet.sync([pod("first"), probed_pod(readiness={"periodSeconds": 1})], at(OLD))
    kubelet.sandbox_ready("uid-p", "10.244.0.5", at(OLD))
    assert "RunProbe" in kinds(kubelet.container_started("uid-p", "main", at(OLD)))
    for second in (1, 2, 3):
        assert kinds(kubelet.tick(at(OLD + second))) == [], "one at a time"
    answer = ("uid-p", "main", ProbeKind.READINESS, 0, Outcome.SUCCESS, "")
    assert kinds(kubelet.probed(*answer, at(OLD + 3.5))) == ["RunProbe"]
    assert kinds(kubelet.probed(*answer, at(OLD + 3.6))) == []


def test_an_answer_of_an_earlier_run_of_the_container_counts_for_nothing() -> None:
    story = Story(probed_pod(readiness={"periodSeconds": 5}))
    story.do(story.kubelet.container_exited("uid-p", "main", 1, "", at(story.now)))
    stale = story.kubelet.probed("uid-p", "main", ProbeKind.READINESS, 0, Outcome.SUCCESS, "", at(story.now))
    assert stale == []


@pytest.mark.parametrize("name", ["readiness", "liveness"])
def test_a_tick_that_changes_nothing_reports_nothing(name: str) -> None:
    kubelet = Kubelet("node-a", HOST)
    kubelet.sync([probed_pod(**{name: {"periodSeconds": 5}})], at())
    kubelet.sandbox_ready("uid-p", "10.244.0.5", at())
    kubelet.container_started("uid-p", "main", at())
    kind = ProbeKind[name.upper()]
    kubelet.probed("uid-p", "main", kind, 0, Outcome.SUCCESS, "", at())
    actions = kubelet.tick(at(5))
    assert [type(action) for action in actions] == [RunProbe]
    assert kubelet.probed("uid-p", "main", kind, 0, Outcome.SUCCESS, "", at(5)) == []


def test_deadlines_keep_one_time_a_name() -> None:
    deadlines = Deadlines()
    deadlines.set("a", 5.0)
    deadlines.set("b", 3.0)
    deadlines.set("a", 1.0)
    assert deadlines.next() == 1.0
    deadlines.set("a", None)
    assert deadlines.next() == 3.0
    deadlines.set("a", 4.0)
    assert deadlines.take_due(4.0) == ["b", "a"]
    assert deadlines.next() is None
