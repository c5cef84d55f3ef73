"""What a program is told when its packet could not be sent, or came back as an ICMP error.

Sockets turn drops of their own output and ICMP errors about it into errno values here, as Linux does.
"""

from __future__ import annotations

import errno
import os

from msgspec import Struct

from emulator.kernel.drop import DropReason
from emulator.packet.icmp import DESTINATION_UNREACHABLE, PARAMETER_PROBLEM, TIME_EXCEEDED

# What sendmsg returns for a packet that ended on its way out. Others (a full queue) are silent, as without IP_RECVERR.
_OUTPUT_ERRNO = {
    DropReason.IP_OUTNOROUTES: errno.ENETUNREACH,
    DropReason.IP_INNOROUTES: errno.ENETUNREACH,
    DropReason.IP_ROUTE_UNREACHABLE: errno.EHOSTUNREACH,
    DropReason.IP_ROUTE_PROHIBIT: errno.EACCES,
    DropReason.IP_ROUTE_BLACKHOLE: errno.EINVAL,
    DropReason.IP_RULE_UNREACHABLE: errno.ENETUNREACH,
    DropReason.IP_RULE_PROHIBIT: errno.EACCES,
    DropReason.IP_RULE_BLACKHOLE: errno.EINVAL,
    DropReason.IP_INVALID_SOURCE: errno.EINVAL,
    DropReason.IP_INVALID_DEST: errno.EINVAL,
    DropReason.PKT_TOO_BIG: errno.EMSGSIZE,
    DropReason.NETFILTER_DROP: errno.EPERM,
    DropReason.NETFILTER_REJECT: errno.EPERM,
    DropReason.CONNTRACK_FULL: errno.EPERM,
    DropReason.NAT_EXHAUSTED: errno.EPERM,
    DropReason.DEV_READY: errno.ENETDOWN,
}

# `icmp_err_convert` of net/ipv4/icmp.c: (errno, whether it ends a connection) by code of destination unreachable.
_UNREACHABLE = (
    (errno.ENETUNREACH, False),
    (errno.EHOSTUNREACH, False),
    (errno.ENOPROTOOPT, True),
    (errno.ECONNREFUSED, True),
    (errno.EMSGSIZE, False),
    (errno.EOPNOTSUPP, False),
    (errno.ENETUNREACH, True),
    (errno.EHOSTDOWN, True),
    (errno.ENONET, True),
    (errno.ENETUNREACH, True),
    (errno.EHOSTUNREACH, True),
    (errno.ENETUNREACH, False),
    (errno.EHOSTUNREACH, False),
    (errno.EHOSTUNREACH, True),
    (errno.EHOSTUNREACH, True),
    (errno.EHOSTUNREACH, True),
)


class SocketError(Struct, frozen=True):
    """One ICMP error about a packet that a socket sent, as IP_RECVERR's `sock_extended_err` tells it.

    `offender` is who sent the error (a router, for traceroute); `destination` is where our packet was going. `info` is
    the next hop's MTU for "fragmentation needed", `ttl` what the error had left when it came (IP_RECVTTL).
    """

    errno: int
    type: int
    code: int
    info: int
    offender: str
    destination: tuple[str, int]
    ttl: int = 0


def os_error(number: int) -> OSError:
    """Return the OSError (or its subclass) of an errno, with Linux's text."""
    return OSError(number, os.strerror(number))


def output_error(reason: DropReason) -> OSError | None:
    """Return what a sender is told of a drop on its way out, or None where Linux stays silent."""
    number = _OUTPUT_ERRNO.get(reason)
    return None if number is None else os_error(number)


def icmp_errno(type_: int, code: int) -> tuple[int, bool] | None:
    """Return (errno, whether it ends a connection) for an ICMP error; None for types that sockets ignore."""
    if type_ == DESTINATION_UNREACHABLE:
        return _UNREACHABLE[code] if code < len(_UNREACHABLE) else (errno.EHOSTUNREACH, True)
    if type_ == TIME_EXCEEDED:
        return errno.EHOSTUNREACH, False
    if type_ == PARAMETER_PROBLEM:
        return errno.EPROTO, True
    return None
