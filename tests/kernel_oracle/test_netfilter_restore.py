"""Texts for iptables-restore against the real one: what each leaves behind, the exit status and the message."""

from __future__ import annotations

import os
import random
import re
import subprocess
from collections.abc import Iterator

import pytest

from emulator.apps.commands.iptables_error import restore_told
from emulator.kernel.kernel import Kernel
from emulator.kernel.netfilter.error import RestoreError
from emulator.kernel.netns import Netns

pytestmark = pytest.mark.kernel

BEFORE = """*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:ONE - [0:0]
-A INPUT -s 10.0.0.1/32 -j ONE
-A ONE -j ACCEPT
COMMIT
"""
# Built-in chains of a table that is not there yet do not exist for the real tool either, so that it names the chain
# where ours names the number.
NO_CHAIN, TOO_BIG = (
    "No chain/target/match by that name.",
    re.compile(r"Index of (deletion|replacement) too big\.|Directory not empty\."),
)
TEXTS = (
    "*filter\n-A INPUT -j LATER\n:LATER - [0:0]\nCOMMIT\n",
    "*filter\n-A NOPE -j ACCEPT\nCOMMIT\n",
    "*filter\n-A INPUT -j ACCEPT\n",
    "*filter\n-A INPUT -j ACCEPT\n\n\n",
    "*nosuch\nCOMMIT\n",
    "COMMIT\n",
    "-A INPUT -j DROP\n",
    ":INPUT ACCEPT\n",
    "*filter\n*nat\nCOMMIT\n",
    "*filter\n:A - [0:0]\n:B - [0:0]\n-A A -j B\n-A B -j A\n-A INPUT -j A\nCOMMIT\n",
    "*filter\n:A - [0:0]\n-A A -j A\n-A INPUT -j A\nCOMMIT\n",
    "*filter\n:A - [0:0]\n-A A -j A\nCOMMIT\n",
    "*filter\n:A - [0:0]\n:B - [0:0]\n-A A -j B\n-A B -j A\nCOMMIT\n",
    "*filter\n:A - [0:0]\n-A INPUT -j A\n-X A\nCOMMIT\n",
    "*filter\n-A INPUT -j FORWARD\nCOMMIT\n",
    "*filter\n:INPUT FOO [0:0]\nCOMMIT\n",
    "*filter\n:INPUT ACCEPT [x:0]\nCOMMIT\n",
    "*filter\n:INPUT\nCOMMIT\n",
    "*filter\n:INPUT ACCEPT\nCOMMIT\n",
    "*filter\n:FOO ACCEPT [0:0]\nCOMMIT\n",
    "*filter\n:FOO\nCOMMIT\n",
    "*filter\n:FOO -\nCOMMIT\n",
    "*filter\n:INPUT - [0:0]\nCOMMIT\n",
    "*filter\n-A INPUT -o eth0 -j ACCEPT\nCOMMIT\n",
    "*nat\n-A POSTROUTING -i eth0\nCOMMIT\n",
    "*nat\n-A PREROUTING -j REJECT\nCOMMIT\n",
    "*nat\n:PREROUTING DROP [0:0]\nCOMMIT\n",
    "*nat\n-A PREROUTING -j DROP\nCOMMIT\n",
    "*nat\n:A - [0:0]\n-A OUTPUT -j A\n-A A -j MASQUERADE\nCOMMIT\n",
    "*filter\n-D INPUT -s 1.2.3.4 -j DROP\nCOMMIT\n",
    "*filter\n-D INPUT 9\nCOMMIT\n",
    "*filter\n-D INPUT 0\nCOMMIT\n",
    "*filter\n-I INPUT 9 -j DROP\nCOMMIT\n",
    "*filter\n-I INPUT 0 -j DROP\nCOMMIT\n",
    "*filter\n-R INPUT 2 -j DROP\nCOMMIT\n",
    "*filter\n-R INPUT -j DROP\nCOMMIT\n",
    "*filter\n-N INPUT\nCOMMIT\n",
    "*filter\n-N A\n-N A\nCOMMIT\n",
    "*filter\n:A - [0:0]\n:A - [0:0]\nCOMMIT\n",
    "*filter\n:ACCEPT - [0:0]\nCOMMIT\n",
    "*filter\n:-x - [0:0]\nCOMMIT\n",
    "*filter\n:!x - [0:0]\nCOMMIT\n",
    "*filter\n:xxxxxxxxxxxxxxxxxxxxxxxxxxxxx - [0:0]\nCOMMIT\n",
    "*filter\n:xxxxxxxxxxxxxxxxxxxxxxxxxxxx - [0:0]\nCOMMIT\n",
    "*filter\ngarbage\nCOMMIT\n",
    "*filter\n-Q INPUT\nCOMMIT\n",
    "*filter\n-A\nCOMMIT\n",
    "*filter\n-A INPUT\nCOMMIT\n",
    "*filter\n[1:2]\nCOMMIT\n",
    "*filter\n[1:2 -A INPUT\nCOMMIT\n",
    "*filter\n[1] -A INPUT\nCOMMIT\n",
    "*filter\n[x:2] -A INPUT\nCOMMIT\n",
    "*filter\n# a comment\n\n-A INPUT -m nosuch --match-set x src -j DROP\nCOMMIT\n",
    "*filter\n-A INPUT -j NOSUCH\nCOMMIT\n",
    "*filter\n-A INPUT -g NOSUCH\nCOMMIT\n",
    "*filter\n-A INPUT -g ACCEPT\nCOMMIT\n",
    "*filter\n-A INPUT --foo\nCOMMIT\n",
    "*filter\n-A INPUT -p tcp --dport 70000\nCOMMIT\n",
    "*filter\n-A INPUT -p foo\nCOMMIT\n",
    "*filter\n-A INPUT -s 1.2.3.400\nCOMMIT\n",
    "*filter\n-A INPUT foo\nCOMMIT\n",
    "*filter\n-P FOO DROP\nCOMMIT\n",
    "*filter\n-P INPUT FOO\nCOMMIT\n",
    "*filter\n-F FOO\nCOMMIT\n",
    "*filter\n-X FOO\nCOMMIT\n",
    "*filter\n-X INPUT\nCOMMIT\n",
    "*filter\n-Z FOO\nCOMMIT\n",
    "*filter\n-E FOO BAR\nCOMMIT\n",
    "*filter\n:A - [0:0]\n:B - [0:0]\n-E A B\nCOMMIT\n",
    "*filter\n-C INPUT -j ACCEPT\nCOMMIT\n",
    "*filter\n-A INPUT -j ACCEPT\n-C INPUT -j ACCEPT\nCOMMIT\n",
    "*filter\n-A INPUT -j ACCEPT\nCOMMIT\n*nat\n-A NOPE -j ACCEPT\nCOMMIT\n",
    "*filter\n-A INPUT -j ACCEPT\nCOMMIT\n*filter\n-A FORWARD -j ACCEPT\nCOMMIT\n",
    "*filter\n-A INPUT -j ACCEPT -t nat\nCOMMIT\n",
    "*filter\n-t nat -A INPUT -j ACCEPT\nCOMMIT\n",
    "*filter\n-A INPUT -m mac --mac-source 0:1:2:3:4:5\n-A OUTPUT -m mac --mac-source 0:1:2:3:4:5\nCOMMIT\n",
    "*filter\n-A INPUT -j ACCEPT\n-A OUTPUT -m rpfilter\n-A OUTPUT -m mac --mac-source 0:1:2:3:4:5\nCOMMIT\n",
    "*filter\n-A INPUT -p udp -j REJECT --reject-with tcp-reset\nCOMMIT\n",
    "*filter\n-A OUTPUT -i lo\n-A INPUT -j ACCEPT\nCOMMIT\n",
    "  *filter\n  -A INPUT -j ACCEPT\n  COMMIT\n",
    "*filter \n-A INPUT -j ACCEPT \nCOMMIT \n",
    "*filter\n-A INPUT -j ACCEPT\nCOMMIT\nCOMMIT\n",
    "*filter\n-A INPUT -j ACCEPT\nCOMMIT foo\n",
    "*filter\n:A - [0:0]\n-A INPUT -j A\n-A A -j RETURN\n-A A -p tcp -g A\nCOMMIT\n",
    "*filter\n:A - [5:6]\n:INPUT DROP [7:8]\n[9:10] -A INPUT -j ACCEPT\n-A INPUT -c 11 12 -j DROP\nCOMMIT\n",
    "*filter\n-A INPUT -s 1.2.3.4,5.6.7.8 -d 9.9.9.9,8.8.8.8 -j ACCEPT\nCOMMIT\n",
    "*filter\n-I INPUT -s 1.2.3.4,5.6.7.8 -j ACCEPT\nCOMMIT\n",
    "*filter\n-R INPUT 1 -s 1.2.3.4,5.6.7.8 -j ACCEPT\nCOMMIT\n",
    "",
    "\n",
    "# foo\n",
    "*filter\nCOMMIT\n",
    "*\nCOMMIT\n",
    "* filter\nCOMMIT\n",
    "*filter\n-A INPUT -j ACCEPT\nCOMMIT",
    "*filter\n   \nCOMMIT\n",
    "*filter\n-F\nCOMMIT\n",
    "*filter\n-Z\nCOMMIT\n",
    "*filter\n-X\nCOMMIT\n",
    "*filter\n:INPUT ACCEPT\nCOMMIT\n",
    "*filter\n-X ONE\nCOMMIT\n",
    "*filter\n-E ONE TWO\nCOMMIT\n",
    "*filter\n-E ONE INPUT\nCOMMIT\n",
    ":\n",
    "*filter\n:\nCOMMIT\n",
    "*filter\n-D INPUT -s 10.0.0.1 -j ONE\n-F ONE\n-X ONE\nCOMMIT\n",
    "*filter\n:A - [0:0]\n:B - [0:0]\n-A A -j B\n-A INPUT -j A\n-A B -j A\n-A B -j ACCEPT\n-A INPUT\nCOMMIT\n",
    "*filter\n-A INPUT -m tcp --dport 80\nCOMMIT\n",
    "*filter\n-A INPUT -m multiport --dports 80\nCOMMIT\n",
    "*filter\n-A INPUT -m icmp --icmp-type 5\nCOMMIT\n",
    "*filter\n-D INPUT -m icmp --icmp-type 5\nCOMMIT\n",
    "*filter\n-N ONE\nCOMMIT\n",
    "*filter\n:ONE - [0:0]\nCOMMIT\n",
    "*filter\n-P INPUT ACCEPT\nCOMMIT\n",
    "*filter\n-F INPUT\nCOMMIT\n",
    "*filter\n-F ONE\n-X ONE\nCOMMIT\n",
    "*filter\n:INPUT ACCEPT [3:4]\nCOMMIT\n",
    "*filter\n-A INPUT -j ACCEPT\nCOMMIT\n*nat\n-A FOO\nCOMMIT\n*filter\n-A OUTPUT\nCOMMIT\n",
    "*filter\n-A ONE -g ONE\nCOMMIT\n",
    "*filter\n-R INPUT 1 -j ACCEPT\nCOMMIT\n",
    "*filter\n-4 -A INPUT -s 1.1.1.1\n-6 -A INPUT -s ::1\n-A INPUT -4 -s 1.1.1.2\n-A INPUT -6 -s ::2\nCOMMIT\n",
    "*filter\n--ipv4 -A INPUT -s 1.1.1.1\n-A INPUT --ipv4 -s 1.1.1.2\n-A INPUT --ipv6 -s ::2\nCOMMIT\n",
    "*filter\n[1:2] -4 -A INPUT -s 1.1.1.1\n-4 -F OUTPUT\n-6 -F INPUT\nCOMMIT\n",
    "*filter\n-A INPUT -p tcp -dport 22\nCOMMIT\n",
    "*filter\n-A INPUT -p tcp --dport=22 -j ACCEPT\nCOMMIT\n",
)


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    name = f"pwo-restore-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    yield name
    subprocess.run(["ip", "netns", "del", name], check=True)


