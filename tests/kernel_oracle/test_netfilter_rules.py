"""The tables of rules against the real iptables-restore and iptables-save: what one takes and prints, both do."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from itertools import groupby

import pytest

from emulator.kernel.kernel import Kernel
from emulator.kernel.netns import Netns
from tests.kernel.netfilter.rule_files import RuleLine, read_rules

pytestmark = pytest.mark.kernel

RULES = read_rules()
FILES = [list(lines) for _, lines in groupby(RULES, lambda line: line.file)]


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    name = "f-rules"
    subprocess.run(["ip", "netns", "add", name], check=True)
    yield name
    subprocess.run(["ip", "netns", "del", name], check=True)


def restore(namespace: str, text: str) -> subprocess.CompletedProcess[str]:
    command = ["ip", "netns", "exec", namespace, "iptables-restore"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def save(namespace: str, table: str) -> str:
    command = ["ip", "netns", "exec", namespace, "iptables-save", "-t", table]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return "".join(line + "\n" for line in output.splitlines() if not line.startswith("#"))


@pytest.mark.parametrize("lines", FILES, ids=lambda lines: lines[0].file)
def test_valid_rules_are_saved_alike(namespace: str, lines: list[RuleLine]) -> None:
    valid = [line for line in lines if line.valid]
    if not valid:
        return
    table, chain = valid[0].table, valid[0].chain
    body = "".join(f"-A {chain} {line.rule}\n" for line in valid)
    text = f"*{table}\n:CH - [0:0]\n{body}COMMIT\n"
    done = restore(namespace, text)
    assert done.returncode == 0, done.stderr
    emulated = Netns(Kernel("machine", random.Random(1)), "test").netfilter
    emulated.restore(text)
    assert emulated.save(table) == save(namespace, table)


@pytest.mark.parametrize(
    "line", [line for line in RULES if not line.valid], ids=lambda line: f"{line.file}: {line.rule}"
)
def test_bad_rules_are_refused_by_both(namespace: str, line: RuleLine) -> None:
    assert restore(namespace, line.text).returncode != 0


def test_the_order_of_tables_and_chains(namespace: str) -> None:
    text = "".join(
        f"*{table}\n:Zed - [0:0]\n:ABC - [0:0]\n:abc - [0:0]\n-A OUTPUT -j ABC\nCOMMIT\n"
        for table in ("nat", "filter", "raw", "security", "mangle")
    )
    assert restore(namespace, text).returncode == 0
    emulated = Netns(Kernel("machine", random.Random(1)), "test").netfilter
    emulated.restore(text)
    output = subprocess.run(
        ["ip", "netns", "exec", namespace, "iptables-save"], capture_output=True, text=True, check=True
    ).stdout
    assert emulated.save() == "".join(line + "\n" for line in output.splitlines() if not line.startswith("#"))
