"""What a kubelet asks its node to do. The node answers through the kubelet's event methods."""

from __future__ import annotations

from msgspec import Struct

from emulator.api.objects.container import Container, LifecycleHandler, Probe
from emulator.api.objects.meta import Object
from emulator.api.objects.pod import Pod
from emulator.kube.kubelet.prober import ProbeKind
from emulator.kube.reconciler import Key


class SetUpPod(Struct, frozen=True):
    """Make the pod's namespace, links and address. Answer: `sandbox_ready` or `sandbox_failed`.

    `address` is the one that the pod had before this kubelet was started; empty for a new pod.
    """

    uid: str
    pod: Pod
    address: str


class StartContainer(Struct, frozen=True):
    """Run the container's program. Answer: `container_started`, later `container_exited`."""

    uid: str
    pod: Pod
    container: Container
    restart_count: int


class StopContainer(Struct, frozen=True):
    """End the program: run `hook`, wait until the containers `after` have ended, SIGTERM, and SIGKILL when time is up.

    All of that within `grace` seconds, but at least 2 s pass between the signals. Asked again, it shortens the time
    that is left. Answer: `container_exited`.
    """

    uid: str
    name: str
    grace: float
    hook: LifecycleHandler | None = None
    after: tuple[str, ...] = ()


class RunProbe(Struct, frozen=True):
    """Ask a container once. Answer: `probed`, with the same `restart_count`."""

    uid: str
    container: Container
    kind: ProbeKind
    probe: Probe
    restart_count: int


class TearDownPod(Struct, frozen=True):
    """Remove the pod's namespace and give its address back. No answer."""

    uid: str
    pod: Pod


class ReportStatus(Struct, frozen=True):
    """Write this status into the pod's object."""

    key: Key
    uid: str
    status: Object


class ReportEvent(Struct, frozen=True):
    """Tell what happened to a pod, in the kubelet's words; `container` is empty for what concerns all of it."""

    key: Key
    uid: str
    reason: str
    message: str
    container: str = ""
    warning: bool = False


class ConfirmDeletion(Struct, frozen=True):
    """Nothing of the pod is left here: its object may go."""

    key: Key
    uid: str


Action = (
    SetUpPod | StartContainer | StopContainer | RunProbe | TearDownPod | ReportStatus | ReportEvent | ConfirmDeletion
)
