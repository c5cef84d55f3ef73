"""iptables and iptables-restore in a namespace: what they change, and what they say as the machine's own tools do."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator

import pytest
from trio.testing import MockClock

from .conftest import Lab

HINT = "Try `iptables -h' or 'iptables --help' for more information.\n"
ERRORS = (
    "-A FOO -j ACCEPT",
    "-A INPUT -j NOPE",
    "-t nope -L",
    "",
    "-A INPUT -p foo -j ACCEPT",
    "-A INPUT --dport 80",
    "-D INPUT 5",
    "-N INPUT",
    "-X NOPE",
    "-C INPUT -j DROP",
    "-V",
    "-A INPUT -s 1.2.3.4.5 -j DROP",
    "-A INPUT -p tcp --dport 70000 -j DROP",
)
SHOWN = ("-S", "-L -n", "-L -n -v", "-nvL INPUT --line-numbers", "-S FORWARD", "-t nat -S")
RULES = """*filter
:WEB - [0:0]
-A INPUT -p tcp -m tcp --dport 80 -j WEB
-A WEB -s 10.0.0.0/8 -m comment --comment "our own" -j ACCEPT
-A WEB -p tcp -j REJECT --reject-with tcp-reset
COMMIT
*nat
-A POSTROUTING -s 10.244.0.0/16 ! -d 10.244.0.0/16 -j MASQUERADE
COMMIT
"""
BAD = {
    "*filter\n-A INPUT -j ACCEPT\n-A INPUT -j NOPE\nCOMMIT\n": 3,
    "*filter\n-A INPUT -p tcp --dport 70000 -j DROP\nCOMMIT\n": 2,
    "*filter\n-A INPUT --foo -j DROP\nCOMMIT\n": 2,
    "*filter\n-A INPUT -s 1.2.3.4.5 -j DROP\nCOMMIT\n": 2,
    "*filter\n-A INPUT -j ACCEPT\n": 3,
}


async def test_a_rule_takes_effect_and_can_be_taken_out(lab: Lab, autojump_clock: MockClock) -> None:
    assert (await lab.run("ping -c 1 -W 1 10.244.1.3")).status == 0
    assert (await lab.run("iptables -A INPUT -p icmp -j DROP", "server")).status == 0
    assert (await lab.run("ping -c 1 -W 1 10.244.1.3")).status == 1
    assert (await lab.run("iptables -nvL INPUT", "server")).out.splitlines()[2].split()[:4] == ["1", "84", "DROP", "1"]
    assert (await lab.run("iptables -D INPUT -p icmp -j DROP", "server")).status == 0
    assert (await lab.run("ping -c 1 -W 1 10.244.1.3")).status == 0


async def test_restore_replaces_adds_and_checks(lab: Lab, autojump_clock: MockClock) -> None:
    assert (await lab.run("iptables-restore", stdin=RULES.encode())).status == 0
    before = (await lab.run("iptables -S")).out
    assert '-A WEB -s 10.0.0.0/8 -m comment --comment "our own" -j ACCEPT' in before
    more = b"*filter\n[3:99] -A INPUT -j ACCEPT\nCOMMIT\n"
    assert (await lab.run("iptables-restore --test", stdin=more)).status == 0
    assert (await lab.run("iptables-restore -T nat", stdin=more)).status == 0
    assert (await lab.run("iptables -S")).out == before
    assert (await lab.run("iptables-restore --noflush -c", stdin=more)).status == 0
    assert (await lab.run("iptables -v -S INPUT")).out.endswith("-A INPUT -c 3 99 -j ACCEPT\n")
    assert (await lab.run("iptables-restore", stdin=more)).status == 0
    assert (
        await lab.run("iptables -S")
    ).out == "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n-A INPUT -j ACCEPT\n"


@pytest.mark.parametrize(("text", "line"), BAD.items())
async def test_a_bad_line_is_named_and_nothing_changes(
    lab: Lab, autojump_clock: MockClock, text: str, line: int
) -> None:
    await lab.run("iptables-restore", stdin=RULES.encode())
    before = (await lab.run("iptables-save")).out
    done = await lab.run("iptables-restore", stdin=text.encode())
    assert done.status in (1, 2)
    assert re.search(rf"line:? {line}\b", done.error)
    assert (await lab.run("iptables-save")).out == before


async def test_usage(lab: Lab, autojump_clock: MockClock) -> None:
    assert (await lab.run("iptables")).error == f"iptables v1.8.9 (nf_tables): no command specified\n{HINT}"
    assert "Usage: iptables" in (await lab.run("iptables --help")).out
    done = await lab.run("iptables-restore rules.txt")
    assert (done.status, done.error) == (1, "Can't open rules.txt: No such file or directory\n")


async def test_dmesg_shows_what_log_rules_wrote(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.run("iptables -A INPUT -p icmp -j LOG --log-prefix in:", "server")
    await lab.run("ping -c 1 -W 1 10.244.1.3")
    shown = (await lab.run("dmesg -c", "server")).out
    assert re.fullmatch(r"\[ *\d+\.\d{6}\] in:IN=eth0 OUT= MAC=\S+ SRC=10\.244\.1\.2 .* ID=\d+ SEQ=1 \n", shown), shown
    assert (await lab.run("dmesg", "server")).out == ""
    assert (await lab.run("dmesg -w", "server")).error.startswith("dmesg: invalid option -- 'w'\n")


REAL = f"pwi-tables-{os.getpid()}"


@pytest.fixture(scope="module")
def real() -> Iterator[None]:
    """Make a namespace of the machine's own with the same rules."""
    remove = ["ip", "netns", "del", REAL]
    subprocess.run(remove, check=False, capture_output=True)
    subprocess.run(["ip", "netns", "add", REAL], check=True, capture_output=True)
    try:
        assert judged("iptables-restore", RULES).returncode == 0
        yield
    finally:
        subprocess.run(remove, check=True, capture_output=True)


