"""Kubernetes' test image (registry.k8s.io/e2e-test-images/agnhost): the subcommands that its network tests use.

Source: Kubernetes, test/images/agnhost.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import cast

import trio

from emulator.apps.environment import Container
from emulator.apps.options import UsageError
from emulator.apps.programs import generic, idle
from emulator.apps.termination import GO_DEFAULT, until_terminated

Subcommand = Callable[[Container, Sequence[str], "trio.TaskStatus[None]"], Awaitable[int]]

# Subcommand -> module of programs/ and its function.
SUBCOMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "connect": ("agnhost_tools", "run_as_program"),
        "dns-server-list": ("agnhost_tools", "run_as_program"),
        "dns-suffix": ("agnhost_tools", "run_as_program"),
        "etc-hosts": ("agnhost_tools", "run_as_program"),
        "liveness": ("agnhost_liveness", "main"),
        "logs-generator": ("agnhost_servers", "logs_generator"),
        "netexec": ("netexec", "main"),
        "porter": ("agnhost_servers", "porter"),
        "serve-hostname": ("agnhost_servers", "serve_hostname"),
        "test-webserver": ("agnhost_servers", "test_webserver"),
    }
)


async def main(container: Container, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> int:
    """Run the subcommand that the arguments name; none is `pause`. Exit status 1 for a flag that there is not."""
    words = [*container.command[1:], *container.args] if container.command else list(container.args)
    subcommand = words[0] if words else "pause"
    if subcommand == "pause":
        return await idle.pause(container, task_status=task_status)
    if subcommand not in SUBCOMMANDS:
        return await generic.main(container, task_status=task_status)
    module, function = SUBCOMMANDS[subcommand]
    run = cast("Subcommand", getattr(import_module(f"emulator.apps.programs.{module}"), function))
    try:
        return await until_terminated(container, GO_DEFAULT, lambda: run(container, words, task_status))
    except (UsageError, ValueError) as error:
        container.log(f"Error: {error}")
        return 1
