"""The warm parent of a cluster's processes: everything is imported, nothing runs, and it forks what it is asked for.

It owns the processes' lives: when the supervisor goes, however it goes, it ends them all and removes the state
directory; when the launcher itself goes, the kernel kills them (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import resource
import select
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import msgspec
from setproctitle import setproctitle

from emulator.api.codec import FrameReader, encode_frame
from emulator.runtime.state_directory import StateDirectory, StateDirectoryLock
from emulator.runtime.supervisor.processes import (
    End,
    Inherited,
    LauncherEvent,
    LauncherRequest,
    ProcessExited,
    ProcessFailed,
    ProcessMain,
    ProcessStarted,
    SignalProcess,
    StartProcess,
)
from emulator.runtime.supervisor.warm import warm_up

PROGRAMS: Mapping[str, str] = {
    "controller": "emulator.runtime.controller.controller:main",
    "node": "emulator.runtime.node.node:main",
    "cloud": "emulator.runtime.cloud.cloud:main",
    "traffic": "emulator.runtime.traffic.background:main",
}
"""The processes of a cluster: where the function lies that each runs."""

SHARED = ("node",)
"""Imported before the fork, so that all processes share their code; what only one process runs it imports
itself, and nobody else carries it.
"""

_GRACE = 2.0  # seconds between SIGTERM and SIGKILL
_LISTEN_BACKLOG = 128
_UNDERLAY_BUFFER = 4 * 1024 * 1024
_SO_RCVBUFFORCE = 33
_PR_SET_PDEATHSIG = 1
_RESET_SIGNALS = (signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP, signal.SIGPIPE)


def load_program(place: str) -> ProcessMain:
    """Import what a process runs (`module:function`)."""
    module, _, function = place.partition(":")
    main: ProcessMain = getattr(importlib.import_module(module), function)
    return main


class LauncherProcess:
    """The loop of the launcher: requests in, forks and their ends out. No trio, one thread."""

    def __init__(self, channel: socket.socket, programs: Mapping[str, str], lock: StateDirectoryLock) -> None:
        self._channel = channel
        self._programs = programs
        self._lock = lock
        self._reader = FrameReader()
        self._processes: dict[int, str] = {}
        self._listeners: dict[str, socket.socket] = {}
        self._underlays: dict[str, socket.socket] = {}
        self._wakeup, self._wakeup_writer = socket.socketpair()
        self._ending = False
        self._told = False  # by the supervisor, to end
        self._orphaned = False  # the supervisor is gone
        self._grace = _GRACE

    def run(self) -> None:
        """Serve the supervisor until it goes or says so; then leave nothing behind.

        Ended by somebody else (SIGTERM) it takes its processes along, but the state directory stays the supervisor's.
        """
        self._set_title("launcher")
        os.umask(0o077)  # the store has Secrets
        _raise_descriptor_limit()
        _redirect(str(self._lock.directory.log("launcher")))
        self._set_signals()
        gc.freeze()  # as in warm_up, for what has come since
        try:
            self._serve()
        finally:
            self._end_processes()
            if self._told or self._is_orphaned():
                self._lock.remove()

    def _set_signals(self) -> None:
        self._wakeup.setblocking(False)
        self._wakeup_writer.setblocking(False)
        signal.set_wakeup_fd(self._wakeup_writer.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "_ending", True))

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._channel, selectors.EVENT_READ)
            selector.register(self._wakeup, selectors.EVENT_READ)
            while not self._ending:
                for key, _ in selector.select():
                    if key.fileobj is self._channel:
                        self._receive()
                    else:
                        self._drain_wakeup()
                self._reap()

    def _receive(self) -> None:
        try:
            data = self._channel.recv(65_536)
        except ConnectionError:
            data = b""
        if not data:
            self._ending = self._orphaned = True
        for message in self._reader.feed(data):
            request = msgspec.convert(message, LauncherRequest)
            match request:
                case StartProcess() if not self._ending:
                    self._start(request)
                case SignalProcess():
                    self._signal(request)
                case End():
                    self._ending = self._told = True
                    self._grace = 0.0 if request.now else _GRACE

    def _is_orphaned(self) -> bool:
        """Whether the supervisor is gone, also if its last word lies unread."""
        if not self._orphaned and select.select([self._channel], [], [], 0)[0]:
            self._receive()
        return self._orphaned

    def _drain_wakeup(self) -> None:
        with suppress(BlockingIOError):
            while self._wakeup.recv(4096):
                pass

    def _tell(self, event: LauncherEvent) -> None:
        try:
            self._channel.sendall(encode_frame(msgspec.to_builtins(event)))
        except OSError:
            self._ending = True

    def _start(self, request: StartProcess) -> None:
        launcher = os.getpid()
        # A signal to the new process before it has its own handlers would go to a copy of ours, and be lost.
        signal.pthread_sigmask(signal.SIG_BLOCK, _RESET_SIGNALS)
        try:
            self._bind(request)
            pid = os.fork()
            if pid == 0:
                self._become(request, launcher)
        except OSError as error:
            self._tell(ProcessFailed(name=request.name, message=f"{_where(request, error)}: {error.strerror or error}"))
            return
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _RESET_SIGNALS)
        self._processes[pid] = request.name
        self._tell(ProcessStarted(name=request.name, pid=pid))

    def _bind(self, request: StartProcess) -> None:
        name = request.name
        if request.socket and name not in self._listeners:
            self._listeners[name] = _listen(request.socket)
        if request.underlay is not None and name not in self._underlays:
            self._underlays[name] = _bind_udp(request.underlay)

    def _signal(self, request: SignalProcess) -> None:
        for pid, name in self._processes.items():
            if name == request.name:
                os.kill(pid, request.signal)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            name = self._processes.pop(pid, None)
            if name is not None:
                self._tell(ProcessExited(name=name, pid=pid, status=os.waitstatus_to_exitcode(status)))

    def _end_processes(self) -> None:
        """SIGTERM, then SIGKILL to what is left after the grace or when told to hurry; return when all are gone."""
        if self._grace > 0:
            self._kill_all(signal.SIGTERM)
        start = time.monotonic()
        while self._processes and (left := start + self._grace - time.monotonic()) > 0:
            sources = [self._wakeup] if self._orphaned else [self._wakeup, self._channel]
            readable, _, _ = select.select(sources, [], [], left)
            if self._channel in readable:
                self._receive()
            self._drain_wakeup()
            self._reap()
        self._kill_all(signal.SIGKILL)
        for pid in list(self._processes):
            os.waitpid(pid, 0)

    def _kill_all(self, number: signal.Signals) -> None:
        for pid in self._processes:
            os.kill(pid, number)

    def _become(self, request: StartProcess, launcher: int) -> NoReturn:
        """In the child: drop what is the launcher's, and run the program until its end."""
        status = 1
        try:
            _die_with(launcher)
            name = request.name
            self._set_title(name)
            listener, underlay = self._listeners.pop(name, None), self._underlays.pop(name, None)
            self._close_inherited()
            _reset_signals()
            _redirect(request.log)
            main = load_program(self._programs[request.program])
            main(Inherited(name, request.arguments, listener, underlay))
            status = 0
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _set_title(self, name: str) -> None:
        """Say in `ps` who this is, in place of the command line that all have from the supervisor."""
        setproctitle(f"podwire: {name} ({self._lock.directory.name})")

    def _close_inherited(self) -> None:
        signal.set_wakeup_fd(-1)
        self._lock.release()
        for held in (self._channel, self._wakeup, self._wakeup_writer):
            held.close()
        for other in (*self._listeners.values(), *self._underlays.values()):
            other.close()