def run(namespace: str, *command: str, text: str = "") -> subprocess.CompletedProcess[str]:
    words = ["ip", "netns", "exec", namespace, *command]
    return subprocess.run(words, input=text, capture_output=True, text=True, check=False)


def reset(namespace: str) -> None:
    """Have the rules of BEFORE and no other table."""
    assert run(namespace, "iptables-restore", text="*nat\nCOMMIT\n*mangle\nCOMMIT\n" + BEFORE).returncode == 0


def saved(namespace: str) -> str:
    output = run(namespace, "iptables-save", "-c").stdout
    return "".join(line + "\n" for line in output.splitlines() if not line.startswith("#"))


def first_of_its_lines(told: str) -> str:
    """Bring the real tool's words to ours: blank lines out, of several refusals the first; the kernel's without why."""
    lines = [line for line in told.split("\n") if line.strip()]
    refused = [line for line in lines if re.match(r"line \d+: \w+ failed", line)]
    lines = [line for line in lines if line not in refused[1:]]
    text = "\n".join(re.sub(r"^(line \d+: \w+ failed \([^)]*\): [^()]*?) *(\(.*\))?$", r"\1", line) for line in lines)
    text = re.sub(r" \(targets are .*\)|; there are .*|: a line outside of a table.*| *$", "", text, flags=re.MULTILINE)
    text = re.sub(r"(Chain '\w+' does not exist\nError occurred at line:) \d+", r"\1 N", text)
    text = re.sub(r"(Couldn't load (?:match|target) `\w+'):.*", r"\1", text)
    text = text.replace(':\nThe "nat"', ': The "nat"').replace(
        "(No such file or directory)", "(Operation not supported)"
    )
    return TOO_BIG.sub(NO_CHAIN, text)


CASES = [(text, flags) for text in TEXTS for flags in ("", "-n", "-t")]
CASES += [(text, "-c") for text in TEXTS if re.search(r"\[|:INPUT", text)]
CASES += [(text, "-T filter") for text in TEXTS if not text.startswith("*filter") or text.count("*") > 1]


@pytest.mark.parametrize(("text", "flags"), CASES)
def test_a_text_does_the_same(namespace: str, text: str, flags: str) -> None:
    reset(namespace)
    real = run(namespace, "iptables-restore", *flags.split(), text=text)
    netfilter = Netns(Kernel("machine", random.Random(1)), "test").netfilter
    netfilter.restore(BEFORE)
    told, status = "", 0
    try:
        netfilter.restore(
            text,
            noflush=flags == "-n",
            counters=flags == "-c",
            testing=flags == "-t",
            tables=["filter"] if flags.startswith("-T") else None,
        )
    except RestoreError as error:
        told, status = restore_told(error)
    assert (netfilter.save(counters=True), status) == (saved(namespace), real.returncode), real.stderr
    assert first_of_its_lines(told) == first_of_its_lines(real.stderr)
