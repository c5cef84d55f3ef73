from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from emulator.api.objects.meta import Object
from emulator.kube.kubelet.action import (
    Action,
    ConfirmDeletion,
    ReportEvent,
    ReportStatus,
    SetUpPod,
    StartContainer,
    StopContainer,
    TearDownPod,
)
from emulator.kube.kubelet.capabilities import EVERYTHING, Capabilities
from emulator.kube.kubelet.kubelet import Kubelet
from emulator.kube.reconciler import Moment

HOST = "172.18.0.2"


def at(seconds: float = 0.0) -> Moment:
    return Moment(f"2026-01-01T00:{int(seconds) // 60:02}:{int(seconds) % 60:02}Z", seconds, 0)


def pod(name: str = "p", *, containers: Sequence[str] = ("main",), **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}"},
        "spec": {"containers": [{"name": entry, "image": "nginx"} for entry in containers]} | spec,
    }


def deleted(obj: Object, grace: int = 30) -> Object:
    return obj | {
        "metadata": obj["metadata"] | {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": grace}
    }


def kinds(actions: Sequence[Action]) -> list[str]:
    """What is to be done, without what is told."""
    return [type(action).__name__ for action in actions if not isinstance(action, ReportStatus | ReportEvent)]


def stops(actions: Sequence[Action]) -> list[StopContainer]:
    return [action for action in actions if isinstance(action, StopContainer)]


def events(actions: Sequence[Action]) -> list[str]:
    return [f"{action.reason}: {action.message}" for action in actions if isinstance(action, ReportEvent)]


def last_status(actions: Sequence[Action]) -> Object:
    return [action.status for action in actions if isinstance(action, ReportStatus)][-1]


def condition(status: Object, kind: str) -> Object:
    return next(entry for entry in status["conditions"] if entry["type"] == kind)


def running(obj: Object, capabilities: Capabilities = EVERYTHING) -> tuple[Kubelet, Object]:
    kubelet = Kubelet("node-a", HOST, capabilities)
    kubelet.sync([obj], at())
    actions = kubelet.sandbox_ready("uid-p", "10.244.0.5", at())
    for container in obj["spec"]["containers"]:
        actions = kubelet.container_started("uid-p", container["name"], at())
    return kubelet, last_status(actions)


def test_a_pod_comes_up_step_by_step() -> None:
    kubelet = Kubelet("node-a", HOST)
    actions = kubelet.sync([pod(containers=("web", "sidecar"))], at())
    assert kinds(actions) == ["SetUpPod"]
    assert last_status(actions)["phase"] == "Pending"
    actions = kubelet.sandbox_ready("uid-p", "10.244.0.5", at())
    assert kinds(actions) == ["StartContainer", "StartContainer"]
    status = last_status(kubelet.container_started("uid-p", "web", at(1)))
    assert condition(status, "Ready")["status"] == "False"
    assert "sidecar" in condition(status, "Ready")["message"]
    status = last_status(kubelet.container_started("uid-p", "sidecar", at(2)))
    assert status["phase"] == "Running"
    assert (status["podIP"], status["hostIP"]) == ("10.244.0.5", HOST)
    assert condition(status, "Ready") == {
        "type": "Ready",
        "status": "True",
        "lastTransitionTime": "2026-01-01T00:00:02Z",
    }


def test_nothing_is_done_or_reported_twice() -> None:
    obj = pod()
    kubelet, status = running(obj)
    assert kubelet.sync([obj | {"status": status}], at(5)) == []
    assert kubelet.tick(at(6)) == []


def versioned(obj: Object, version: int) -> Object:
    return obj | {"metadata": obj["metadata"] | {"resourceVersion": str(version)}}


def test_a_pod_is_taken_once_a_version_and_missed_when_it_vanishes() -> None:
    kubelet = Kubelet("node-a", HOST)
    first = versioned(pod(), 1)
    assert kinds(kubelet.sync([first], at())) == ["SetUpPod"]
    kubelet.sandbox_ready("uid-p", "10.244.0.5", at())
    kubelet.container_started("uid-p", "main", at())
    unread = {"kind": "Pod", "metadata": first["metadata"]}  # of a version that is known nothing else is looked at
    assert kubelet.sync([unread], at(1)) == []
    assert kinds(kubelet.sync([versioned(deleted(pod()), 2)], at(2))) == ["StopContainer"]
    assert kinds(kubelet.container_exited("uid-p", "main", 0, "", at(3))) == ["TearDownPod", "ConfirmDeletion"]
    assert kubelet.sync([], at(4)) == []


def test_a_pod_without_a_namespace_is_tried_again_at_any_change() -> None:
    kubelet = Kubelet("node-a", HOST)
    waiting = versioned(pod(), 1)
    kubelet.sync([waiting], at())
    kubelet.sandbox_failed("uid-p", "no addresses are left", at())
    assert kinds(kubelet.sync([waiting, versioned(pod("other"), 2)], at(1))) == ["SetUpPod", "SetUpPod"]


def test_a_port_in_use_shows_and_backs_off() -> None:
    kubelet, _ = running(pod(containers=("web", "second")))
    message = "bind 0.0.0.0:80: Address already in use"
    actions = kubelet.container_exited("uid-p", "second", 1, message, at(1))
    assert kinds(actions) == ["StartContainer"]  # the first restart is at once
    actions = kubelet.container_exited("uid-p", "second", 1, message, at(2))
    assert kinds(actions) == []
    waiting = last_status(actions)["containerStatuses"][1]["state"]["waiting"]
    assert waiting["reason"] == "CrashLoopBackOff"
    assert waiting["message"].startswith("back-off 10s")
    assert message in waiting["message"]
    assert last_status(actions)["containerStatuses"][1]["lastState"]["terminated"]["exitCode"] == 1
    assert last_status(actions)["phase"] == "Running"
    assert kubelet.next_deadline() == 12
    assert kinds(kubelet.tick(at(11))) == []
    assert kinds(kubelet.tick(at(12))) == ["StartContainer"]
    kubelet.container_exited("uid-p", "second", 1, message, at(13))
    assert kubelet.next_deadline() == 33


def test_a_long_run_forgets_the_back_off() -> None:
    kubelet, _ = running(pod())
    for moment in (1.0, 2.0):
        kubelet.container_exited("uid-p", "main", 1, "", at(moment))
    kubelet.tick(at(12))
    kubelet.container_started("uid-p", "main", at(12))
    assert kinds(kubelet.container_exited("uid-p", "main", 1, "", at(700))) == ["StartContainer"]
    assert kinds(kubelet.container_exited("uid-p", "main", 1, "", at(701))) == [], "this run never came up"
    assert kubelet.next_deadline() == 711


def test_restart_policies() -> None:
    for policy, exit_code, phase in (("Never", 0, "Succeeded"), ("Never", 1, "Failed"), ("OnFailure", 0, "Succeeded")):
        kubelet, _ = running(pod(restartPolicy=policy))
        actions = kubelet.container_exited("uid-p", "main", exit_code, "", at(1))
        assert kinds(actions) == []
        assert last_status(actions)["phase"] == phase
    kubelet, _ = running(pod(restartPolicy="OnFailure"))
    assert kinds(kubelet.container_exited("uid-p", "main", 1, "", at(1))) == ["StartContainer"]


def test_deletion_stops_tears_down_and_confirms_in_that_order() -> None:
    obj = pod()
    kubelet, _ = running(obj)
    actions = kubelet.sync([deleted(obj, grace=7)], at(1))
    assert stops(actions) == [StopContainer("uid-p", "main", 7.0)]
    assert events(actions) == ["Killing: Stopping container main"]
    actions = kubelet.container_exited("uid-p", "main", 0, "", at(2))
    assert kinds(actions) == ["TearDownPod", "ConfirmDeletion"]
    assert kubelet.sync([], at(3)) == []


def test_an_object_that_vanished_is_ended_without_report() -> None:
    kubelet, _ = running(pod())
    assert stops(kubelet.sync([], at(1))) == [StopContainer("uid-p", "main", 0.0)]
    assert kinds(kubelet.container_exited("uid-p", "main", 0, "", at(2))) == ["TearDownPod"]


def test_deletion_while_the_sandbox_is_made_waits_for_it() -> None:
    kubelet = Kubelet("node-a", HOST)
    obj = pod()
    kubelet.sync([obj], at())
    assert kinds(kubelet.sync([deleted(obj)], at(1))) == []
    assert kinds(kubelet.sandbox_ready("uid-p", "10.244.0.5", at(2))) == ["TearDownPod", "ConfirmDeletion"]


def test_a_failed_sandbox_is_shown_and_tried_again_with_the_next_sync() -> None:
    kubelet = Kubelet("node-a", HOST)
    kubelet.sync([pod()], at())
    actions = kubelet.sandbox_failed("uid-p", "no address is left in 10.244.0.0/24", at(1))
    waiting = last_status(actions)["containerStatuses"][0]["state"]["waiting"]
    assert waiting == {"reason": "ContainerCreating", "message": "no address is left in 10.244.0.0/24"}
    assert kinds(kubelet.sync([pod()], at(2))) == ["SetUpPod"]


def test_host_network_pods_have_the_nodes_address() -> None:
    kubelet = Kubelet("node-a", HOST)
    actions = kubelet.sync([pod(hostNetwork=True)], at())
    assert kinds(actions) == ["StartContainer"]
    assert last_status(actions)["podIP"] == HOST


def test_a_restarted_kubelet_keeps_the_address_and_counts_the_restart() -> None:
    obj = pod()
    _, status = running(obj)
    kubelet = Kubelet("node-a", HOST)
    actions = kubelet.sync([obj | {"status": status}], at(9))
    assert [action.address for action in actions if isinstance(action, SetUpPod)] == ["10.244.0.5"]
    kubelet.sandbox_ready("uid-p", "10.244.0.5", at(9))
    status = last_status(kubelet.container_started("uid-p", "main", at(9)))
    assert status["containerStatuses"][0]["restartCount"] == 1


def test_a_new_image_replaces_the_container_in_its_place() -> None:
    kubelet, _ = running(pod())
    changed = pod()
    changed["spec"]["containers"][0]["image"] = "nginx:2"
    assert kinds(kubelet.sync([changed], at(1))) == ["StopContainer"]
    assert kinds(kubelet.sync([changed], at(1))) == []
    (start,) = (
        action
        for action in kubelet.container_exited("uid-p", "main", 0, "", at(2))
        if isinstance(action, StartContainer)
    )
    assert (start.container.image, start.restart_count) == ("nginx:2", 1)


def test_a_readiness_gate_that_is_not_met_is_named() -> None:
    _, status = running(pod(readinessGates=[{"conditionType": "example.org/up"}]))
    ready = condition(status, "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ReadinessGatesNotReady")
    assert "example.org/up" in ready["message"]
    assert condition(status, "ContainersReady")["status"] == "True"


def test_a_pod_that_is_done_says_so() -> None:
    kubelet, _ = running(pod(restartPolicy="Never"))
    status = last_status(kubelet.container_exited("uid-p", "main", 0, "", at(2)))
    assert status["phase"] == "Succeeded"
    assert condition(status, "Ready")["reason"] == "PodCompleted"


def test_what_cannot_run_counts_as_passed_and_says_so() -> None:
    obj = pod(initContainers=[{"name": "wait", "image": "busybox"}])
    obj["spec"]["containers"][0]["readinessProbe"] = {"exec": {"command": ["redis-cli", "ping"]}}
    _, status = running(obj, Capabilities(lambda _container, _probe: False, lambda _container: False))
    assert "main readinessProbe" in condition(status, "podwire.dev/ProbesSkipped")["message"]
    assert "wait" in condition(status, "podwire.dev/InitContainersSkipped")["message"]
    assert condition(status, "Ready")["status"] == "True"
    assert status["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 0


class AnyLife(RuleBasedStateMachine):
    """Whatever happens in whatever order, actions stay in step with what was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.kubelet = Kubelet("node-a", HOST)
        self.obj: Object | None = pod(containers=("a", "b"))
        self.now = 0.0
        self.up = False
        self.setting_up = False
        self.alive: set[str] = set()
        self.confirmed = False
        self.run(self.kubelet.sync([self.obj], at()))

    def run(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case SetUpPod():
                    assert not self.up
                    assert not self.setting_up
                    self.setting_up = True
                case StartContainer(container=container):
                    assert self.up
                    assert container.name not in self.alive
                    self.alive.add(container.name)
                case StopContainer(name=name):
                    assert name in self.alive
                case TearDownPod():
                    assert self.up
                    assert not self.alive
                    self.up = False
                case ConfirmDeletion():
                    assert not self.up
                    assert not self.alive
                    self.confirmed = True
                case ReportStatus(status=status):
                    if self.obj is not None:
                        self.obj = self.obj | {"status": status}

    @precondition(lambda self: self.setting_up)
    @rule(works=st.booleans())
    def sandbox(self, works: bool) -> None:
        self.setting_up, self.up = False, works
        if works:
            self.run(self.kubelet.sandbox_ready("uid-p", "10.244.0.5", at(self.now)))
        else:
            self.run(self.kubelet.sandbox_failed("uid-p", "no", at(self.now)))

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), ends=st.booleans())
    def container(self, data: st.DataObject, ends: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.alive)))
        if ends:
            self.alive.discard(name)
            self.run(self.kubelet.container_exited("uid-p", name, 1, "", at(self.now)))
        else:
            self.run(self.kubelet.container_started("uid-p", name, at(self.now)))

    @rule(passed=st.sampled_from([0.5, 10.0, 100.0]))
    def time_passes(self, passed: float) -> None:
        self.now = min(3000.0, self.now + passed)
        self.run(self.kubelet.tick(at(self.now)))

    @rule(goes=st.sampled_from(["stays", "stays", "deleted", "vanishes"]))
    def sync(self, goes: str) -> None:
        if self.obj is not None and goes == "deleted":
            self.obj = deleted(self.obj)
        if goes == "vanishes" or self.confirmed:
            self.obj = None
        self.run(self.kubelet.sync([self.obj] if self.obj else [], at(self.now)))

    @invariant()
    def nothing_is_left_once_confirmed(self) -> None:
        assert not (self.confirmed and (self.alive or self.up))


AnyLife.TestCase.settings = settings(max_examples=40, deadline=None)
TestAnyLife = AnyLife.TestCase
