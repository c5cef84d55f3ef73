"""What `logs` asks for: which containers' logs, from when on, and what comes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing

import trio

from emulator.api.messages import ControlError, ErrorCode, LogLine, LogsParams
from emulator.runtime.machine.containers import ContainerLog
from emulator.runtime.node.kubelet.running_pod import RunningPod

Send = Callable[[LogLine], Awaitable[None]]


async def send_logs(params: LogsParams, running: RunningPod, send: Send) -> None:
    """Send the lines that are asked for. ControlError for a container that is not there or has none."""
    logs = _logs(params, running)
    if params.follow:
        await _follow(logs, params, send)
        return
    for name, log in logs.items():
        for line in log.tail(log.count_since(params.since, params.tail)):
            await send(_named(line, name, params))


async def _follow(logs: dict[str, ContainerLog], params: LogsParams, send: Send) -> None:
    """Send lines of all the logs as they come, until all of them have ended."""
    lock = trio.Lock()

    async def follow(name: str, log: ContainerLog) -> None:
        async with aclosing(log.follow(log.count_since(params.since, params.tail))) as lines:
            async for line in lines:
                async with lock:
                    await send(_named(line, name, params))

    if len(logs) == 1:
        await follow(*next(iter(logs.items())))
        return
    async with trio.open_nursery() as nursery:
        for name, log in logs.items():
            nursery.start_soon(follow, name, log)


def _named(line: LogLine, name: str, params: LogsParams) -> LogLine:
    return LogLine(time=line.time, text=line.text, container=name) if params.all_containers else line


def _logs(params: LogsParams, running: RunningPod) -> dict[str, ContainerLog]:
    spec = running.pod.spec
    names = [container.name for container in (*spec.init_containers, *spec.containers)]
    if params.all_containers:
        asked = [name for name in names if name in running.containers]
    else:
        asked = [params.container or spec.containers[0].name]
    return {name: _log(params, running, name, names) for name in asked}


def _log(params: LogsParams, running: RunningPod, name: str, names: list[str]) -> ContainerLog:
    if name not in names:
        message = f"container {name} is not valid for pod {params.pod}; its containers are: {', '.join(names)}"
        raise ControlError(ErrorCode.INVALID, message)
    if params.previous:
        if name not in running.previous_logs:
            message = f'previous terminated container "{name}" in pod "{params.pod}" not found'
            raise ControlError(ErrorCode.NOT_FOUND, message)
        return running.previous_logs[name]
    if name not in running.containers:
        why = "PodInitializing" if running.pod.spec.init_containers else "ContainerCreating"
        message = f'container "{name}" in pod "{params.pod}" is waiting to start: {why}'
        raise ControlError(ErrorCode.INVALID, message)
    return running.containers[name].log
