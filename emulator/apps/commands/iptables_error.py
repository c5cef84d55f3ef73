"""How iptables 1.8.9 and iptables-restore tell an error: what they refused themselves, and what the kernel refused."""

from __future__ import annotations

import re

from emulator.kernel.netfilter.error import RestoreError, RuleError

VERSION = "v1.8.9 (nf_tables)"
USAGE_STATUS = 2
_TABLE = re.compile(r"table name '(.*)' invalid")


def told(error: RuleError) -> tuple[str, int]:
    """Return what `iptables` prints for an error, and its exit status: 1 kernel, 2 usage, 3 table."""
    message = str(error)
    table = _TABLE.match(message)
    if table is not None:
        text = f"table '{table[1]}' does not exist\nPerhaps iptables or your kernel needs to be upgraded.\n"
        return f"iptables {VERSION}: {text}", 3
    if message in _STRERROR:
        return f"iptables: {message}\n", 1
    hint = "Try `iptables -h' or 'iptables --help' for more information.\n"
    return f"iptables {VERSION}: {_shown(message)}\n{hint}", USAGE_STATUS


def restore_told(error: RestoreError) -> tuple[str, int]:
    """Return what `iptables-restore` prints for a line that it refused, and its exit status.

    The number is that of the line at fault; the real tool names the COMMIT behind it where the kernel finds the fault.
    """
    if error.message.startswith("COMMIT expected"):
        return f"iptables-restore: {error.message}\n", 1
    if error.message in _STRERROR:
        return f"{error}\n", 1
    hint = "Try `iptables-restore -h' or 'iptables-restore --help' for more information.\n"
    text = f"{_shown(error.message)}\nError occurred at line: {error.line}\n{hint}"
    return f"iptables-restore {VERSION}: {text}", USAGE_STATUS


_STRERROR = frozenset(
    {
        "Bad policy name.",
        "Bad rule (does a matching rule exist in that chain?).",
        "Chain already exists.",
        "Index of deletion too big.",
        "Index of insertion too big.",
        "Index of replacement too big.",
        "No chain/target/match by that name.",
    }
)
_SET = re.compile(r"Set \S+ doesn't exist\.|The protocol family of set \S+ is IPv6, which is not applicable\.")


def _shown(message: str) -> str:
    """Add the empty line that stands behind some messages of the parser."""
    return f"{message}\n" if _SET.fullmatch(message) else message
