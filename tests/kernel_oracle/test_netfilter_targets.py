"""NETMAP, NFLOG and TRACE against the real kernel: rewritten packets, what tcpdump and xtables-monitor read."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import dpkt
import pytest

from tests.kernel.netfilter import wire
from tests.kernel.netfilter.wire import SYN
from tests.kernel_oracle.harness import ethernet
from tests.kernel_oracle.netfilter_bed import HOST_MAC, MACS, RouterBed

pytestmark = pytest.mark.kernel

CLIENT, SERVER, OWN = "10.0.1.2", "10.0.2.2", "10.0.1.1"
PATIENCE = 10.0  # seconds to wait for a tool to say that it is ready, or to print what it saw


@pytest.fixture
def bed() -> Iterator[RouterBed]:
    with RouterBed() as testbed:
        yield testbed


def table(name: str, *rules: str, chains: tuple[str, ...] = ()) -> str:
    declared = "".join(f":{chain} - [0:0]\n" for chain in chains)
    return f"*{name}\n{declared}" + "".join(f"-A {rule}\n" for rule in rules) + "COMMIT\n"


def wait_for(file: Path, wanted: str) -> None:
    end = time.monotonic() + PATIENCE
    while wanted not in file.read_text(errors="replace"):
        assert time.monotonic() < end, f"{wanted!r} never came: {file.read_text(errors='replace')}"
        time.sleep(0.02)


def test_networks_are_mapped_host_by_host(bed: RouterBed) -> None:
    bed.build(
        table(
            "nat",
            "PREROUTING -d 198.51.100.0/24 -j NETMAP --to 10.0.2.0/24",
            "PREROUTING -d 203.0.113.0/24 -j NETMAP --to 10.0.2.4/30",
            "PREROUTING -d 192.0.2.0/24 -p udp -j NETMAP --to 10.0.1.1/32",
            "INPUT -s 10.0.1.4/32 -j NETMAP --to 10.0.3.0/24",
            "OUTPUT -d 10.0.1.5/32 -j NETMAP --to 10.0.2.0/24",
            "POSTROUTING -s 10.0.1.0/24 -o b -j NETMAP --to 172.16.0.0/24",
        )
    )
    bed.add_route("default", via="10.0.1.2")
    # Each with ports of its own, so that none has to give way to another, which is drawn.
    for port, target in enumerate(("198.51.100.2", "198.51.100.9", "203.0.113.2", "203.0.113.5", SERVER), 4000):
        bed.send(("a", wire.tcp(CLIENT, port, target, 80, SYN, 1)), ("a", wire.udp("10.0.1.3", port, target, 53)))
        bed.send(("a", wire.echo("10.0.1.3", target, port)))
    bed.send(("b", wire.udp(SERVER, 53, "172.16.0.3", 4000)))
    bed.send(("b", wire.tcp("10.0.2.5", 80, "172.16.0.2", 4000, SYN | wire.ACK, 9, 2)))
    bed.send(("a", wire.udp("10.0.1.4", 4000, "192.0.2.77", 53)), ("a", wire.udp("10.0.1.5", 4000, OWN, 53)))
    bed.compare_counters("nat")


def nflog_messages(path: Path) -> list[tuple[int, str, bytes]]:
    """Read hook, prefix and payload of each message (link type 239: attributes of nfnetlink_log)."""
    found = []
    with path.open("rb") as file:
        records = [data for _, data in dpkt.pcap.Reader(file)]
    for data in records:
        at, attributes = 4, {}
        while at + 4 <= len(data):
            length = int.from_bytes(data[at : at + 2], "little")
            attributes[int.from_bytes(data[at + 2 : at + 4], "little") & 0x7FFF] = data[at + 4 : at + length]
            at += (length + 3) & ~3
        found.append((attributes[1][2], attributes.get(10, b"").rstrip(b"\0").decode(), attributes[9]))
    return found


def test_packets_go_to_their_nflog_group(bed: RouterBed, tmp_path: Path) -> None:
    bed.build(
        table(
            "filter",
            'FORWARD -p udp -j NFLOG --nflog-group 7 --nflog-prefix "fwd: " --nflog-size 30',
            "FORWARD -p tcp -j NFLOG --nflog-group 7",
            "FORWARD -p icmp -j NFLOG --nflog-group 8 --nflog-prefix other",
            "INPUT -j NFLOG --nflog-group 7 --nflog-prefix in --nflog-size 20",
        )
    )
    command = ["ip", "netns", "exec", bed.name, "tcpdump", "-U", "-i", "nflog:7", "-c", "3", "-w", str(tmp_path / "n")]
    with (tmp_path / "said").open("w") as said, subprocess.Popen(command, stderr=said) as tcpdump:
        try:
            wait_for(tmp_path / "said", "listening")
            bed.send(("a", wire.udp(CLIENT, 4000, SERVER, 53, b"0123456789")), ("a", wire.echo(CLIENT, SERVER, 1)))
            bed.send(("a", wire.tcp(CLIENT, 4000, SERVER, 53, SYN, 1)), ("a", wire.udp(CLIENT, 4000, OWN, 53)))
            tcpdump.wait(PATIENCE)
        finally:
            tcpdump.kill()
    messages = bed.ns.netfilter.nflog
    assert [message.group for message in messages] == [7, 8, 7, 7]
    ours = [(message.hook, message.prefix, message.payload) for message in messages if message.group == 7]
    assert ours == nflog_messages(tmp_path / "n")


TRACED = table(
    "raw",
    "PREROUTING -p udp -m udp --dport 5 -j TRACE",
    "PREROUTING -p tcp -j TRACE",
) + table(
    "filter",
    "FORWARD -p icmp",
    "FORWARD -p udp",
    "FORWARD -p udp -j ONE",
    "FORWARD -p udp -j MARK --set-xmark 0x1/0xffffffff",
    "FORWARD -p udp -g THREE",
    "FORWARD -p tcp -j DROP",
    "ONE -j TWO",
    "ONE -p udp -j RETURN",
    "TWO -m mark --mark 0x0",
    "THREE -j FOUR",
    "FOUR -j RETURN",
    chains=("ONE", "TWO", "THREE", "FOUR"),
) + table("nat", "PREROUTING -d 10.96.0.1/32 -j DNAT --to-destination 10.0.2.2", "POSTROUTING -j RETURN")  # fmt: skip
EVENT = re.compile(r" TRACE: 2 \w+ (\S+?):(\S+?):(rule|policy):(\S+) *(?:-4 -t \w+ (.*))?")
VERDICTS = {"0xfffffffb": "RETURN"}  # a number where xtables-monitor has no name


def test_traced_packets_note_each_rule(bed: RouterBed, tmp_path: Path) -> None:
    bed.build(TRACED)
    seen = tmp_path / "events"
    command = ["ip", "netns", "exec", bed.name, "stdbuf", "-oL", "xtables-monitor", "--trace"]
    with seen.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output) as monitor:
        try:
            end = time.monotonic() + PATIENCE
            while not seen.stat().st_size and time.monotonic() < end:  # until it listens, packets leave no event
                bed.exchange([("a", ethernet(MACS["a"], HOST_MAC, wire.tcp(CLIENT, 4, "10.96.0.1", 80, SYN, 1)))])
                time.sleep(0.05)
            bed.ns.netfilter.trace_events.clear()
            before = len(seen.read_text())
            bed.send(("a", wire.udp(CLIENT, 4000, "10.96.0.1", 6)), ("a", wire.udp(CLIENT, 4000, "10.96.0.1", 5)))
            bed.send(("a", wire.tcp(CLIENT, 4000, SERVER, 5, SYN, 1)), ("a", wire.udp(CLIENT, 4001, SERVER, 5)))
            time.sleep(0.2)
        finally:
            monitor.kill()
    events = bed.ns.netfilter.trace_events
    real = [
        (name, chain, kind, VERDICTS.get(verdict := rest.split(":", 1)[-1] if kind == "rule" else rest, verdict), rule)
        for name, chain, kind, rest, rule in EVENT.findall(seen.read_text()[before:])
    ]
    assert [(event.table, event.chain, event.kind, event.verdict, event.rule) for event in events] == real
    places = [event.place for event in events][:8]
    assert places == [
        "raw:PREROUTING:rule:1", "raw:PREROUTING:policy:3", "nat:PREROUTING:rule:1", "filter:FORWARD:rule:2",
        "filter:FORWARD:rule:3", "filter:ONE:rule:1", "filter:TWO:rule:1", "filter:ONE:rule:2",
    ]  # fmt: skip
    assert str(events[0]).startswith(
        "TRACE: raw:PREROUTING:rule:1 IN=a OUT= MAC=02:00:00:00:00:01:02:aa:00:00:00:02:08"
    )


def test_marks_are_shifted_on_their_way(bed: RouterBed) -> None:
    bed.build(
        table(
            "mangle",
            "PREROUTING -p udp -j MARK --set-xmark 0xf5/0xffffffff",
            "PREROUTING -p udp --dport 1 -j CONNMARK --save-mark --nfmask 240 --ctmask 65535 --left-shift-mark 8",
            "PREROUTING -p udp -m udp --dport 2 -j CONNMARK --save-mark --right-shift-mark 4",
            "PREROUTING -p udp -m udp --dport 3 -j CONNMARK --set-xmark 0x81/0xff --left-shift-mark 28",
            "PREROUTING -p udp -j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xff00 --right-shift-mark 12",
            *[f"POSTROUTING -m mark --mark {mark:#x}" for mark in (0xF, 0, 0xF5, 1, 0xF0)],
            *[f"POSTROUTING -m connmark --mark {mark:#x}" for mark in (0xF000, 0xF, 0x10000000, 0)],
        )
    )
    for port in (1, 2, 3, 4):
        bed.send(("a", wire.udp(CLIENT, 4000, SERVER, port)), ("b", wire.udp(SERVER, port, CLIENT, 4000)))
    bed.compare_counters("mangle")


def test_zones_of_one_direction_and_from_the_mark(bed: RouterBed) -> None:
    bed.build(
        table("mangle", "PREROUTING -j MARK --set-xmark 0x0/0xffffffff")
        + table(
            "raw",
            "PREROUTING -p udp -m udp --dport 1 -j CT --zone-orig 5",
            "PREROUTING -p udp -m udp --sport 1 -j CT --zone-orig 5",
            "PREROUTING -p udp -m udp --dport 2 -j CT --zone-reply 6",
            "PREROUTING -p udp -m udp --sport 2 -j CT --zone 6",
            "PREROUTING -p udp -m multiport --ports 3,4 -j MARK --set-xmark 0x10007/0xffffffff",
            "PREROUTING -p udp -m multiport --ports 3 -j CT --zone mark",
            "PREROUTING -p udp -m multiport --ports 4 -j CT --zone-orig mark",
            "PREROUTING -p udp -m multiport --ports 5 -j CT",
            "PREROUTING -p tcp -j CT --notrack --zone 9",
        )
        + table("filter", "FORWARD -m conntrack --ctstate NEW", "FORWARD -m conntrack --ctstate ESTABLISHED")
    )
    for port in range(1, 6):
        bed.send(("a", wire.udp(CLIENT, 4000, SERVER, port)), ("b", wire.udp(SERVER, port, CLIENT, 4000)))
        bed.compare_counters("filter")
    bed.send(("a", wire.tcp(CLIENT, 4000, SERVER, 80, SYN, 1)))
    bed.compare_counters("filter")


def test_a_base_port_that_the_kernel_has_no_room_for(bed: RouterBed) -> None:
    bed.build(
        table(
            "nat",
            "POSTROUTING -o b -p udp -j SNAT --to-source 10.0.2.7:1000-1999/500",
            "POSTROUTING -o c -p udp -j MASQUERADE --to-ports 1000-1999/500",
            "PREROUTING -p udp -m udp --dport 5100:5199 -j DNAT --to-destination 10.0.2.2:80-179/5100",
        )
    )
    for port in (1500, 2000, 4321, 60000):
        bed.send(("a", wire.udp(CLIENT, port, SERVER, 53)), ("a", wire.udp(CLIENT, port, "10.0.3.2", 53)))
    for port in (5100, 5142, 5199):
        bed.send(("a", wire.udp("10.0.1.3", 1234, "198.51.100.1", port)))
