"""Drawn sets against the real ipset: what one lists and saves the other does, to the byte and in the same order."""

from __future__ import annotations

import itertools
import os
import random
import re
import subprocess
from collections.abc import Callable, Iterator
from difflib import unified_diff

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.kernel.kernel import Kernel
from emulator.kernel.netfilter.ipset.error import IpsetRestoreError
from emulator.kernel.netfilter.ipset.sets import Sets
from emulator.kernel.netfilter.ipset.text import Mode, Style, show_sets
from emulator.kernel.netns import Netns

pytestmark = pytest.mark.kernel

_numbers = itertools.count()
_TIMEOUT = re.compile(r"(?<= timeout )\d+")
SIZES = ("", "hashsize 64", "hashsize 64 bucketsize 2", "maxelem 40", "maxelem 9 forceadd")
EXTENSIONS = ("", "counters", "comment", "counters comment skbinfo", "timeout 0", "timeout 0 counters skbinfo")


def small(bits: int) -> st.SearchStrategy[str]:
    """Addresses of which many share a network."""
    return st.integers(1, (1 << bits) - 1).map(lambda n: f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}")


ADDRESS = st.one_of(small(3), small(9), small(20))
LENGTH = st.integers(1, 32)
NETWORK = st.tuples(ADDRESS, LENGTH).map(lambda pair: f"{pair[0]}/{pair[1]}")
RANGE = st.tuples(small(9), small(9)).map("-".join)
SMALL_RANGE = st.one_of(ADDRESS, ADDRESS, st.tuples(small(4), small(4)).map("-".join))
PORT = st.one_of(
    st.tuples(st.sampled_from(["tcp", "udp", "sctp", "udplite"]), st.integers(0, 20)).map(
        lambda pair: f"{pair[0]}:{pair[1]}"
    ),
    st.tuples(st.integers(0, 9), st.integers(0, 9)).map(lambda pair: f"{pair[0]}-{pair[1]}"),
    st.sampled_from(["80", "icmp:ping", "icmp:3/1", "icmp:200/3", "gre:0", "50:0", "udp:domain"]),
)
INET6 = st.one_of(st.integers(1, 9), st.integers(0, (1 << 64) - 1)).map(
    lambda n: f"fd00::{n >> 16 & 0xFFFF:x}:{n & 0xFFFF:x}"
)
NETWORK6 = st.tuples(INET6, st.integers(1, 128)).map(lambda pair: f"{pair[0]}/{pair[1]}")
LINK = st.sampled_from(["eth0", "eth1", "eth2", "lo", "physdev:eth0", "cali12345678901"])


def joined(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map(",".join)


NETWORKS = st.one_of(NETWORK, NETWORK, RANGE)
KINDS: dict[str, tuple[st.SearchStrategy[str], str]] = {
    "hash:ip": (st.one_of(ADDRESS, SMALL_RANGE), ""),
    "hash:ip netmask 28": (SMALL_RANGE, ""),
    "hash:ip bitmask 255.0.0.127": (ADDRESS, ""),
    "hash:net": (NETWORKS, "nomatch"),
    "hash:ip,port": (joined(SMALL_RANGE, PORT), ""),
    "hash:ip,port,ip": (joined(SMALL_RANGE, PORT, ADDRESS), ""),
    "hash:ip,port,net": (joined(ADDRESS, PORT, NETWORKS), "nomatch"),
    "hash:net,port": (joined(NETWORKS, PORT), "nomatch"),
    "hash:net,iface": (joined(NETWORKS, LINK), "nomatch"),
    "hash:ip family inet6": (INET6, ""),
    "hash:net family inet6": (NETWORK6, "nomatch"),
    "hash:ip,port family inet6": (joined(INET6, st.sampled_from(["80", "udp:5-9", "icmpv6:ping"])), ""),
    "hash:ip,port,ip family inet6": (joined(INET6, st.just("tcp:1-3"), INET6), ""),
    "hash:ip,port,net family inet6": (joined(INET6, st.just("tcp:1-3"), NETWORK6), "nomatch"),
    "hash:net,port family inet6": (joined(NETWORK6, st.just("80")), "nomatch"),
    "hash:net,iface family inet6": (joined(NETWORK6, LINK), ""),
    "bitmap:ip range 10.0.0.0/20": (st.one_of(small(12), SMALL_RANGE), ""),
    "bitmap:ip range 10.0.0.0/12 netmask 24": (SMALL_RANGE, ""),
    "bitmap:port range 0-200": (st.one_of(st.integers(0, 199).map(str), st.just("3-90"), st.just("udp:80")), ""),
}  # fmt: skip


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Commands for one set: elements come, come again, and go."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    elements, flag = KINDS[kind]
    extensions = draw(st.sampled_from(EXTENSIONS))
    options = [extensions]
    if kind.startswith("hash"):
        options.append(f"initval {draw(st.integers(0, 0xFFFFFFFF))}")
        options.append(
            draw(st.sampled_from(["", "hashsize 64", "hashsize 64 bucketsize 2", "maxelem 40", "maxelem 9 forceadd"]))
        )
    lines = [f"create x {kind} {' '.join(options)}"]
    drawn = draw(st.lists(st.tuples(elements, st.sampled_from("aaaed"), st.integers(0, 99)), max_size=60))
    for element, command, number in drawn:
        words = []
        if command != "d":
            words.append(f"timeout {number}00" if "timeout" in extensions and not number % 3 else "")
            words.append(flag if number % 4 == 1 else "")
            words.append(f"packets {number} bytes {number * 9}" if "counters" in extensions and number % 5 == 1 else "")
            words.append(f'comment "number {number}"' if "comment" in extensions and number % 7 < 2 else "")
            words.append(
                f"skbmark {number:#x}/0xff skbprio 1:{number}" if "skbinfo" in extensions and number % 9 < 3 else ""
            )
        lines.append(" ".join([{"a": "add", "e": "-exist add", "d": "del"}[command], "x", element, *words]))
    return "\n".join(lines) + "\n"


Judge = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    """Run the machine's own ipset in a namespace."""
    name = f"pwo-ipset-{os.getpid()}-{next(_numbers)}"
    subprocess.run(["ip", "netns", "add", name], check=True)

    def run(*words: str, text: str = "") -> subprocess.CompletedProcess[str]:
        command = ["ip", "netns", "exec", name, "ipset", *words]
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False)

    yield run
    subprocess.run(["ip", "netns", "del", name], check=True)


