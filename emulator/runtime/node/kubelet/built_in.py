"""Runs a built-in command for the kubelet, in a pod: what probes and hooks of the kind `exec` say."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from emulator.apps.environment import Command, Invocation, Network
from emulator.apps.invocations import NoInput
from emulator.runtime.machine.inside import Inside, of_host

CommandRunner = Callable[[Sequence[str]], Awaitable[tuple[int, str]]]
"""Runs a command, and returns its exit status and what it printed."""

MOST_OUTPUT = 10_240  # characters of output that are kept, as the kubelet keeps of a probe's
_NOT_FOUND = 127
_FAILED = 1


async def run_built_in(
    command: Sequence[str],
    find: Callable[[str], Command | None],
    network: Network,
    hostname: str,
    wall_clock: Callable[[], float],
    inside: Inside | None = None,
) -> tuple[int, str]:
    """Run a command to its end. A command that there is not has exit status 127; one that fails in itself 1."""
    output: list[str] = []
    size = 0

    def write(text: str) -> None:
        nonlocal size
        if size < MOST_OUTPUT:
            output.append(text[: MOST_OUTPUT - size])
            size += len(text)

    found = find(command[0]) if command else None
    if found is None:
        name = command[0] if command else ""
        return _NOT_FOUND, f'exec: "{name}": executable file not found in $PATH'
    inside = inside or of_host(hostname)
    invocation = Invocation(
        tuple(command),
        network,
        NoInput(),
        write,
        write,
        wall_clock,
        hostname,
        environ=inside.environ,
        files=inside.files,
        directory=inside.directory,
    )
    try:
        status = await found(invocation)
    except Exception as error:  # a network that went away under it, or a bug in the command: its caller lives on
        write(str(error) or type(error).__name__)
        status = _FAILED
    return status, "".join(output)
