"""The familiar commands of `emulator exec`, one file each with `main(invocation)`, imported when first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from emulator.apps.environment import Command

MODULES: Mapping[str, str] = MappingProxyType(
    {
        "agnhost": "agnhost",
        "bridge": "bridge",
        "cat": "cat",
        "conntrack": "conntrack",
        "curl": "curl",
        "date": "date",
        "dig": "dig",
        "dmesg": "dmesg",
        "echo": "echo",
        "false": "echo",
        "getent": "getent",
        "hey": "hey",
        "host": "host",
        "hostname": "hostname",
        "ip": "ip",
        "ipset": "ipset",
        "ipvsadm": "ipvsadm",
        "iperf3": "iperf3",
        "iptables": "iptables",
        "iptables-restore": "iptables_restore",
        "iptables-save": "iptables_save",
        "nc": "nc",
        "netcat": "nc",
        "nft": "nft",
        "nslookup": "nslookup",
        "ping": "ping",
        "sh": "shell",
        "bash": "shell",
        "sleep": "sleep",
        "ss": "ss",
        "sysctl": "sysctl",
        "tracepath": "tracepath",
        "traceroute": "traceroute",
        "true": "echo",
        "wget": "wget",
    }
)


def names() -> list[str]:
    """Return the names of all commands, sorted; without the shells, which only say that there is none."""
    return sorted(name for name, module in MODULES.items() if module != "shell")


def is_built_in(name: str) -> bool:
    """Whether there is a command of a name or path; a shell is none."""
    return MODULES.get(name.rpartition("/")[2], "shell") != "shell"


def find(name: str) -> Command | None:
    """Return the command of a name or path ("ping", "/bin/ping"), or None if there is none."""
    module = MODULES.get(name.rpartition("/")[2])
    if module is None:
        return None
    return cast("Command", import_module(f"emulator.apps.commands.{module}").main)
