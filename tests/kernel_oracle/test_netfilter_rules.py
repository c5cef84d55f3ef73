"""The tables of rules against the real iptables-restore and iptables-save: what one takes and prints, both do."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterable, Iterator
from itertools import groupby

import pytest

from emulator.kernel.kernel import Kernel
from emulator.kernel.netfilter.iptables.command import iptables
from emulator.kernel.netfilter.netfilter import Netfilter
from emulator.kernel.netns import Netns
from tests.kernel.netfilter.kube_rules import kube_proxy_rules
from tests.kernel.netfilter.rule_files import RuleLine, read_rules

pytestmark = pytest.mark.kernel

NOT_THERE = {"match_ipvs"}  # in the kernels at hand; tests/kernel/netfilter/test_match_ipvs.py asks the tool alone
RULES = [line for line in read_rules() if line.file not in NOT_THERE]
FILES = [list(lines) for _, lines in groupby(RULES, lambda line: line.file)]


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    name = f"pwo-rules-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    for sets in sorted({line.sets for line in RULES}):
        subprocess.run(["ip", "netns", "exec", name, "ipset", "-exist", "restore"], check=True, input=sets, text=True)
    yield name
    subprocess.run(["ip", "netns", "del", name], check=True)


def fresh() -> Netfilter:
    netfilter = Netns(Kernel("machine", random.Random(1)), "test").netfilter
    for sets in sorted({line.sets for line in RULES}):
        netfilter.sets.restore(sets, exist=True)
    return netfilter


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
    emulated = fresh()
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


NUMERIC = ("-L -n", "-nvL", "-n -L --line-numbers", "-vnxL", "-S", "-S -v")
NAMED = ("-L", "-L -v", "--list --verbose --exact --line-numbers")
PORT_FILES = {"match_multiport", "match_tcp", "match_udp", "match_sctp"}  # with services that not every machine names
COUNTERS = """*filter
:INPUT DROP [123456:7890123456]
:FORWARD ACCEPT [99999:100000]
:OUTPUT ACCEPT [10000000:99999500000000000]
[99999:9999499] -A INPUT -p tcp -m multiport --dports 22,80:443 -j ACCEPT
[100000:9999500] -A INPUT ! -s 127.0.0.1/32 ! -i lo -p udp -m udp --dport 53 -j ACCEPT
[12345678:123456789012] -A INPUT -d 169.254.0.0/16 -p tcp -m tcp ! --sport 179 --dport 1024:65535 -j ACCEPT
COMMIT
"""


def assert_listed_alike(namespace: str, text: str, table: str, listings: Iterable[str]) -> None:
    enter = ["ip", "netns", "exec", namespace]
    done = subprocess.run([*enter, "iptables-restore", "-c"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    emulated = fresh()
    emulated.restore(text, counters=True)
    for listing in listings:
        words = ["-t", table, *listing.split()]
        output = subprocess.run([*enter, "iptables", *words], capture_output=True, text=True, check=True).stdout
        assert iptables(emulated, words) == output, listing


@pytest.mark.parametrize("table", sorted({line.table for line in RULES if line.valid}))
@pytest.mark.parametrize("listings", [NUMERIC, NAMED], ids=["numeric", "named"])
def test_rules_are_listed_alike(namespace: str, table: str, listings: tuple[str, ...]) -> None:
    lines = [line for line in RULES if line.table == table and line.valid]
    rules = [f"-A {line.chain} {line.rule}\n" for line in lines if listings is NUMERIC or line.file not in PORT_FILES]
    assert_listed_alike(namespace, f"*{table}\n:CH - [0:0]\n{''.join(rules)}COMMIT\n", table, listings)


@pytest.mark.parametrize("table", ["filter", "nat"])
def test_the_rules_of_kube_proxy_are_listed_alike(namespace: str, table: str) -> None:
    single = ("-L KUBE-SERVICES", "-nvL OUTPUT --line-numbers", "-L OUTPUT 1 -n --line-numbers", "-L OUTPUT 99")
    assert_listed_alike(namespace, kube_proxy_rules(5), table, (*NUMERIC, *NAMED, *single))


def test_names_and_counters_are_listed_alike(namespace: str) -> None:
    assert_listed_alike(namespace, COUNTERS, "filter", (*NUMERIC, *NAMED, "-L INPUT 2 -nv", "-v -S INPUT 1"))
