"""The sysctls of connection tracking as the values that packets are judged by; `sysctl.py` has their names."""

from __future__ import annotations

from emulator.kernel.netfilter.conntrack.sctp_state import TIMEOUTS as SCTP_TIMEOUTS
from emulator.kernel.netfilter.conntrack.tcp_state import TIMEOUTS as TCP_TIMEOUTS


class Settings:
    """Each attribute is one of net.netfilter.nf_conntrack_*, with its default; timeouts are in seconds."""

    def __init__(self) -> None:
        self.maximum = 262_144
        self.checksum = True  # of received packets; a wrong one makes them INVALID
        self.accounting = False  # whether new entries show counters; they are always kept
        self.timestamps = False
        self.events = 2  # 0: entries made now tell nobody of their changes
        self.log_invalid = 0
        self.udp_timeout = 30.0
        self.udp_stream_timeout = 120.0
        self.icmp_timeout = 30.0
        self.generic_timeout = 600.0
        self.gre_timeout = 30.0
        self.gre_stream_timeout = 180.0
        self.tcp_timeouts: dict[str, float] = {name: float(seconds) for name, seconds in TCP_TIMEOUTS.items()}
        self.sctp_timeouts: dict[str, float] = {name: float(seconds) for name, seconds in SCTP_TIMEOUTS.items()}
        self.tcp_loose = True
        self.tcp_be_liberal = False
        self.tcp_ignore_invalid_rst = False
        self.tcp_max_retrans = 3
