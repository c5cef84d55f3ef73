"""Keeps apps off the machine's own network: Python's blocking sockets raise in the tasks and threads of an app.

An app means its pod when it says network, and a library that it calls may not know trio. Python tells an audit hook of
each socket that is made and each name that is looked up; there is no way to take a hook out again, so it is put in when
the first app starts, and asks whose task runs. (Programs that an app starts are processes of the machine: they are not
held back.)
"""

from __future__ import annotations

import errno
import socket
import sys
import threading
from types import FrameType
from typing import Any

from emulator.runtime.sockets.pod_network import current

MESSAGE = "a pod's app has no sockets of this machine; use trio's, or container.network"

_INTERNET = frozenset({socket.AF_INET, socket.AF_INET6})
_LOOKUPS = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"})
_EVENTS = _LOOKUPS | {"socket.__new__"}
_NUMERIC_ONLY = frozenset({"trio._socket", "emulator.runtime.sockets.pod_network"})
"""Modules that ask the system's resolver what is an address already, and no more."""

_alone: list[bool] = []
"""Empty before the hook is in; then whether any thread but the main one is an app's, as it is in a node's process."""


def install(*, alone: bool) -> None:
    """Put the hook in; once a process. `alone`: nobody but apps has threads here.

    A thread of `trio.to_thread` has its task's context, one that an app starts itself has none to be known by.
    """
    if not _alone:
        sys.addaudithook(_hook)
    _alone[:] = [alone]


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in _EVENTS:
        return
    if current.get() is None and not (_alone[0] and threading.current_thread() is not threading.main_thread()):
        return
    if event == "socket.__new__":
        if arguments[1] in _INTERNET:
            raise PermissionError(errno.EACCES, MESSAGE)
    elif _caller() not in _NUMERIC_ONLY:
        raise PermissionError(errno.EACCES, MESSAGE)


def _caller() -> object:
    """The module that looks a name up; functions of `socket` itself stand between it and the hook."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__") == "socket":
        frame = frame.f_back
    return frame and frame.f_globals.get("__name__")
