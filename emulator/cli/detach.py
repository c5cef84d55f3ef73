"""`emulator start --detach`: the supervisor as a process of its own, heard through a pipe until all is ready."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from typing import NoReturn

from emulator.api.cluster_file import ClusterConfig
from emulator.api.messages import Object
from emulator.cli.exit_status import FAILED, INTERRUPTED, OK
from emulator.cli.output import note, print_error
from emulator.cli.supervise import SIGNALS, supervise
from emulator.errors import PodwireError
from emulator.runtime.state_directory import SUPERVISOR, StateDirectory

_SAY = "say"
_READY = "ready"
_ERROR = "error"


def run_detached(
    config: ClusterConfig, objects: Sequence[Object], directory: StateDirectory, timeout: float, *, quiet: bool
) -> int:
    """Start a cluster in the background; return 0 once all is ready, 1 if it failed or is not ready in time.

    Ctrl-C, SIGTERM and a closed terminal end what has begun, until it is ready.
    """
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    sys.stdout.flush()
    sys.stderr.flush()
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ours)
        _supervise(config, objects, directory, theirs)
    os.close(theirs)
    try:
        return _listen(ours, config.name, timeout, quiet=quiet)
    except KeyboardInterrupt:
        _end(pid)
        return INTERRUPTED
    finally:
        os.close(ours)


def _end(pid: int) -> None:
    """End the supervisor and wait for it; each further signal hurries it on, as Ctrl-C does in the foreground."""
    while True:
        try:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)
        except KeyboardInterrupt:
            continue
        return


def _listen(pipe: int, name: str, timeout: float, *, quiet: bool) -> int:
    last = "nothing was heard of it"
    for kind, text in _messages(pipe, time.monotonic() + timeout):
        if kind == _READY:
            return OK
        if kind == _ERROR:
            print_error(text)
            return FAILED
        last = text
        if not quiet:
            note(text)
    print_error(f'cluster "{name}" is not ready after {timeout:g} s and runs on ({last}); see: emulator status')
    return FAILED


def _messages(pipe: int, deadline: float) -> Iterator[tuple[str, str]]:
    """Yield what the supervisor says, until the deadline; that it ended is an error."""
    buffer = b""
    while True:
        ready, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return
        data = os.read(pipe, 65_536)
        if not data:
            yield _ERROR, "the supervisor ended without a word"
            return
        *lines, buffer = (buffer + data).split(b"\n")
        for line in lines:
            kind, text = json.loads(line)
            yield kind, text


def _supervise(config: ClusterConfig, objects: Sequence[Object], directory: StateDirectory, pipe: int) -> NoReturn:
    """In the fork: leave the terminal, run the cluster, never return into the caller's code."""
    status = FAILED
    try:
        os.setsid()
        _redirect(os.open(os.devnull, os.O_RDWR), 0, 1, 2)
        status = _run(config, objects, directory, pipe)
    except KeyboardInterrupt:
        status = INTERRUPTED
    except BaseException:
        traceback.print_exc()  # into the supervisor's log
    finally:
        os._exit(status)


def _run(config: ClusterConfig, objects: Sequence[Object], directory: StateDirectory, pipe: int) -> int:
    starter = _Pipe(pipe)

    def open_log() -> None:
        log = os.open(directory.log(SUPERVISOR), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        _redirect(log, 1, 2)

    try:
        supervise(config, objects, directory, starter.say, starter.ready, open_log)
    except PodwireError as error:
        starter.tell(_ERROR, str(error))
        return FAILED
    except Exception as error:
        starter.tell(_ERROR, f"the supervisor failed: {type(error).__name__}: {error}")
        raise
    return OK


class _Pipe:
    """The way to the process that started the cluster, as long as it listens; everything goes into the log too."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def say(self, line: str) -> None:
        """Pass on a line."""
        note(line)
        self.tell(_SAY, line)

    def ready(self) -> None:
        """Say that all is ready, the last word."""
        self.tell(_READY, "")

    def tell(self, kind: str, text: str) -> None:
        """Send a message."""
        if self._descriptor < 0:
            return
        try:
            os.write(self._descriptor, json.dumps([kind, text]).encode() + b"\n")
        except BrokenPipeError:
            kind = _READY  # it waits no longer
        if kind == _READY:
            os.close(self._descriptor)
            self._descriptor = -1


def _redirect(source: int, *targets: int) -> None:
    for target in targets:
        os.dup2(source, target)
    os.close(source)
