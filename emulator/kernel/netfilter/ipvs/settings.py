"""The sysctls of IPVS, net.ipv4.vs.* (ip_vs_ctl.c, vs_vars; Documentation/networking/ipvs-sysctl.rst)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.kernel.sysctl import Sysctl

PREFIX = "net.ipv4.vs."
ALWAYS = 3  # of the defences: 1 and 2 are for machines that run out of memory, which none does here

# Names to the attribute of `Settings`.
_NUMBERS = {
    "am_droprate": "drop_rate",
    "conn_reuse_mode": "conn_reuse_mode",
    "conntrack": "conntrack",
    "expire_nodest_conn": "expire_nodest_conn",
    "expire_quiescent_template": "expire_quiescent_template",
    "nat_icmp_send": "nat_icmp_send",
    "sloppy_sctp": "sloppy_sctp",
    "sloppy_tcp": "sloppy_tcp",
    "snat_reroute": "snat_reroute",
}
_DEFENCES = {"drop_packet": "drop_packet", "secure_tcp": "secure_tcp"}
# Known to scripts, without effect here: nothing runs out of memory, no other director is told, nothing is bypassed.
_WITHOUT_EFFECT = {
    "amemthresh": 1024,
    "backup_only": 0,
    "cache_bypass": 0,
    "drop_entry": 0,
    "est_cpulist": 0,
    "est_nice": 0,
    "ignore_tunneled": 0,
    "pmtu_disc": 1,
    "run_estimation": 1,
    "schedule_icmp": 0,
    "sync_persist_mode": 0,
    "sync_ports": 1,
    "sync_qlen_max": 0,
    "sync_refresh_period": 0,
    "sync_retries": 0,
    "sync_sock_size": 0,
    "sync_version": 1,
}


class Settings:
    """The values of one namespace; numbers, since the kernel takes any."""

    def __init__(self, sysctl: Sysctl) -> None:
        self.conntrack = 0
        self.conn_reuse_mode = 1
        self.expire_nodest_conn = 0
        self.expire_quiescent_template = 0
        self.nat_icmp_send = 0
        self.sloppy_sctp = 0
        self.sloppy_tcp = 0
        self.snat_reroute = 1
        self.drop_rate = 10
        self.drop_packet = 0
        self.secure_tcp = 0
        for name, attribute in _NUMBERS.items():
            sysctl.register(PREFIX + name, getattr(self, attribute), self._setter(attribute))
        for name, attribute in _DEFENCES.items():
            sysctl.register(PREFIX + name, getattr(self, attribute), self._setter(attribute, ALWAYS))
        for name, value in _WITHOUT_EFFECT.items():
            sysctl.register(PREFIX + name, value, _number)
        sysctl.register(PREFIX + "sync_threshold", "3\t50", numeric=False)

    def _setter(self, attribute: str, most: int | None = None) -> Callable[[str], None]:
        def apply(text: str) -> None:
            value = int(text)
            if most is not None and not 0 <= value <= most:
                raise ValueError(f"not from 0 to {most}")
            setattr(self, attribute, value)

        return apply


def _number(text: str) -> None:
    int(text)
