"""A bundle of a real namespace, saved by scripts/snapshot-node, answers as that namespace does, byte for byte."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

import pytest

from emulator.bundle.inputs import Source, read_inputs
from emulator.bundle.problem import Problems
from emulator.bundle.replay import Replay
from emulator.bundle.row import Row
from emulator.packet.pcapng import enhanced_packet, interface_description, section_header
from tests.bundle.maker import tcp
from tests.kernel.frames import arp, echo, ethernet, ipv4, udp
from tests.kernel.netfilter.kube_rules import kube_proxy_rules
from tests.kernel_oracle.harness import Testbed, normalise
from tests.kernel_oracle.netfilter_bed import HOST_MAC, MACS, RouterBed

pytestmark = pytest.mark.kernel

SNAPSHOT = Path(__file__).parents[2] / "scripts" / "snapshot-node"
START = 1_700_000_000_000_000_000
STEP = 10_000_000  # nanoseconds between packets
_TIMEOUT = re.compile(r"^(\S+ +\d+) \d+ ")

Packets = list[tuple[str, bytes]]


class Saved:
    """A bundle of a bed's real namespace, made before packets are sent."""

    def __init__(self, bed: Testbed, directory: Path) -> None:
        self.bed = bed
        self.path = directory / "bundle"
        done = subprocess.run(
            [SNAPSHOT, "--netns", bed.name, self.path], capture_output=True, text=True, check=False, cwd=directory
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == str(self.path)

    def compare(self, packets: Packets) -> list[Row]:
        """Send packets into the real namespace and through the bundle; what comes out must be the same."""
        real = self.bed.exchange(packets).real
        rows = self.replay(packets)
        own = self.bed.own_addresses()
        for link, frames in real.items():
            replayed = [each.frame for row in rows for each in row.out if each.link == link]
            assert [normalise(frame, own) for frame in replayed] == [normalise(frame, own) for frame in frames], link
        return rows

    def replay(self, packets: Packets) -> list[Row]:
        """Put packets through the bundle: from one capture file a link."""
        files: dict[str, bytes] = {}
        for number, (link, frame) in enumerate(packets):
            begin = section_header() + interface_description(1, link)
            files[link] = files.get(link, begin) + enhanced_packet(START + number * STEP, frame)
        sources = []
        for link, text in files.items():
            path = self.path / f"{link}.pcapng"
            path.write_bytes(text)
            sources.append(Source(link, str(path)))
        problems = Problems()
        arrivals = read_inputs(sources, problems)
        problems.check()
        run = Replay(self.path, arrivals, [source.link for source in sources], Random(1))
        counted = "--mode nth" in (self.path / "iptables-save.txt").read_text()
        assert [note.partition(":")[0] for note in run.bundle.notes] == ["statistic"] * counted
        rows = list(run.rows())
        assert not run.faults
        assert [row.link for row in rows] == [link for link, _ in packets]
        return rows

    def compare_entries(self, rows: Iterable[Row]) -> None:
        """The last entry that rows tell of each connection must be in the real table now."""
        table = {_TIMEOUT.sub(r"\1 ", line.strip()) for line in self.bed.execute("conntrack", "-L").splitlines()}
        told: dict[str, str] = {}
        for row in rows:
            if row.entry is not None:
                line = _TIMEOUT.sub(r"\1 ", row.entry)
                told[line.partition("src=")[2].partition(" src=")[0].replace(" [UNREPLIED]", "")] = line
        assert set(told.values()) <= table


@pytest.fixture
def router() -> Iterator[RouterBed]:
    with RouterBed() as bed:
        yield bed


def frame(link: str, packet: bytes) -> tuple[str, bytes]:
    return link, ethernet(MACS[link], HOST_MAC, packet)


def datagram(source: str, destination: str, sport: int, dport: int, **fields: int) -> bytes:
    return ipv4(source, destination, 17, udp(source, destination, sport, dport), **fields)


def segment(source: str, destination: str, sport: int, dport: int, flags: int, seq: int = 1, ack: int = 0) -> bytes:
    return ipv4(source, destination, 6, tcp(source, destination, sport, dport, flags, sequence=seq, acknowledgment=ack))


def deterministic(rules: str) -> str:
    """Rules that draw nothing at random, so that both sides choose alike."""
    return re.sub(r"--mode random --probability \S+", "--mode nth --every 2 --packet 0", rules).replace(
        " --random-fully", ""
    )


def test_kube_proxys_rules(router: RouterBed, tmp_path: Path) -> None:
    """A connection to a VIP and back, one that is masqueraded, what is invalid, and what has no way."""
    router.build(deterministic(kube_proxy_rules(3)))
    for number in (1, 2, 3):
        router.add_route(f"10.244.{number}.0/24", via=f"10.0.{number}.2")
    saved = Saved(router, tmp_path)
    vip, client, pod = "10.96.0.1", "10.0.1.5", "10.244.1.9"
    rows = saved.compare(
        [
            frame("a", segment(client, vip, 4000, 80, 0x02, 100)),  # masqueraded: not from the pod network
            frame("a", segment(pod, vip, 4001, 80, 0x02, 100)),
            frame("a", segment(pod, vip, 4002, 80, 0x02, 100)),
            frame("a", segment(pod, vip, 4003, 81, 0x02, 100)),  # no such port: routed as it is
            frame("a", segment(pod, "10.0.2.7", 4004, 80, 0x11, 100)),  # FIN first: invalid
            frame("a", datagram(pod, "10.0.2.7", 5000, 53)),
            frame("b", datagram("10.0.2.7", pod, 53, 5000)),
            frame("a", datagram(pod, "10.0.2.7", 5000, 53, ttl=1)),
            frame("a", ipv4(pod, "10.0.1.1", 1, echo())),
        ]
    )
    assert "nat:KUBE-SERVICES:rule:2" in rows[0].rules
    assert rows[0].verdict == "forwarded"
    assert (rows[3].verdict, rows[3].reason) == ("dropped", "IP_INNOROUTES")
    assert (rows[4].verdict, rows[4].state) == ("dropped", "INVALID")
    assert rows[6].state == "ESTABLISHED"
    saved.compare_entries(rows)


def test_connections_that_were_there(router: RouterBed, tmp_path: Path) -> None:
    """conntrack.txt: answers to what was sent before the bundle was saved are un-NATed; conversations go on."""
    router.build(
        "*nat\n-A PREROUTING -d 10.0.1.1/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.2.2:8080\n"
        "-A POSTROUTING -o b -j MASQUERADE\nCOMMIT\n"
        "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -m conntrack --ctstate INVALID -j DROP\n"
        "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -i a -j ACCEPT\nCOMMIT\n"
    )
    client, server = "10.0.1.5", "10.0.2.2"
    router.exchange(
        [
            frame("a", segment(client, "10.0.1.1", 4000, 80, 0x02, 100)),
            frame("b", segment(server, "10.0.2.1", 8080, 4000, 0x12, 500, 101)),
            frame("a", segment(client, "10.0.1.1", 4000, 80, 0x10, 101, 501)),
            frame("a", datagram(client, "10.0.2.9", 5000, 53)),
        ]
    )
    saved = Saved(router, tmp_path)
    rows = saved.compare(
        [
            frame("b", segment(server, "10.0.2.1", 8080, 4000, 0x18, 501, 101)),
            frame("a", segment(client, "10.0.1.1", 4000, 80, 0x10, 101, 501)),
            frame("b", datagram("10.0.2.9", "10.0.2.1", 53, 5000)),
            frame("a", segment(client, "10.0.1.1", 4000, 80, 0x11, 101, 501)),
        ]
    )
    assert [row.state for row in rows] == ["ESTABLISHED"] * 4
    assert [row.verdict for row in rows] == ["forwarded"] * 4


def test_routes_of_all_kinds(router: RouterBed, tmp_path: Path) -> None:
    router.build("*filter\nCOMMIT\n")
    for words in (
        "route add 192.0.2.0/24 via 10.0.2.2 mtu 600",
        "route add blackhole 192.0.3.0/24",
        "route add unreachable 192.0.4.0/24",
        "route add prohibit 192.0.5.0/24",
        "route add 192.0.6.0/24 via 10.9.9.9 dev c onlink",
        "route add default via 10.0.3.3 table 7",
        "route add throw 192.0.8.0/24 table 7",
        "route add 192.0.7.0/24 nexthop via 10.0.2.2 weight 3 nexthop via 10.0.3.3",
        "rule add from 10.0.1.7 lookup 7",
        "rule add iif b to 192.0.9.0/24 prohibit",
        "neigh replace 10.9.9.9 lladdr 02:bb:00:00:00:09 nud permanent dev c",
    ):
        router.ip(words)
    saved = Saved(router, tmp_path)
    packets = [
        frame("a", datagram("10.0.1.5", f"192.0.{number}.1", 1000, 53, fragment=0x4000)) for number in range(2, 8)
    ]
    packets += [frame("a", datagram("10.0.1.7", f"192.0.{number}.1", 1000, 53)) for number in (1, 8)]
    large = udp("10.0.1.5", "192.0.2.1", 1000, 53, bytes(900))
    packets.append(frame("a", ipv4("10.0.1.5", "192.0.2.1", 17, large)))
    packets.append(frame("a", ipv4("10.0.1.5", "192.0.2.1", 17, large, fragment=0x4000)))
    packets.append(frame("b", datagram("10.0.2.5", "192.0.9.1", 1000, 53)))
    rows = saved.compare(packets)
    assert [row.reason for row in rows] == [
        None, "IP_ROUTE_BLACKHOLE", "IP_ROUTE_UNREACHABLE", "IP_ROUTE_PROHIBIT", None, None, None, "IP_INNOROUTES",
        None, "PKT_TOO_BIG", "IP_RULE_PROHIBIT",
    ]  # fmt: skip


def test_sets(router: RouterBed, tmp_path: Path) -> None:
    router.build("*filter\nCOMMIT\n")
    router.execute(
        "ipset", "restore",
        stdin="create good hash:net\nadd good 10.0.1.4/30\ncreate pairs hash:ip,port\n"
        "add pairs 10.0.2.2,udp:53\ncreate both list:set\nadd both good\n",
    )  # fmt: skip
    router.execute(
        "iptables-restore",
        stdin="*filter\n:FORWARD DROP [0:0]\n-A FORWARD -m set --match-set both src -m set --match-set pairs dst,dst "
        "-j ACCEPT\n-A FORWARD -m set ! --match-set good src -j REJECT\nCOMMIT\n",
    )
    saved = Saved(router, tmp_path)
    rows = saved.compare(
        [
            frame("a", datagram("10.0.1.5", "10.0.2.2", 1000, 53)),
            frame("a", datagram("10.0.1.5", "10.0.2.2", 1000, 54)),
            frame("a", datagram("10.0.1.9", "10.0.2.2", 1000, 53)),
        ]
    )
    assert [row.rules for row in rows] == [
        ["filter:FORWARD:rule:1"],
        ["filter:FORWARD:policy:3"],
        ["filter:FORWARD:rule:2"],
    ]


def test_bridges_with_hairpin_and_iptables(tmp_path: Path) -> None:
    """Two pods at a bridge and a way out: same-node traffic through a VIP, floods, a pod that reaches itself."""
    macs = {name: f"02:00:00:00:01:0{number}" for number, name in enumerate(("p0", "p1", "up"), 1)}
    pods = {"p0": "02:aa:00:00:01:01", "p1": "02:aa:00:00:01:02"}
    with Testbed() as bed:
        for name, mac in macs.items():
            bed.add_link(name, mac)
        bed.add_bridge("cbr0", "02:00:00:00:01:ff", ["p0", "p1"])
        bed.set_hairpin("p0")
        bed.set_sysctl("net.ipv4.ip_forward", 1)
        bed.set_sysctl("net.bridge.bridge-nf-call-iptables", 1)
        bed.add_address("cbr0", "10.1.0.1/24")
        bed.add_address("up", "10.2.0.1/24")
        bed.add_neighbour("up", "10.2.0.2", HOST_MAC)
        for number, mac in enumerate(pods.values(), 2):
            bed.add_neighbour("cbr0", f"10.1.0.{number}", mac)
        bed.restore(
            "*nat\n-A PREROUTING -d 10.96.0.1/32 -p udp -m udp --dport 53 -j DNAT --to-destination 10.1.0.3:53\n"
            "-A PREROUTING -d 10.96.0.2/32 -p udp -m udp --dport 53 -j DNAT --to-destination 10.1.0.2:53\n"
            "-A POSTROUTING -s 10.1.0.2/32 -d 10.1.0.2/32 -j MASQUERADE\nCOMMIT\n"
            "*filter\n-A FORWARD -m physdev --physdev-in p1 -p udp -m udp --sport 99 -j DROP\nCOMMIT\n"
        )
        bed.exchange([("p1", ethernet("ff:ff:ff:ff:ff:ff", pods["p1"], b"learn me", 0x88B5))])
        saved = Saved(bed, tmp_path)
        gateway = "02:00:00:00:01:ff"

        def from_p0(destination: str, mac: str = gateway, sport: int = 4000) -> tuple[str, bytes]:
            return "p0", ethernet(mac, pods["p0"], datagram("10.1.0.2", destination, sport, 53))

        rows = saved.compare(
            [
                from_p0("10.96.0.1"),
                ("p1", ethernet(pods["p0"], pods["p1"], datagram("10.1.0.3", "10.1.0.2", 53, 4000))),
                from_p0("10.96.0.2"),
                from_p0("10.2.0.2"),
                from_p0("10.1.0.3", pods["p1"], 4001),
                ("p1", ethernet("ff:ff:ff:ff:ff:ff", pods["p1"], arp(1, pods["p1"], "10.1.0.3", "00:00:00:00:00:00",
                                                                     "10.1.0.2"), 0x0806)),
                ("p1", ethernet(pods["p0"], pods["p1"], datagram("10.1.0.3", "10.1.0.2", 99, 4000))),
                ("up", ethernet(macs["up"], HOST_MAC, datagram("10.2.0.2", "10.1.0.3", 53, 4000))),
            ]
        )  # fmt: skip
    assert [row.verdict for row in rows] == ["forwarded"] * 6 + ["dropped", "forwarded"]
    assert rows[1].state == "ESTABLISHED"


def test_fragments_and_icmp_errors(router: RouterBed, tmp_path: Path) -> None:
    router.build("*nat\n-A POSTROUTING -o b -j SNAT --to-source 10.0.2.1\nCOMMIT\n")
    saved = Saved(router, tmp_path)
    whole = udp("10.0.1.2", "10.0.2.2", 4000, 53, bytes(2000))
    quoted = datagram("10.0.2.1", "10.0.2.2", 4000, 53)
    error = bytearray(b"\x03\x03\0\0\0\0\0\0" + quoted)
    from emulator.packet.checksum import checksum

    error[2:4] = checksum(error).to_bytes(2, "big")
    rows = saved.compare(
        [
            frame("a", ipv4("10.0.1.2", "10.0.2.2", 17, whole[:1480], fragment=0x2000)),
            frame("a", ipv4("10.0.1.2", "10.0.2.2", 17, whole[1480:], fragment=185)),
            frame("b", ipv4("10.0.2.2", "10.0.2.1", 1, bytes(error))),
        ]
    )
    assert [row.verdict for row in rows] == ["stolen", "forwarded", "forwarded"]
    assert rows[2].state == "RELATED"


def test_the_script_says_what_it_cannot_do(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([SNAPSHOT, *arguments], capture_output=True, text=True, check=False, cwd=tmp_path)

    assert run("--netns", f"pwn-{os.getpid()}").returncode == 1
    assert run("--netns").returncode == 2
    assert run("--nosuch").returncode == 2
    assert run("a", "b").returncode == 2
    assert run("--help").returncode == 0
    (tmp_path / "there").mkdir()
    assert run("there").returncode == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "there"]


def test_the_script_writes_for_its_user_only(router: RouterBed, tmp_path: Path) -> None:
    saved = Saved(router, tmp_path)
    assert saved.path.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in saved.path.iterdir()} == {0o600}
    assert sorted(path.name for path in saved.path.iterdir()) == [
        "conntrack.txt", "fdb.json", "ip6tables-save.txt", "ipset-save.txt", "iptables-save.txt", "links.json",
        "neigh.json", "nft.txt", "routes.json", "rules.json", "sysctl.txt",
    ]  # fmt: skip
