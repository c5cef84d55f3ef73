"""Rules against the real kernel: which packets match, what REJECT answers, marks, fragments, packets of our own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kernel.netfilter import wire
from tests.kernel.netfilter.wire import ACK, FIN, PSH, RST, SYN
from tests.kernel_oracle.harness import ethernet
from tests.kernel_oracle.netfilter_bed import HOST_MAC, MACS, RouterBed

pytestmark = pytest.mark.kernel

CLIENT, SERVER, OWN = "10.0.1.2", "10.0.2.2", "10.0.1.1"
ANSWERS = (
    "icmp-net-unreachable",
    "icmp-host-unreachable",
    "icmp-proto-unreachable",
    "icmp-port-unreachable",
    "icmp-net-prohibited",
    "icmp-host-prohibited",
    "icmp-admin-prohibited",
)


@pytest.fixture
def bed() -> Iterator[RouterBed]:
    with RouterBed() as testbed:
        yield testbed


def table(name: str, *rules: str, chains: tuple[str, ...] = ()) -> str:
    declared = "".join(f":{chain} - [0:0]\n" for chain in chains)
    return f"*{name}\n{declared}" + "".join(f"-A {rule}\n" for rule in rules) + "COMMIT\n"


def test_every_icmp_answer_of_reject(bed: RouterBed) -> None:
    rules = [
        f"FORWARD -p udp -m udp --dport {n} -j REJECT --reject-with {answer}" for n, answer in enumerate(ANSWERS, 1)
    ]
    bed.build(table("filter", *rules))
    for port in range(1, len(ANSWERS) + 1):
        bed.send(("a", wire.udp(CLIENT, 4000, SERVER, port)))
    bed.compare_counters("filter")


@pytest.mark.parametrize("chain", ["INPUT", "FORWARD"])
def test_reject_with_a_reset(bed: RouterBed, chain: str) -> None:
    bed.build(table("filter", f"{chain} -p tcp -j REJECT --reject-with tcp-reset"))
    target = OWN if chain == "INPUT" else SERVER
    for flags in (SYN, ACK, ACK | PSH, FIN | ACK, RST, RST | ACK, SYN | ACK, SYN | FIN, 0):
        bed.send(("a", wire.tcp(CLIENT, 4000, target, 80, flags, 1000, 7000 if flags & ACK else 0, b"data")))
    broken = wire.tcp(CLIENT, 4000, target, 80, SYN, 1000, data=b"broken")
    bed.send(("a", broken[:-1] + b"!"))


def test_rejects_with_conntrack_are_related(bed: RouterBed) -> None:
    text = table(
        "filter",
        "FORWARD -p tcp -j REJECT --reject-with tcp-reset",
        "FORWARD -j REJECT",
        "OUTPUT -m conntrack --ctstate RELATED",
        "OUTPUT -m conntrack --ctstate INVALID",
    )
    bed.build(text + table("nat", "PREROUTING -d 10.96.0.1/32 -j DNAT --to-destination 10.0.2.2"))
    bed.send(("a", wire.udp(CLIENT, 4000, "10.96.0.1", 53)))
    bed.send(("a", wire.tcp(CLIENT, 4000, "10.96.0.1", 80, SYN, 1000)))
    bed.compare_counters("filter")


def test_reject_of_a_service_without_endpoints(bed: RouterBed) -> None:
    bed.build(
        table("filter", "FORWARD -d 10.96.0.9/32 -p tcp -m tcp --dport 80 -j REJECT")
        + table("nat", "PREROUTING -j RETURN")
    )
    bed.add_route("default", via="10.0.3.9")
    bed.send(("a", wire.tcp(CLIENT, 4000, "10.96.0.9", 80, SYN, 1000)))


def test_user_chains_goto_and_return(bed: RouterBed) -> None:
    rules = (
        "FORWARD -j ONE",
        "FORWARD -p udp -m udp --dport 5 -j DROP",
        "FORWARD -g TWO",
        "FORWARD -j DROP",
        "ONE -p udp -m udp --dport 1 -j RETURN",
        "ONE -p udp -m udp --dport 2 -j DROP",
        "ONE -j THREE",
        "ONE -j RETURN",
        "ONE -j DROP",
        "TWO -p udp -m udp --dport 3 -j DROP",
        "TWO -j RETURN",
        "THREE -p udp -m udp --dport 4 -g FOUR",
        "THREE -j MARK --or-mark 1",
        "FOUR -p udp",
    )
    text = table("filter", *rules, chains=("ONE", "TWO", "THREE", "FOUR"))
    bed.build(text)
    for port in range(1, 7):
        bed.send(("a", wire.udp(CLIENT, 4000, SERVER, port)))
    bed.compare_counters("filter")


def test_runs_of_similar_rules_count_alike(bed: RouterBed) -> None:
    rules = [f"FORWARD -d 10.0.2.{host}/32 -p udp -m udp --dport {port}" for host in (2, 3) for port in range(1, 6)]
    rules += [
        f"FORWARD -d 10.0.2.{host}/32 -p udp -m udp --dport {port} -j MARK --or-mark 1"
        for host in (2, 3)
        for port in (1, 2, 2)
    ]
    rules += [
        "FORWARD -s 10.0.1.2/32 -m mark --mark 1 -j ACCEPT",
        "FORWARD -s 10.0.1.3/32",
        "FORWARD -s 10.0.1.4/32",
        "FORWARD -s 10.0.1.2/32",
    ]
    bed.build(table("mangle", *rules))
    for port in range(7):
        bed.send(("a", wire.udp(CLIENT, 4000, SERVER, port)), ("a", wire.udp("10.0.1.3", 4000, "10.0.2.3", port)))
    bed.compare_counters("mangle")


def test_a_memory_before_the_ports_is_asked_about_other_ports_too(bed: RouterBed) -> None:
    memories = (
        "-m statistic --mode nth --every 2 --packet 0",
        "-m limit --limit 1/hour --limit-burst 1",
        "-m recent --set --name L{port} --mask 255.255.255.255 --rsource",
    )
    rules = [
        f"FORWARD -p udp {memory.format(port=port)} -m udp --dport {port}"
        for memory in memories
        for port in range(1, 6)
    ]
    rules += [f"FORWARD -m recent --rcheck --name L{port} --mask 255.255.255.255 --rsource" for port in range(1, 6)]
    bed.build(table("filter", *rules))
    for port in (1, 2, 3, 3, 1):
        bed.send(("a", wire.udp(CLIENT, 4000, SERVER, port)))
        bed.compare_counters("filter")


def test_matches_see_what_the_kernel_sees(bed: RouterBed) -> None:
    tests = (
        "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN",
        "-p tcp -m tcp ! --tcp-flags SYN,ACK SYN",
        "-p tcp -m tcp --tcp-option 3",
        "-p tcp -m multiport --dports 80,90:100",
        "-p tcp -m multiport ! --ports 80",
        "-p tcp -m tcp ! --dport 81:90",
        "-p icmp -m icmp --icmp-type 8",
        "-p icmp -m icmp ! --icmp-type 3/3",
        "! -p tcp",
        "! -p tcp -m tcp --dport 53",
        "! -p tcp -m tcp ! --dport 53",
        "! -p udp -m udp --dport 80",
        "! -p udp -m udp --sport 2048",  # an echo request's type and code
        "! -p tcp -m tcp --tcp-flags SYN SYN",
        "-i a",
        "! -i a+",
        "-o b -i +",
        "-i b+",
        "-s 10.0.1.0/30",
        "! -d 10.0.2.0/255.0.255.0",
        "-m addrtype --dst-type LOCAL",
        "-m addrtype --src-type UNICAST",
        "-m addrtype --dst-type UNICAST --limit-iface-out",
        "-m mark --mark 0x0",
        "-m conntrack --ctdir REPLY",
        "-m conntrack --ctorigdst 10.0.2.2 --ctproto 6",
        "-m conntrack --ctstatus CONFIRMED",
        "-m conntrack ! --ctstatus SEEN_REPLY",
        "-m conntrack --ctstate NEW --ctorigsrcport 4000:4001",
        "-m connmark --mark 0x0",
        "-m connmark ! --mark 0x5",
        "-f",
        "! -f",
        "-m physdev ! --physdev-is-in",
        "-m physdev --physdev-is-bridged",
        "-m recent --rcheck --name L --mask 255.255.255.255 --rsource",
        "-m recent --set --name L --mask 255.255.255.255 --rsource",
        "-m statistic --mode nth --every 3 --packet 1",
        "-m limit --limit 1/min --limit-burst 3",
    )
    bed.build(table("filter", *[f"FORWARD {test}" for test in tests]))
    syn_options = bytes.fromhex("020405b401030307")
    packets = [
        ("a", wire.tcp(CLIENT, 4000, SERVER, 80, SYN, 1, options=syn_options)),
        ("b", wire.tcp(SERVER, 80, CLIENT, 4000, SYN | ACK, 9, 2)),
        ("a", wire.tcp(CLIENT, 4000, SERVER, 80, ACK, 2, 10)),
        ("a", wire.tcp(CLIENT, 4001, "10.0.2.3", 95, SYN, 1)),
        ("a", wire.udp(CLIENT, 4000, SERVER, 53)),
        ("b", wire.udp(SERVER, 53, CLIENT, 4000)),
        ("a", wire.echo(CLIENT, SERVER, 1)),
        ("b", wire.icmp_error(SERVER, CLIENT, wire.udp(CLIENT, 4000, SERVER, 53))),
        ("a", wire.ip(CLIENT, SERVER, 200, b"?")),
        ("c", wire.udp("10.0.3.3", 1, SERVER, 2)),
        ("a", wire.tcp(CLIENT, 4002, SERVER, 82, FIN, 1)),
    ]
    for packet in packets:
        bed.send(packet)
        bed.compare_counters("filter")


def test_marks_of_packets_and_connections(bed: RouterBed) -> None:
    bed.build(
        table(
            "mangle",
            "PREROUTING -p udp -j MARK --set-xmark 0xff/0xf0",
            "PREROUTING -p udp -j CONNMARK --save-mark --nfmask 0xff --ctmask 0xf0",
            "PREROUTING -p icmp -j CONNMARK --set-xmark 0x5/0xffffffff",
            "PREROUTING -p icmp -j CONNMARK --or-mark 0x10",
            "PREROUTING -j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xff",
            "POSTROUTING -m mark --mark 0x15",
            "POSTROUTING -m mark --mark 0xff",
            "POSTROUTING -m mark --mark 0xf0",
            "POSTROUTING -m mark ! --mark 0x0/0xff",
        )
    )
    bed.send(
        ("a", wire.udp(CLIENT, 4000, SERVER, 53)),
        ("a", wire.echo(CLIENT, SERVER, 3)),
        ("b", wire.udp(SERVER, 53, CLIENT, 4000)),
    )
    bed.compare_counters("mangle")


def test_notrack_and_zones(bed: RouterBed) -> None:
    raw = table(
        "raw",
        "PREROUTING -p udp -m udp --dport 53 -j NOTRACK",
        "PREROUTING -p udp -m udp --sport 53 -j CT --notrack",
        "PREROUTING -p icmp -j CT --zone 7",
    )
    bed.build(raw + table("filter", "FORWARD -m conntrack --ctstate UNTRACKED", "FORWARD -m conntrack --ctstate NEW"))
    bed.send(("a", wire.udp(CLIENT, 4000, SERVER, 53)), ("b", wire.udp(SERVER, 53, CLIENT, 4000)))
    bed.send(("a", wire.echo(CLIENT, SERVER, 3)), ("b", wire.echo(SERVER, CLIENT, 3, reply=True)))
    bed.send(("a", wire.udp(CLIENT, 4000, SERVER, 54)))
    bed.compare_counters("filter")


def test_tcpmss(bed: RouterBed) -> None:
    bed.build(
        table(
            "mangle",
            "FORWARD -o b -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1200",
            "FORWARD -o c -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",
        )
    )
    bed.add_route("10.9.0.0/16", via="10.0.3.2", link="c", mtu=1000)
    for options in ("020405b4", "02040400", "01020405b4010101", "010303070204ffff", "", "0103030701010101"):
        for server in (SERVER, "10.9.0.1"):
            bed.send(("a", wire.tcp(CLIENT, 4000, server, 80, SYN, 1, options=bytes.fromhex(options))))
    bed.send(("a", wire.tcp(CLIENT, 4000, SERVER, 80, SYN, 1, data=b"fast open")))


def test_policies_and_their_counters(bed: RouterBed) -> None:
    bed.build("*filter\n:FORWARD DROP [0:0]\n:INPUT DROP [0:0]\n-A FORWARD -p udp -j ACCEPT\nCOMMIT\n")
    bed.send(
        ("a", wire.udp(CLIENT, 4000, SERVER, 53)), ("a", wire.echo(CLIENT, SERVER, 1)), ("a", wire.echo(CLIENT, OWN, 1))
    )
    bed.compare_counters("filter")


def fragments(packet: bytes, size: int) -> list[bytes]:
    pieces = []
    payload = packet[20:]
    for offset in range(0, len(payload), size):
        more = 0x2000 if offset + size < len(payload) else 0
        piece = bytearray(packet[:20]) + payload[offset : offset + size]
        piece[2:4] = len(piece).to_bytes(2, "big")
        piece[6:8] = (more | offset // 8).to_bytes(2, "big")
        piece[10:12] = b"\0\0"
        total = sum(int.from_bytes(piece[at : at + 2], "big") for at in range(0, 20, 2))
        total = (total & 0xFFFF) + (total >> 16)
        piece[10:12] = (0xFFFF - ((total & 0xFFFF) + (total >> 16))).to_bytes(2, "big")
        pieces.append(bytes(piece))
    return pieces


def test_point_10_rules_see_reassembled_packets(bed: RouterBed) -> None:
    bed.build(
        table("filter", "FORWARD -p udp -m udp --dport 53", "FORWARD -f")
        + table("nat", "PREROUTING -d 10.96.0.1/32 -p udp -j DNAT --to-destination 10.0.2.2:5353")
    )
    for order in (1, -1):
        pieces = fragments(
            wire.udp(CLIENT, 4000 + order, "10.96.0.1", 53, b"0123456789abcdef" * 60, id=40 + order), 400
        )[::order]
        bed.send(*[("a", piece) for piece in pieces])
    bed.compare_counters("filter")


def test_fragments_without_conntrack(bed: RouterBed) -> None:
    bed.build(
        table(
            "filter",
            "FORWARD -p udp -m udp --dport 53",
            "FORWARD -p udp -m udp ! --dport 53",
            "FORWARD -f",
            "FORWARD ! -f",
            "FORWARD -p udp -m multiport --ports 0,53",
        )
    )
    pieces = fragments(wire.udp(CLIENT, 4000, SERVER, 53, b"0123456789abcdef" * 60), 400)
    bed.compare([("a", ethernet(MACS["a"], HOST_MAC, piece)) for piece in pieces])
    bed.compare_counters("filter")


def test_echo_replies_of_our_own_pass_the_output_hooks(bed: RouterBed) -> None:
    bed.build(
        table("filter", "OUTPUT -p icmp -m conntrack --ctstate ESTABLISHED", "INPUT -m conntrack --ctstate NEW")
        + table("nat", "PREROUTING -d 10.96.0.1/32 -j DNAT --to-destination 10.0.1.1", "OUTPUT -j RETURN")
    )
    bed.send(("a", wire.echo(CLIENT, OWN, 1)))
    out = bed.exchange([("a", ethernet(MACS["a"], HOST_MAC, wire.echo(CLIENT, "10.96.0.1", 2)))])
    for side in (out.real, out.emulated):  # their identifications are drawn
        assert [wire.ends(frame[14:]) for frame in side["a"]] == [("10.96.0.1", 2, CLIENT, 2)]
    bed.compare_entries()
    bed.compare_counters("filter")
