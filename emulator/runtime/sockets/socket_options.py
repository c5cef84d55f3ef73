"""setsockopt(2) and getsockopt(2) of a pod's sockets: the options that mean something here; ENOPROTOOPT for others."""

from __future__ import annotations

import errno
import socket as stdlib
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar, overload

from emulator.kernel.socket.error import os_error
from emulator.runtime.sockets.pod_socket import PodSocket

if TYPE_CHECKING:
    from typing_extensions import Buffer

S = TypeVar("S", bound="SocketWithOptions")

Option = tuple[int, int]
"""Level and name."""

_INT = struct.Struct("i")
LINGER = struct.Struct("ii")

ACCEPTS_CONNECTIONS: Option = (stdlib.SOL_SOCKET, stdlib.SO_ACCEPTCONN)
BROADCAST: Option = (stdlib.SOL_SOCKET, stdlib.SO_BROADCAST)
DOMAIN: Option = (stdlib.SOL_SOCKET, stdlib.SO_DOMAIN)
ERROR: Option = (stdlib.SOL_SOCKET, stdlib.SO_ERROR)
KEEP_ALIVE: Option = (stdlib.SOL_SOCKET, stdlib.SO_KEEPALIVE)
LINGER_ON_CLOSE: Option = (stdlib.SOL_SOCKET, stdlib.SO_LINGER)
PROTOCOL: Option = (stdlib.SOL_SOCKET, stdlib.SO_PROTOCOL)
RECEIVE_BUFFER: Option = (stdlib.SOL_SOCKET, stdlib.SO_RCVBUF)
REUSE_ADDRESS: Option = (stdlib.SOL_SOCKET, stdlib.SO_REUSEADDR)
SOCKET_TYPE: Option = (stdlib.SOL_SOCKET, stdlib.SO_TYPE)
IP_TTL: Option = (stdlib.IPPROTO_IP, stdlib.IP_TTL)
NO_DELAY: Option = (stdlib.IPPROTO_TCP, stdlib.TCP_NODELAY)
MAXIMUM_SEGMENT: Option = (stdlib.IPPROTO_TCP, stdlib.TCP_MAXSEG)

READ_ONLY = frozenset({ACCEPTS_CONNECTIONS, DOMAIN, ERROR, PROTOCOL, SOCKET_TYPE})


class SocketWithOptions(PodSocket):
    """A socket whose subclasses say which options they have: `_get_option` and `_set_option`, of ints."""

    @overload
    def getsockopt(self, level: int, optname: int) -> int: ...

    @overload
    def getsockopt(self, level: int, optname: int, buflen: int) -> bytes: ...

    def getsockopt(self, level: int, optname: int, buflen: int | None = None) -> int | bytes:
        """Return an option's value: an int, or with `buflen` its bytes. ENOPROTOOPT for those that are not here."""
        self._check_open()
        if (level, optname) == LINGER_ON_CLOSE:
            data = LINGER.pack(*self._linger())
            return data[:buflen] if buflen is not None else _INT.unpack_from(data)[0]
        value = self._get_option((level, optname))
        return value if buflen is None else _INT.pack(value)[:buflen]

    @overload
    def setsockopt(self, level: int, optname: int, value: int | Buffer) -> None: ...

    @overload
    def setsockopt(self, level: int, optname: int, value: None, optlen: int) -> None: ...

    def setsockopt(self, level: int, optname: int, value: int | Buffer | None, optlen: int | None = None) -> None:
        """Set an option. ENOPROTOOPT for those that are not here, EINVAL for a value too short."""
        self._check_open()
        if value is None or optlen is not None:
            raise os_error(errno.EINVAL)
        self._network.enter()
        if (level, optname) == LINGER_ON_CLOSE:
            self._set_linger(*_unpack(LINGER, value if not isinstance(value, int) else b""))
            return
        number = value if isinstance(value, int) else _unpack(_INT, value)[0]
        if (level, optname) in READ_ONLY:
            raise os_error(errno.ENOPROTOOPT)
        self._set_option((level, optname), number)

    def _get_option(self, option: Option) -> int:
        """Return one that all sockets have. ENOPROTOOPT."""
        getter = _COMMON.get(option)
        if getter is None:
            raise os_error(errno.ENOPROTOOPT)
        return getter(self)

    def _set_option(self, option: Option, value: int) -> None:
        raise NotImplementedError

    def _linger(self) -> tuple[int, int]:
        """Whether SO_LINGER is on, and its seconds."""
        return 0, 0

    def _set_linger(self, on: int, seconds: int) -> None:
        """Set SO_LINGER; without effect where nothing lingers."""


_COMMON: dict[Option, Callable[[SocketWithOptions], int]] = {
    ACCEPTS_CONNECTIONS: lambda _: 0,
    DOMAIN: lambda _: int(stdlib.AF_INET),
    ERROR: lambda _: 0,
    SOCKET_TYPE: lambda socket: int(socket.type),
}


def _unpack(form: struct.Struct, value: Buffer) -> tuple[int, ...]:
    data = bytes(value)
    if len(data) < form.size:
        raise os_error(errno.EINVAL)
    return tuple(form.unpack_from(data))