def _die_with(launcher: int) -> None:
    """Ask the kernel for SIGKILL when the launcher ends (prctl(2)); without Linux only the launcher's care is left."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != launcher:
        os._exit(1)  # it ended before the kernel knew our wish


def _reset_signals() -> None:
    for number in _RESET_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _RESET_SIGNALS)


def _raise_descriptor_limit() -> None:
    """Take what the system allows (the soft limit is for programs that use select): two descriptors a node here."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _redirect(log: str) -> None:
    """Send what the process prints to its log file; it reads nothing."""
    null = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(null)
    os.close(output)
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__


def _listen(path: str) -> socket.socket:
    """Listen on a Unix socket that only its owner can connect to."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        mask = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(mask)
        listener.listen(_LISTEN_BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _bind_udp(address: tuple[str, int]) -> socket.socket:
    underlay = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        underlay.bind(tuple(address))
        underlay.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            underlay.setsockopt(socket.SOL_SOCKET, option, _UNDERLAY_BUFFER)
        with suppress(PermissionError):  # beyond net.core.rmem_max needs CAP_NET_ADMIN
            underlay.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _UNDERLAY_BUFFER)
    except OSError:
        underlay.close()
        raise
    return underlay


def _where(request: StartProcess, error: OSError) -> str:
    if request.underlay is not None and error.filename is None and request.underlay[1]:
        host, port = request.underlay
        return f"{request.name}: the underlay cannot use {host}:{port}"
    return f"{request.name}: cannot be started"


def main(arguments: list[str]) -> None:
    """Run as a fresh process (`CHANNEL LOCK MADE PATH NAME MODE PROGRAM…`): how a launcher that died is replaced."""
    gc.disable()  # until all is imported
    channel, lock, made, path, name, proxy_mode, *container_programs = arguments
    directory = StateDirectory(Path(path), name)
    held = StateDirectoryLock.adopt(directory, int(lock), made=made == "made")
    for shared in SHARED:
        load_program(PROGRAMS[shared])
    _fillers = warm_up(proxy_mode, container_programs)  # kept for as long as this process lives
    LauncherProcess(socket.socket(fileno=int(channel)), PROGRAMS, held).run()


if __name__ == "__main__":
    main(sys.argv[1:])