def fresh() -> Sets:
    return Netns(Kernel("machine", random.Random(1)), "test").netfilter.sets


def refusal(sets: Sets, line: str) -> str:
    """Carry out a line, and return what it is refused with."""
    try:
        sets.restore(line + "\n")
    except IpsetRestoreError as error:
        return f"ipset v7.17: {error}\n"
    return ""


def assert_same(ours: str, real: str, text: str) -> None:
    """Compare two texts; the times of a moment ago are a second less in the real one now and then."""
    if steady(ours) != steady(real):
        difference = unified_diff(real.splitlines(), ours.splitlines(), "the real tool", "ours", lineterm="", n=0)
        raise AssertionError("\n".join([*difference, "after", text]))


def steady(text: str) -> str:
    """Round timeouts, all of which are drawn in hundreds, up."""
    return _TIMEOUT.sub(lambda match: str(-(-int(match[0]) // 100) * 100), text)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=texts())
def test_drawn_sets_are_the_same(judge: Judge, text: str) -> None:
    judge("destroy")
    sets = fresh()
    for line in text.splitlines():  # one by one, so that an error does not end it
        assert refusal(sets, line) == judge("restore", text=line + "\n").stderr, f"{line}\nafter\n{text}"
    assert_same(show_sets(sets, list(sets), Style()), judge("list").stdout, text)
    ours, real = show_sets(sets, list(sets), Style(Mode.SAVE, sorted=True)), judge("save", "-sorted").stdout
    if "inet6" in text:  # each of three IPv6 networks may come before the next, and what the tool makes of it varies
        ours, real = ("".join(sorted(lines.splitlines(keepends=True))) for lines in (ours, real))
    assert_same(ours, real, text)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=texts())
def test_what_one_saves_the_other_restores(judge: Judge, text: str) -> None:
    first = fresh()
    for line in text.replace("\ndel ", "\nadd ").splitlines():
        refusal(first, line)
    saved = first.save()
    judge("destroy")
    assert judge("restore", text=saved).stderr == ""
    real = judge("save").stdout
    assert sorted(steady(real).splitlines()) == sorted(saved.splitlines())
    second = fresh()
    second.restore(real)
    assert_same("\n".join(sorted(second.save().splitlines())), "\n".join(sorted(real.splitlines())), text)


def test_many_elements_grow_the_table_alike(judge: Judge) -> None:
    draw = random.Random(3)
    lines = ["create x hash:ip,port initval 77 maxelem 200000"]
    for _ in range(30_000):
        host = ".".join(str(draw.randrange(1, 255)) for _ in range(4))
        lines.append(f"add x {host},{draw.choice(['tcp', 'udp'])}:{draw.randrange(65536)}")
    lines += [line.replace("add", "del") for line in lines[1::3]]
    text = "\n".join(lines) + "\n"
    judge("destroy")
    assert judge("-exist", "restore", text=text).stderr == ""
    sets = fresh()
    sets.restore(text, exist=True)
    assert show_sets(sets, list(sets), Style()) == judge("list").stdout
