"""How iptables 1.8.9 and iptables-restore tell an error: what they refused themselves, and what the kernel refused."""

from __future__ import annotations

import re

from emulator.kernel.netfilter.error import (
    KernelError,
    OtherFamilyError,
    RefusedError,
    RestoreError,
    RuleError,
    TableError,
)

VERSION = "v1.8.9 (nf_tables)"
USAGE_STATUS = 2
KERNEL_STATUS = 4
_BAD_POLICY, _SEE_LOG = "Bad policy name.", " Run `dmesg' for more information."
_BAD_ARGUMENT = "Bad argument"  # the only message that comes without the program's name


def told(error: RuleError) -> tuple[str, int]:
    """Return what `iptables` prints for an error, and its exit status."""
    if isinstance(error, TableError):
        text = f"table '{error.table}' does not exist\nPerhaps iptables or your kernel needs to be upgraded.\n"
        return f"iptables {VERSION}: {text}", 3
    if isinstance(error, KernelError):
        return f"iptables {VERSION}:  {error}\n", KERNEL_STATUS
    if isinstance(error, RefusedError):
        name = f"iptables {VERSION}" if str(error).endswith("'nft' tool.") else "iptables"
        return f"{name}: {error}{_SEE_LOG if str(error) == _BAD_POLICY else ''}\n", 1
    hint = "Try `iptables -h' or 'iptables --help' for more information.\n"
    if isinstance(error, OtherFamilyError):
        return hint, USAGE_STATUS
    return f"{_program('iptables', error)}{_shown(str(error))}\n{hint}", USAGE_STATUS


def restore_told(error: RestoreError) -> tuple[str, int]:
    """Return what `iptables-restore` prints for a line that it refused, and its exit status.

    The number is that of the line at fault; the real tool names the COMMIT behind it where a chain is not there.
    """
    cause = error.cause
    if isinstance(cause, KernelError):
        return f"iptables-restore {VERSION}: \nline {error.line}: {cause}\n", KERNEL_STATUS
    if isinstance(cause, RefusedError):
        where = "" if error.message.startswith("COMMIT expected") else f"line {error.line} failed: "
        return f"iptables-restore: {where}{cause}\n", 1
    hint = "Try `iptables-restore -h' or 'iptables-restore --help' for more information.\n"
    text = f"iptables-restore: line {error.line} {cause}" if _of_the_text(cause) else _shown(str(cause))
    return f"{_program('iptables-restore', cause)}{text}\nError occurred at line: {error.line}\n{hint}", USAGE_STATUS


_SET = re.compile(r"Set \S+ doesn't exist\.|The protocol family of set \S+ is IPv6, which is not applicable\.")


def _shown(message: str) -> str:
    """Add the empty line that stands behind some messages of the parser."""
    return f"{message}\n" if _SET.fullmatch(message) else message


def _program(name: str, error: RuleError) -> str:
    return "" if str(error).startswith(_BAD_ARGUMENT) else f"{name} {VERSION}: "


def _of_the_text(cause: RuleError) -> bool:
    """Whether the real tool names the line twice: it does where a table or chain is declared."""
    return isinstance(cause, TableError) or str(cause) in ("table name invalid", "chain name invalid", "policy invalid")