def judged(line: str, text: str = "") -> subprocess.CompletedProcess[str]:
    words = ["ip", "netns", "exec", REAL, *line.split()]
    return subprocess.run(words, check=False, capture_output=True, text=True, input=text)


def without_targets(text: str) -> str:
    """Take out what ours says more: which targets there are."""
    return re.sub(r" \(targets are .*\)", "", text)


@pytest.mark.kernel
@pytest.mark.parametrize("words", [*ERRORS, *SHOWN])
async def test_says_what_the_real_tool_says(lab: Lab, autojump_clock: MockClock, real: None, words: str) -> None:
    judge = judged(f"iptables {words}")
    await lab.run("iptables-restore", stdin=RULES.encode())
    ours = await lab.run(f"iptables {words}")
    assert (ours.out, without_targets(ours.error), ours.status) == (judge.stdout, judge.stderr, judge.returncode)


@pytest.mark.kernel
@pytest.mark.parametrize("text", BAD)
async def test_refuses_lines_as_the_real_tool_does(lab: Lab, autojump_clock: MockClock, real: None, text: str) -> None:
    judge = judged("iptables-restore", text)
    ours = await lab.run("iptables-restore", stdin=text.encode())
    # Of a jump to nowhere the real tool names the line of the COMMIT.
    same = without_targets(ours.error).replace("line: 3", "line: 4" if "NOPE" in text else "line: 3")
    assert (same, ours.status) == (judge.stderr, judge.returncode)


@pytest.mark.kernel
@pytest.mark.parametrize("option", ["-4", "-6", "--ipv4"])
async def test_restore_has_no_option_for_a_family(lab: Lab, autojump_clock: MockClock, real: None, option: str) -> None:
    judge, ours = judged(f"iptables-restore {option}"), await lab.run(f"iptables-restore {option}", stdin=b"")
    assert (ours.status, ours.out) == (judge.returncode, judge.stdout)
    if not option.startswith("--"):  # getopt names the program by how it was called
        assert ours.error == judge.stderr
