"""The hooks of a container's lifecycle: what the kubelet does before it stops a container, or after it started one.

Source: pkg/kubelet/lifecycle/handlers.go.
"""

from __future__ import annotations

import trio

from emulator.api.objects.container import HttpGetAction, LifecycleHandler
from emulator.apps.images import can_run
from emulator.runtime.node.kubelet.health_probe import PortError, Target, port_of
from emulator.runtime.node.kubelet.http_probe import FetchError, fetch, url_of

AGENT = "kube-lifecycle/1.34"
_HTTP_TIMEOUT = 60.0  # seconds, in which the grace period usually ends sooner


async def run_hook(handler: LifecycleHandler, target: Target) -> str:
    """Run a hook to its end. Returns what went wrong, or ""."""
    if handler.sleep is not None:
        await trio.sleep(handler.sleep.seconds)
        return ""
    if handler.exec is not None:
        command = handler.exec.command
        if not can_run(target.container.image, command):
            return ""  # the image's own program may do it; here nothing is there that it would be done to
        status, output = await target.run(command)
        return f"command '{' '.join(command)}' exited with {status}: {output}" if status else ""
    if handler.http_get is not None:
        return await _get(handler.http_get, target)
    return "invalid handler: a tcpSocket hook is not run"  # as of Kubernetes: deprecated, and refused when it is due


async def _get(action: HttpGetAction, target: Target) -> str:
    """Send a request; any answer will do."""
    try:
        url = url_of(action, target.address, port_of(action.port, target.container))
    except PortError as error:
        return str(error)
    try:
        await fetch(target.node, url, action, AGENT, _HTTP_TIMEOUT)
    except FetchError as error:
        return f'Get "{url}": {error}'
    return ""
