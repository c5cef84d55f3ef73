"""conntrack and iptables-save: lines as conntrack-tools 1.4.7 and iptables 1.8.9 print them."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from emulator.apps.commands import conntrack
from emulator.apps.environment import Invocation

from .conftest import Lab

RULES = """\
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -d 10.96.0.10/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.244.1.3:8080
COMMIT
"""
SHOWN = "conntrack v1.4.7 (conntrack-tools): {} flow entries have been shown.\n"


class NoInput:
    async def read(self) -> bytes:
        await trio.lowlevel.checkpoint()
        return b""


@pytest.fixture
async def tracked(lab: Lab) -> Lab:
    lab.netns("node").netfilter.restore(RULES)
    await lab.start("agnhost", args=["netexec"])
    assert (await lab.run("curl -s http://10.96.0.10/hostname")).out == "server"
    await lab.run("nc -u -w 1 10.244.1.1 9", stdin=b"x")
    return lab


async def test_translated_connections(tracked: Lab, autojump_clock: MockClock) -> None:
    result = await tracked.run("conntrack -L -p tcp", "node")
    words = result.out.split()
    port = next(word for word in words if word.startswith("sport=")).partition("=")[2]
    seconds = words[2]
    assert result.out == (
        f"tcp      6 {seconds} TIME_WAIT src=10.244.1.2 dst=10.96.0.10 sport={port} dport=80 "
        f"src=10.244.1.3 dst=10.244.1.2 sport=8080 dport={port} [ASSURED] mark=0 use=1\n"
    )
    assert 110 <= int(seconds) <= 120
    assert result.error == SHOWN.format(1)
    extended = await tracked.run("conntrack -L -o extended -p tcp", "node")
    assert extended.out == "ipv4     2 " + result.out


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ("", 2),
        ("-p udp", 1),
        ("-p udp --dport 9", 1),
        ("-p udp --dport 10", 0),
        ("-s 10.244.1.2", 2),
        ("--dst 10.96.0.0/16", 1),
        ("-r 10.244.1.3", 1),
        ("-g", 1),
        ("-n", 0),
        ("-j", 1),
        ("-g 10.244.1.3", 1),
        ("-g 10.244.1.3:81", 0),
        ("-m 0/0xff", 2),
        ("-u UNREPLIED", 1),
        ("-f ipv6", 0),
        ("-u ASSURED", 1),
        ("-p tcp --state TIME_WAIT", 1),
    ],
)
async def test_filters(tracked: Lab, autojump_clock: MockClock, filters: str, count: int) -> None:
    result = await tracked.run(f"conntrack -L {filters}", "node")
    assert (len(result.out.splitlines()), result.error) == (count, SHOWN.format(count))


async def test_count_delete_and_flush(tracked: Lab, autojump_clock: MockClock) -> None:
    assert (await tracked.run("conntrack -C", "node")).out == "2\n"
    result = await tracked.run("conntrack -D -p udp", "node")
    assert result.error == "conntrack v1.4.7 (conntrack-tools): 1 flow entries have been deleted.\n"
    assert (await tracked.run("conntrack -D -p udp", "node")).status == 1
    result = await tracked.run("conntrack -F", "node")
    assert result.error == "conntrack v1.4.7 (conntrack-tools): connection tracking table has been emptied.\n"
    assert (await tracked.run("conntrack -C", "node")).out == "0\n"


async def test_an_entry_is_made_found_changed_and_told(tracked: Lab, autojump_clock: MockClock) -> None:
    tuple_of_it = "-p udp -s 1.1.1.1 -d 2.2.2.2 --sport 5 --dport 6"
    made = await tracked.run(f"conntrack -I {tuple_of_it} -t 100", "node")
    assert made.error == "conntrack v1.4.7 (conntrack-tools): 1 flow entries have been created.\n"
    changed = await tracked.run("conntrack -U -s 1.1.1.1 -m 9 -u SEEN_REPLY,ASSURED", "node")
    got = await tracked.run(f"conntrack -G {tuple_of_it}", "node")
    assert (
        got.out
        == changed.out
        == (
            "udp      17 100 src=1.1.1.1 dst=2.2.2.2 sport=5 dport=6 "
            "src=2.2.2.2 dst=1.1.1.1 sport=6 dport=5 [ASSURED] mark=9 use=2\n"
        )
    )
    saved = await tracked.run("conntrack -L -s 1.1.1.1 -o save", "node")
    assert saved.out == (
        "-A -t 100 -u SEEN_REPLY,ASSURED -s 1.1.1.1 -d 2.2.2.2 -r 2.2.2.2 -q 1.1.1.1 -p udp --sport 5 --dport 6 "
        "--reply-port-src 6 --reply-port-dst 5\n"
    )
    statistics = await tracked.run("conntrack -S", "node")
    assert statistics.out.startswith("cpu=0   \tfound=0 invalid=0 insert=1 insert_failed=0 drop=0 early_drop=0 ")


async def watch(lab: Lab, options: str, into: dict[str, str]) -> None:
    """Run `conntrack -E` on the node until it is cancelled, and note what it printed."""
    out: list[str] = []
    argv = ("conntrack", "-E", *options.split())
    try:
        with trio.move_on_after(70):
            await conntrack.main(
                Invocation(argv, lab.networks["node"], NoInput(), out.append, out.append, lab.machine.wall_clock)
            )
    finally:
        into[options] = "".join(out)


async def test_events_until_they_are_ended(lab: Lab, autojump_clock: MockClock) -> None:
    lab.netns("node").netfilter.restore(RULES)
    printed: dict[str, str] = {}
    async with trio.open_nursery() as nursery:
        for options in ("-p udp", "-e DESTROY -o extended", "-o timestamp,id -p icmp", "-o xml -e NEW", "expect"):
            nursery.start_soon(watch, lab, options, printed)
        await trio.testing.wait_all_tasks_blocked()
        await lab.run("nc -u -w 1 10.244.1.1 7", stdin=b"x")
        await trio.sleep(40)  # it ends by itself
        await lab.run("ping -c 1 10.244.1.1")
        await lab.run("conntrack -F", "node")
    port = printed["-p udp"].partition("sport=")[2].partition(" ")[0]
    forth = f"src=10.244.1.2 dst=10.244.1.1 sport={port} dport=7"
    back = f"src=10.244.1.1 dst=10.244.1.2 sport=7 dport={port}"
    shown = "conntrack v1.4.7 (conntrack-tools): {} flow events have been shown.\n"
    new, ended = f"udp      17 30 {forth} [UNREPLIED] {back}", f"udp      17 0 {forth} [UNREPLIED] {back}"
    assert printed["-p udp"] == f"    [NEW] {new}\n[DESTROY] {ended}\n" + shown.format(2)
    ping = "src=10.244.1.2 dst=10.244.1.1 type=8 code=0 id={} src=10.244.1.1 dst=10.244.1.2 type=0 code=0 id={}"
    destroyed, pinged = printed["-e DESTROY -o extended"].splitlines()[:2]
    identifier = pinged.rpartition("id=")[0].rpartition("id=")[2].split()[0] if "portid" in pinged else ""
    assert destroyed == f"[DESTROY] ipv4     2 {ended}"
    assert pinged == (
        f"[DESTROY] ipv4     2 icmp     1 30 {ping.format(identifier, identifier)} "
        "[USERSPACE] portid=1 progname=conntrack"
    )
    first = printed["-o timestamp,id -p icmp"].splitlines()[0]
    assert first.startswith("[17000000")
    assert "]\t    [NEW] icmp     1 30 src=10.244.1.2" in first
    assert printed["-o xml -e NEW"].startswith('<?xml version="1.0" encoding="utf-8"?>\n<conntrack>\n<flow type="new">')
    assert printed["-o xml -e NEW"].endswith("</flow>\n</conntrack>\n" + shown.format(2))
    assert printed["expect"] == "conntrack v1.4.7 (conntrack-tools): 0 expectation events have been shown.\n"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("conntrack -L -Z", "unknown option `-Z'"),
        ("conntrack -L -s 10.244.1.2 --dport 53", "unknown option `--dport'"),
        ("conntrack -L --nope", "unknown option `--nope'"),
        ("conntrack -L -p foo", "`foo' unsupported protocol"),
        ("conntrack -L -s foo", "Invalid IP address `foo'"),
    ],
)
async def test_errors(lab: Lab, autojump_clock: MockClock, line: str, error: str) -> None:
    result = await lab.run(line)
    hint = "Try `conntrack -h' or 'conntrack --help' for more information.\n"
    assert (result.status, result.error) == (2, f"conntrack v1.4.7 (conntrack-tools): {error}\n{hint}")


async def test_iptables_save(tracked: Lab, autojump_clock: MockClock) -> None:
    lines = (await tracked.run("iptables-save -c -t nat", "node")).out.splitlines()
    assert lines[0].startswith("# Generated by iptables-save v1.8.9 (nf_tables) on Tue Nov 14 22:13:2")
    assert lines[-3:-1] == [
        "[1:60] -A PREROUTING -d 10.96.0.10/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.244.1.3:8080",
        "COMMIT",
    ]
    result = await tracked.run("iptables-save -t nope", "node")
    assert (result.status, result.error) == (1, "Table `nope' does not exist\n")
