"""What `conntrack -E` tells and `conntrack -S` counts, beside the real kernel's."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.apps.commands.conntrack import STATISTICS
from tests.kernel.netfilter import wire
from tests.kernel.netfilter.wire import ACK, FIN, PSH, RST, SYN
from tests.kernel_oracle.netfilter_bed import RouterBed

pytestmark = pytest.mark.kernel

CLIENT, SERVER = "10.0.1.2", "10.0.2.2"
RULES = """*mangle
-A FORWARD -p udp -m udp --dport 99 -j CONNMARK --set-mark 5
-A FORWARD -p udp -m udp --dport 98 -j CONNMARK --set-mark 0x0/0x0
COMMIT
*nat
-A POSTROUTING -o c -p udp -j SNAT --to-source 10.0.3.1:7000
-A POSTROUTING -o c -p tcp -j SNAT --to-source 10.0.3.1:7001
COMMIT
*filter
-A FORWARD -m conntrack --ctstate INVALID -j DROP
-A FORWARD -p tcp -m tcp --sport 80 --dport 4001 -j DROP
COMMIT
"""


@pytest.fixture
def bed() -> Iterator[RouterBed]:
    with RouterBed() as testbed:
        yield testbed.build(RULES)


def forth(flags: int, seq: int, ack: int = 0, data: bytes = b"", port: int = 4000) -> tuple[str, bytes]:
    return "a", wire.tcp(CLIENT, port, SERVER, 80, flags, seq, ack, data)


def back(flags: int, seq: int, ack: int = 0, data: bytes = b"", port: int = 4000) -> tuple[str, bytes]:
    return "b", wire.tcp(SERVER, 80, CLIENT, port, flags, seq, ack, data)


CONVERSATIONS = [
    forth(SYN, 1000), back(SYN | ACK, 5000, 1001), forth(ACK, 1001, 5001), forth(ACK | PSH, 1001, 5001, b"x"),
    forth(FIN | ACK, 1002, 5001), back(FIN | ACK, 5001, 1003), forth(ACK, 1003, 5002), forth(SYN, 9000),
    forth(SYN, 1, port=4001), back(SYN | ACK, 1, 2, port=4001), forth(SYN, 1, port=4001),
    forth(SYN, 1, port=4002), back(RST | ACK, 0, 2, port=4002),
    ("a", wire.udp(CLIENT, 5, SERVER, 99)), ("a", wire.udp(CLIENT, 5, SERVER, 99)),
    ("b", wire.udp(SERVER, 99, CLIENT, 5)), ("a", wire.udp(CLIENT, 6, SERVER, 98)),
    ("a", wire.echo(CLIENT, SERVER, 9)), ("b", wire.echo(SERVER, CLIENT, 9, reply=True)),
    ("a", wire.ip(CLIENT, SERVER, 89, b"ospf")),
]  # fmt: skip
_TIMEOUT = re.compile(r"(\[\w+\] \S+ +\d+) (\d+) ")


def test_the_same_events_are_told(bed: RouterBed, tmp_path: Path) -> None:
    told: list[str] = []
    bed.ns.netfilter.conntrack.event_log.listen(lambda event: told.append(str(event)))
    output = tmp_path / "events"
    with output.open("wb") as file:
        watch = subprocess.Popen(("ip", "netns", "exec", bed.name, "conntrack", "-E"), stdout=file)
        time.sleep(0.3)
        try:
            for packet in CONVERSATIONS:
                bed.send(packet)
            bed.execute("conntrack", "-F")
            bed.ns.netfilter.conntrack.flush()
            time.sleep(0.3)
        finally:
            watch.terminate()
            watch.wait()
    real = [line.partition(" [USERSPACE]")[0].strip() for line in output.read_text().splitlines()]
    changes = [line for line in real if not line.startswith("[DESTROY]")]
    ends = sorted(line for line in real if line.startswith("[DESTROY]"))
    assert [_TIMEOUT.sub(r"\1 ", each) for each in told if not each.startswith("[DESTROY]")] == [
        _TIMEOUT.sub(r"\1 ", each) for each in changes
    ]
    destroyed = sorted(each for each in told if each.startswith("[DESTROY]"))
    assert [_TIMEOUT.sub(r"\1 ", each) for each in destroyed] == [_TIMEOUT.sub(r"\1 ", each) for each in ends]
    lives = zip(_TIMEOUT.findall("\n".join(sorted(told))), _TIMEOUT.findall("\n".join(sorted(real))), strict=True)
    assert [pair for pair in lives if not -2 <= int(pair[0][1]) - int(pair[1][1]) <= 3] == []


def statistics(bed: RouterBed) -> dict[str, int]:
    """The real counters, of all processors together."""
    total = dict.fromkeys(STATISTICS, 0)
    for line in bed.execute("conntrack", "-S").splitlines():
        for name, value in re.findall(r"(\w+)=(\d+) ", line):
            if name != "cpu":
                total[name] += int(value)
    return total


def test_the_same_is_counted(bed: RouterBed) -> None:
    broken = wire.udp(CLIENT, 5, SERVER, 99)
    packets = [
        *CONVERSATIONS,
        ("a", broken[:-1] + bytes((broken[-1] ^ 1,))),  # invalid
        ("b", wire.echo(SERVER, CLIENT, 77, reply=True)),  # invalid
        ("b", wire.icmp_error(SERVER, CLIENT, wire.udp(CLIENT, 4001, SERVER, 53))),  # an error about nothing
        ("b", wire.icmp_error(SERVER, CLIENT, wire.udp(CLIENT, 5, SERVER, 99))),  # related
        forth(ACK | PSH, 900_000, 5001, b"far"),
        forth(FIN, 1, port=4009),
        ("a", wire.ip(CLIENT, SERVER, 17, b"\0\1\0\2\0\x09")),
        ("a", wire.udp(CLIENT, 1, "10.0.3.2", 53)),
        ("a", wire.udp(CLIENT, 2, "10.0.3.2", 53)),  # the port is taken: not inserted, dropped
        ("a", wire.tcp(CLIENT, 1, "10.0.3.2", 53, SYN)),
        ("a", wire.tcp(CLIENT, 2, "10.0.3.2", 53, SYN)),
    ]
    for number, packet in enumerate(packets):
        bed.compare([(packet[0], _frame(packet))])
        ours = bed.ns.netfilter.conntrack.statistics
        emulated, real = {name: getattr(ours, name) for name in STATISTICS}, statistics(bed)
        if number > len(CONVERSATIONS) + 8:  # how many ports were tried is a matter of chance
            emulated.pop("found")
            real.pop("found")
        assert emulated == real, number


def _frame(packet: tuple[str, bytes]) -> bytes:
    from tests.kernel_oracle.harness import ethernet
    from tests.kernel_oracle.netfilter_bed import HOST_MAC, MACS

    return ethernet(MACS[packet[0]], HOST_MAC, packet[1])
