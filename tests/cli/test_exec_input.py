"""The note that standard input is not passed: for commands that read it, where there is some."""

from __future__ import annotations

import pytest

from emulator.cli.exec import _reads_input

READS = ("iptables-restore", "iptables-restore -n", "ipset restore", "ipset -exist restore", "nft -f -", "cat", "cat -")
READS_NOT = ("iptables -L", "iptables-restore -h", "ipset list", "ipset restore -f x", "nft list ruleset", "cat /a")


@pytest.mark.parametrize("line", READS)
def test_a_command_that_reads_its_input(line: str) -> None:
    assert _reads_input(tuple(line.split()))


@pytest.mark.parametrize("line", READS_NOT)
def test_a_command_that_does_not(line: str) -> None:
    assert not _reads_input(tuple(line.split()))
