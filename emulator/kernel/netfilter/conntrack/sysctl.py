"""The sysctls of connection tracking, net.netfilter.nf_conntrack_* (nf_conntrack_standalone.c)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.kernel.netfilter.conntrack.conntrack import Conntrack
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
_NUMBERS = {"events": ("events", 2), "log_invalid": ("log_invalid", 255), "tcp_max_retrans": ("tcp_max_retrans", 255)}
# Known to scripts, without effect here: IPv6 is not tracked, nothing expects connections, and the table has no buckets.
_WITHOUT_EFFECT = {
    "buckets": 262_144,
    "frag6_high_thresh": 4_194_304,
    "frag6_low_thresh": 3_145_728,
    "frag6_timeout": 60,
    "icmpv6_timeout": 30,
}


def register_sysctls(conntrack: Conntrack, sysctl: Sysctl) -> None:
    """Make the names known, with the values that the table begins with."""
    for name, attribute in _SECONDS.items():
        sysctl.register(_PREFIX + name, int(getattr(conntrack, attribute)), _setter(conntrack, attribute, float))
    for name, attribute in _FLAGS.items():
        sysctl.register(_PREFIX + name, int(getattr(conntrack, attribute)), _setter(conntrack, attribute, _flag))
    for name, (attribute, most) in _NUMBERS.items():
        sysctl.register(_PREFIX + name, getattr(conntrack, attribute), _setter(conntrack, attribute, _up_to(most)))
    for protocol, timeouts in (("tcp", conntrack.tcp_timeouts), ("sctp", conntrack.sctp_timeouts)):
        for name, seconds in timeouts.items():
            sysctl.register(f"{_PREFIX}{protocol}_timeout_{name}", int(seconds), _timeout_setter(timeouts, name))
    for name, value in _WITHOUT_EFFECT.items():
        sysctl.register(_PREFIX + name, value, _check)
    sysctl.register(_PREFIX + "expect_max", 4_096, _positive)
    sysctl.register(_PREFIX + "max", conntrack.maximum, _setter(conntrack, "maximum", _natural))
    sysctl.register_read_only(_PREFIX + "count", lambda: len(conntrack))


def _setter(conntrack: Conntrack, attribute: str, convert: Callable[[int], object]) -> Callable[[str], None]:
    def apply(text: str) -> None:
        setattr(conntrack, attribute, convert(int(text)))

    return apply


def _timeout_setter(timeouts: dict[str, float], name: str) -> Callable[[str], None]:
    def apply(text: str) -> None:
        timeouts[name] = float(int(text))  # less than nothing is taken too, and ends an entry at once

    return apply


def _check(text: str) -> None:
    _natural(int(text))


def _positive(text: str) -> None:
    if int(text) < 1:
        raise ValueError("not positive")


def _natural(value: int) -> int:
    if value < 0:
        raise ValueError("negative")
    return value


def _flag(value: int) -> bool:
    return bool(_up_to(1)(value))


def _up_to(most: int) -> Callable[[int], int]:
    def check(value: int) -> int:
        if not 0 <= value <= most:
            raise ValueError(f"not from 0 to {most}")
        return value

    return check
