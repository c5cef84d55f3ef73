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
        "[": "shell_words",
        "agnhost": "agnhost",
        "ash": "shell",
        "awk": "awk",
        "basename": "small",
        "bash": "shell",
        "bridge": "bridge",
        "cat": "cat",
        "chmod": "change_files",
        "conntrack": "conntrack",
        "cp": "change_files",
        "curl": "curl",
        "cut": "cut",
        "dash": "shell",
        "date": "date",
        "dig": "dig",
        "dirname": "small",
        "dmesg": "dmesg",
        "echo": "echo",
        "egrep": "grep",
        "env": "run_other",
        "expr": "expr",
        "false": "echo",
        "fgrep": "grep",
        "getent": "getent",
        "grep": "grep",
        "head": "head",
        "hey": "hey",
        "host": "host",
        "hostname": "hostname",
        "id": "small",
        "ip": "ip",
        "iperf3": "iperf3",
        "ipset": "ipset",
        "iptables": "iptables",
        "iptables-restore": "iptables_restore",
        "iptables-save": "iptables_save",
        "ipvsadm": "ipvsadm",
        "ls": "ls",
        "mkdir": "change_files",
        "mktemp": "change_files",
        "mv": "change_files",
        "nc": "nc",
        "netcat": "nc",
        "nft": "nft",
        "nohup": "run_other",
        "nproc": "small",
        "nslookup": "nslookup",
        "ping": "ping",
        "printenv": "run_other",
        "printf": "shell_words",
        "readlink": "small",
        "realpath": "small",
        "rev": "small",
        "rm": "change_files",
        "rmdir": "change_files",
        "sed": "sed",
        "seq": "seq",
        "sh": "shell",
        "sleep": "sleep",
        "sort": "sort",
        "ss": "ss",
        "sysctl": "sysctl",
        "tac": "cat",
        "tail": "head",
        "tee": "tee",
        "test": "shell_words",
        "timeout": "run_other",
        "touch": "change_files",
        "tr": "tr",
        "tracepath": "tracepath",
        "traceroute": "traceroute",
        "true": "echo",
        "tty": "small",
        "uname": "small",
        "uniq": "sort",
        "wc": "wc",
        "wget": "wget",
        "which": "small",
        "whoami": "small",
        "xargs": "run_other",
        "yes": "seq",
    }
)


def names() -> list[str]:
    """Return the names of all commands, sorted."""
    return sorted(MODULES)


def is_built_in(name: str) -> bool:
    """Whether there is a command of a name or path; what a shell runs is another question."""
    return MODULES.get(name.rpartition("/")[2], "shell") != "shell"


def find(name: str) -> Command | None:
    """Return the command of a name or path ("ping", "/bin/ping"), or None if there is none."""
    module = MODULES.get(name.rpartition("/")[2])
    if module is None:
        return None
    return cast("Command", import_module(f"emulator.apps.commands.{module}").main)
