"""The sysctls of connection tracking, net.netfilter.nf_conntrack_* (nf_conntrack_standalone.c)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.kernel.netfilter.conntrack import Conntrack
    from emulator.kernel.sysctl import Sysctl

_PREFIX = "net.netfilter.nf_conntrack_"
# Names to the attribute of `Conntrack`, by what they hold.
_SECONDS = {
    "generic_timeout": "generic_timeout",
    "gre_timeout": "gre_timeout",
    "gre_timeout_stream": "gre_stream_timeout",
    "icmp_timeout": "icmp_timeout",
    "udp_timeout": "udp_timeout",
    "udp_timeout_stream": "udp_stream_timeout",
}
_FLAGS = {
    "acct": "accounting",
    "checksum": "checksum",
    "tcp_be_liberal": "tcp_be_liberal",
    "tcp_ignore_invalid_rst": "tcp_ignore_invalid_rst",
    "tcp_loose": "tcp_loose",
    "timestamp": "timestamps",
}
_NUMBERS = {"max": "maximum", "tcp_max_retrans": "tcp_max_retrans"}
_BUCKETS = 262_144


def register_sysctls(conntrack: Conntrack, sysctl: Sysctl) -> None:
    """Make the names known, with the values that the table begins with."""
    for name, attribute in _SECONDS.items():
        sysctl.register(_PREFIX + name, int(getattr(conntrack, attribute)), _setter(conntrack, attribute, float))
    for name, attribute in _FLAGS.items():
        sysctl.register(_PREFIX + name, int(getattr(conntrack, attribute)), _setter(conntrack, attribute, _flag))
    for name, attribute in _NUMBERS.items():
        sysctl.register(_PREFIX + name, getattr(conntrack, attribute), _setter(conntrack, attribute, _natural))
    for name, seconds in conntrack.tcp_timeouts.items():
        sysctl.register(f"{_PREFIX}tcp_timeout_{name}", int(seconds), _timeout_setter(conntrack, name))
    sysctl.register(_PREFIX + "buckets", _BUCKETS)


def _setter(conntrack: Conntrack, attribute: str, convert: Callable[[int], object]) -> Callable[[str], None]:
    def apply(text: str) -> None:
        setattr(conntrack, attribute, convert(_natural(int(text))))

    return apply


def _timeout_setter(conntrack: Conntrack, name: str) -> Callable[[str], None]:
    def apply(text: str) -> None:
        conntrack.tcp_timeouts[name] = float(_natural(int(text)))

    return apply


def _natural(value: int) -> int:
    if value < 0:
        raise ValueError("negative")
    return value


def _flag(value: int) -> bool:
    if value not in (0, 1):
        raise ValueError("neither 0 nor 1")
    return bool(value)
