"""Knobs of what a network stack does not have, or what this one does not act on: kept as they are set, without effect.

Init containers set them (`sysctl -w vm.max_map_count=262144`), and fail where there are none. Values are those of Linux
6.18 on a machine of 24 GiB. Loaded when one of them is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.kernel.sysctl import Sysctl

_DEFAULTS: Mapping[str, int | str] = MappingProxyType(
    {
        "fs.aio-max-nr": 65536,
        "fs.file-max": 2466174,
        "fs.inotify.max_queued_events": 16384,
        "fs.inotify.max_user_instances": 128,
        "fs.inotify.max_user_watches": 192536,
        "fs.nr_open": 1048576,
        "kernel.core_pattern": "core",
        "kernel.keys.root_maxkeys": 1000000,
        "kernel.msgmax": 8192,
        "kernel.msgmnb": 16384,
        "kernel.msgmni": 32000,
        "kernel.panic": 0,
        "kernel.panic_on_oops": 0,
        "kernel.pid_max": 32768,
        "kernel.sem": "32000\t1024000000\t500\t32000",
        "kernel.shm_rmid_forced": 0,
        "kernel.shmall": 18446744073692774399,
        "kernel.shmmax": 18446744073692774399,
        "kernel.shmmni": 4096,
        "kernel.threads-max": 192729,
        "net.core.netdev_max_backlog": 1000,
        "net.core.rmem_default": 212992,
        "net.core.rmem_max": 4194304,
        "net.core.wmem_default": 212992,
        "net.core.wmem_max": 4194304,
        "net.ipv4.tcp_max_syn_backlog": 2048,
        "net.ipv4.tcp_mtu_probing": 0,
        "net.ipv4.tcp_slow_start_after_idle": 1,
        "net.ipv4.tcp_syncookies": 1,
        "net.ipv4.tcp_tw_reuse": 2,
        "vm.dirty_background_ratio": 10,
        "vm.dirty_ratio": 20,
        "vm.max_map_count": 65530,
        "vm.min_free_kbytes": 67584,
        "vm.nr_hugepages": 0,
        "vm.overcommit_memory": 0,
        "vm.panic_on_oom": 0,
        "vm.swappiness": 60,
        "vm.vfs_cache_pressure": 100,
    }
)


def register(sysctl: Sysctl, prefix: str) -> None:
    """Make the knobs with a prefix known, but for those that somebody acts on."""
    for name, default in _DEFAULTS.items():
        if name.startswith(prefix) and not sysctl.knows(name):
            sysctl.register(name, default, numeric=isinstance(default, int))
