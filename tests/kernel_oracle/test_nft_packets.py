"""nftables against the real kernel: frames byte for byte, connections, and every counter and element of a listing."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.kernel.netfilter import wire
from tests.kernel.netfilter.nft.rulesets import HOST, KUBE_PROXY
from tests.kernel.netfilter.wire import ACK, FIN, PSH, RST, SYN
from tests.kernel_oracle.netfilter_bed import HOST_MAC, RouterBed

pytestmark = pytest.mark.kernel

CLIENT, SERVER, OUTSIDE, OWN = "10.0.1.2", "10.0.2.2", "10.0.3.2", "10.0.1.1"
EXPIRES = re.compile(r" expires [\dhms]+")


class NftBed(RouterBed):
    """A router with nft rules."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded = False

    def load(self, text: str) -> NftBed:
        """Make the router, the first time, and load a script on both sides."""
        if not self.loaded:
            self.loaded = True
            self.build("*filter\nCOMMIT\n")
            self.execute("nft", "flush", "ruleset")
            self.ns.netfilter.restore("")
        self.execute("nft", "-f", "-", stdin=text)
        self.ns.netfilter.nft.load(text)
        return self

    def compare_listing(self, family: str = "ip", table: str = "t") -> None:
        """Compare a table with its counters and elements."""
        real = EXPIRES.sub("", self.execute("nft", "list", "table", family, table))
        emulated = EXPIRES.sub("", self.ns.netfilter.nft.load(f"list table {family} {table}\n"))
        pairs = zip(emulated.splitlines(), real.splitlines(), strict=False)
        assert emulated == real, [pair for pair in pairs if pair[0] != pair[1]]


@pytest.fixture
def bed() -> Iterator[NftBed]:
    with NftBed() as testbed:
        yield testbed


def filter_table(*rules: str, hook: str = "forward", more: str = "", family: str = "ip") -> str:
    body = "\n".join(rules)
    return f"table {family} t {{\n{more}\nchain c {{\ntype filter hook {hook} priority 0;\n{body}\n}}\n}}\n"


PACKETS = [
    ("a", wire.tcp(CLIENT, 4000, SERVER, 80, SYN, 1, options=bytes.fromhex("020405b401030307"))),
    ("b", wire.tcp(SERVER, 80, CLIENT, 4000, SYN | ACK, 9, 2)),
    ("a", wire.tcp(CLIENT, 4000, SERVER, 80, ACK, 2, 10)),
    ("a", wire.tcp(CLIENT, 4000, SERVER, 80, ACK | PSH, 2, 10, b"data")),
    ("a", wire.tcp(CLIENT, 4001, "10.0.2.3", 95, SYN, 1)),
    ("a", wire.udp(CLIENT, 4000, SERVER, 53)),
    ("b", wire.udp(SERVER, 53, CLIENT, 4000)),
    ("a", wire.echo(CLIENT, SERVER, 1)),
    ("b", wire.echo(SERVER, CLIENT, 1, reply=True)),
    ("b", wire.icmp_error(SERVER, CLIENT, wire.udp(CLIENT, 4000, SERVER, 53))),
    ("a", wire.ip(CLIENT, SERVER, 200, b"?")),
    ("c", wire.udp(OUTSIDE, 1, SERVER, 2)),
    ("a", wire.tcp(CLIENT, 4002, SERVER, 82, FIN, 1)),
    ("a", wire.tcp(CLIENT, 4003, SERVER, 82, RST, 1)),
    ("a", wire.ip(CLIENT, SERVER, 17, b"\0", ttl=7)),
]
TESTS = (
    "ip saddr 10.0.1.2", "ip saddr != 10.0.1.2", "ip saddr 10.0.0.0/23", "ip saddr != 10.0.0.0/23",
    "ip daddr 10.0.2.0-10.0.2.2", "ip daddr != 10.0.2.3-10.0.2.9", "ip saddr { 10.0.1.2, 10.0.3.2 }",
    "ip saddr != { 10.0.1.2, 10.0.3.2 }", "ip saddr { 10.0.1.0/24, 10.0.3.2 }", "ip saddr & 0.0.0.3 == 0.0.0.2",
    "tcp dport 80", "tcp dport != 80", "tcp dport 80-90", "tcp dport != 80-90", "tcp dport { 80, 95 }",
    "tcp dport { 80-90, 95 }", "tcp dport >= 82", "tcp dport < 82", "th dport 53", "th dport != 53", "th sport 4000",
    "meta l4proto { tcp, udp } th dport { 53, 80 }", "udp length 8", "tcp flags syn", "tcp flags ! syn",
    "tcp flags == syn", "tcp flags != syn", "tcp flags syn / fin,syn,rst,ack", "tcp flags fin,rst",
    "tcp flags { syn, ack }", "icmp type echo-request", "icmp type { echo-reply, destination-unreachable }",
    "icmp code port-unreachable", "ip protocol 200", "ip protocol != tcp", "meta l4proto 17-200", "ip ttl 7",
    "ip ttl > 60", "ip length 28", "ip length > 40", "ip dscp cs0", "ip version 4", "ip hdrlength 5", "ip id 0",
    "ip frag-off & 8191 == 0", "meta length < 40", "iifname \"a\"", "iifname != \"a\"", "iifname \"a*\"",
    "iifname { \"a\", \"c\" }", "iifname { \"a*\", \"c\" }", "oifname \"b\"", "iif \"a\" oif \"b\"",
    "ct state new", "ct state established,related", "ct state != new", "ct state ! established", "ct state invalid",
    "ct state { new, established }", "ct status confirmed", "ct status ! confirmed", "ct status seen-reply",
    "ct direction reply", "ct original ip saddr 10.0.1.2", "ct reply ip saddr 10.0.2.0/24", "ct mark 0x00000000",
    "tcp dport 1-65535 ct original proto-dst 80", "ct protocol udp", "ct l3proto ipv4", "ct zone 0",
    "ct expiration > 10m", "meta mark 0x00000000", "meta mark & 0x000000ff != 0x00000001", "meta nftrace 0",
    "meta pkttype host", "meta protocol ip", "fib saddr type unicast", "fib daddr type local",
    "fib saddr . iif oif exists", "fib saddr . iif oif missing", "fib daddr oif \"b\"", "fib saddr oifname \"a\"",
    "ip saddr . tcp dport { 10.0.1.2 . 80, 10.0.1.2 . 95 }",
    "ip daddr . meta l4proto . th dport { 10.0.2.2 . tcp . 80 }",
    "ip saddr . ip daddr { 10.0.1.0/24 . 10.0.2.2 }", "ip saddr . tcp dport { 10.0.0.0/16 . 80-94, 10.0.1.2 . 95 }",
    "meta l4proto . th dport { udp . 53, icmp . 4 }", "iifname . oifname { \"a\" . \"b\" }",
    "jhash ip saddr mod 7 seed 0xdeadbeef < 3", "jhash tcp dport mod 5 seed 0x1 1",
    "jhash ip saddr . ip daddr . tcp dport . tcp sport mod 100 seed 0x2 < 50", "numgen inc mod 3 0",
    "numgen inc mod 3 offset 5 6", "ether saddr 02:aa:00:00:00:02", "ether type ip", "ip daddr @hosts",
    "ip daddr != @hosts", "ip daddr . tcp dport @pairs", "tcp window 0-65535", "tcp sequence 1", "tcp doff > 5",
)  # fmt: skip
SETS = """
set hosts { type ipv4_addr; elements = { 10.0.2.2 } }
set pairs { type ipv4_addr . inet_service; flags interval; elements = { 10.0.2.0/24 . 81-99 } }
"""


@pytest.mark.parametrize("family", ["ip", "inet"])
def test_every_comparison_sees_what_the_kernel_sees(bed: NftBed, family: str) -> None:
    tests = [f"{test} counter" for test in TESTS if test != "meta nftrace 0"]
    bed.load(filter_table(*tests, more=SETS, family=family))
    for packet in PACKETS:
        bed.send(packet)
        bed.compare_listing(family)


def test_comparisons_of_packets_of_our_own(bed: NftBed) -> None:
    tests = [
        f"{test} counter"
        for test in (
            "oifname \"a\"", "iifname \"a\"", "iif 0", "ip saddr 10.0.1.1", "icmp type echo-reply", "meta skuid 0",
            "fib daddr type unicast", "fib saddr type local", "ct state established", "ct direction reply",
            "meta pkttype host", "ether type ip", "meta length 32",
        )
    ]  # fmt: skip
    bed.load(filter_table(*tests, hook="output"))
    bed.send(("a", wire.echo(CLIENT, OWN, 1)), ("a", wire.udp(CLIENT, 5, OWN, 6)), ("b", wire.echo(SERVER, OWN, 1)))
    bed.compare_listing()


def test_jumps_gotos_returns_and_vmaps(bed: NftBed) -> None:
    chains = """
    chain one { counter
      udp dport 1 return
      udp dport 2 drop
      jump three
      counter
    }
    chain two { udp dport 3 counter drop
      return
    }
    chain three { udp dport 4 goto four
      meta mark set meta mark | 0x00000001
    }
    chain four { counter
    }
    map verdicts { type inet_service : verdict; flags interval; elements = { 10-19 : jump one, 20 : goto two, 30 : drop,
      31 : accept, 32 : continue } }
    """
    rules = (
        "udp dport vmap @verdicts counter",
        "jump one",
        "udp dport 5 drop",
        "udp dport vmap { 6 : drop, 7 : continue, 8 : return } counter",
        "meta mark 0x00000001 counter",
        "goto two",
        "counter drop",
    )
    bed.load(filter_table(*rules, more=chains))
    for port in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 19, 20, 21, 30, 31, 32):
        bed.send(("a", wire.udp(CLIENT, 4000, SERVER, port)))
    bed.compare_listing()


@pytest.mark.parametrize("family", ["ip", "inet"])
def test_every_answer_of_reject(bed: NftBed, family: str) -> None:
    codes = ("net-unreachable", "host-unreachable", "prot-unreachable", "port-unreachable", "net-prohibited",
             "host-prohibited", "admin-prohibited")  # fmt: skip
    rules = [f"udp dport {n} counter reject with icmp {code}" for n, code in enumerate(codes, 1)]
    rules += ["udp dport 20 reject", "tcp dport 81 reject", "tcp dport 80 counter reject with tcp reset"]
    if family == "inet":
        kinds = ("no-route", "port-unreachable", "host-unreachable", "admin-prohibited")
        rules += [f"udp dport {n} reject with icmpx {kind}" for n, kind in enumerate(kinds, 30)]
    bed.load(filter_table(*rules, family=family))
    for port in (*range(1, 8), 20, *range(30, 34)):
        bed.send(("a", wire.udp(CLIENT, 4000, SERVER, port)))
    for flags in (SYN, ACK, FIN | ACK, RST, SYN | ACK):
        bed.send(("a", wire.tcp(CLIENT, 4000, SERVER, 80, flags, 1000, 7000 if flags & ACK else 0, b"data")))
    bed.send(("a", wire.tcp(CLIENT, 4000, SERVER, 81, SYN, 1000)))
    bed.compare_listing(family)


def test_marks(bed: NftBed) -> None:
    rules = (
        "meta mark set 0x00000012 counter",
        "meta mark 0x00000012 counter",
        "meta mark set meta mark & 0x0000000f | 0x00000100",
        "meta mark 0x00000102 counter",
        "meta mark set meta mark ^ 0x00000002",
        "meta mark 0x00000100 counter",
        "ct mark set meta mark",
        "ct mark 0x00000100 counter",
        "meta mark set tcp dport map { 80 : 0x00000005, 95 : 0x00000006 }",
        "meta mark { 0x00000005, 0x00000006 } counter",
        "ct mark set ct mark | 0x00000001",
        "meta mark set ct mark & 0x000000ff",
        "meta mark 0x00000001 counter",
    )
    bed.load(filter_table(*rules))
    for packet in PACKETS:
        bed.send(packet)
    bed.compare_listing()


def test_sets_that_packets_fill(bed: NftBed) -> None:
    sets = """
    set seen { type ipv4_addr; flags dynamic,timeout; timeout 1h; }
    set few { type ipv4_addr . inet_service; size 2; flags dynamic,timeout; timeout 1h; }
    set counted { type ipv4_addr; flags dynamic; counter; }
    set gone { type inet_service; flags dynamic; elements = { 53, 80 } }
    set slow { type ipv4_addr; flags dynamic; }
    counter total { }
    map accounts { type ipv4_addr : counter; elements = { 10.0.1.2 : "total" } }
    """
    rules = (
        "ip saddr @seen counter",
        "update @seen { ip saddr } counter",
        "add @seen { ip daddr timeout 30m } counter",
        "add @few { ip saddr . th dport } counter",
        "add @counted { ip saddr counter }",
        "delete @gone { udp dport }",
        "add @slow { ip saddr limit rate 1/hour burst 2 packets } counter",
        'counter name "total"',
        "counter name ip saddr map @accounts",
    )
    bed.load(filter_table(*rules, more=sets))
    for packet in PACKETS:
        bed.send(packet)
        bed.compare_listing()


def test_limits(bed: NftBed) -> None:
    rules = (
        "limit rate 2/hour counter",
        "limit rate 1/hour burst 3 packets counter",
        "limit rate over 1/day burst 4 packets counter",
        "limit rate 60 bytes/hour counter",
        "limit rate 60 bytes/hour burst 100 bytes counter",
        "limit rate over 1 kbytes/day counter",
    )
    bed.load(filter_table(*rules))
    for packet in PACKETS:
        bed.send(packet)
    bed.compare_listing()


def test_policies_and_priorities(bed: NftBed) -> None:
    """Chains of equal priority are seen last made first, among those of iptables too."""
    bed.load("""
    table ip t {
      chain early { type filter hook forward priority -1; udp dport 1 counter drop
        counter
      }
      chain first { type filter hook forward priority 0; udp dport 2 counter drop
        counter
      }
      chain second { type filter hook forward priority 0; udp dport 2 counter drop
        counter
      }
      chain late { type filter hook forward priority 300; policy drop; udp dport != 3 counter accept
      }
      chain raw { type filter hook prerouting priority raw; udp dport 9 notrack counter
      }
      chain after { type filter hook forward priority 10; ct state untracked counter
      }
    }
    """)
    bed.restore("*filter\n-A FORWARD -p udp -m udp --dport 2 -j DROP\n-A FORWARD -p udp\nCOMMIT\n")
    bed.load(
        "add table ip u\nadd chain ip u last { type filter hook forward priority 0; }\nadd rule ip u last counter\n"
    )
    for port in (1, 2, 3, 4, 9):
        bed.send(("a", wire.udp(CLIENT, 4000, SERVER, port)))
    bed.compare_listing()
    bed.compare_listing("ip", "u")
    bed.compare_counters("filter")
    bed.load("delete chain ip t early\nflush chain ip t first\ndelete table ip u\n")
    for port in (1, 2):
        bed.send(("a", wire.udp(CLIENT, 4001, SERVER, port)))
    bed.compare_listing()


def test_translations(bed: NftBed) -> None:
    bed.load("""
    table ip t {
      map places { type inet_service : ipv4_addr . inet_service;
        elements = { 81 : 10.0.2.3 . 8081, 82 : 10.0.3.2 . 82 } }
      chain pre { type nat hook prerouting priority -100;
        tcp dport 80 counter dnat to 10.0.2.3:8080
        counter
        meta l4proto tcp dnat ip to tcp dport map @places
        udp dport 53 dnat to numgen inc mod 2 map { 0 : 10.0.2.2, 1 : 10.0.2.3 }
        udp dport 54 dnat to 10.0.2.2-10.0.2.5 persistent
        udp dport 55 redirect to :5555
        udp dport 56 redirect
        meta l4proto udp dnat ip to numgen inc mod 2 map { 0 : 10.0.2.4 . 1000, 1 : 10.0.2.5 . 2000 }
      }
      chain later { type nat hook prerouting priority -90; counter
        icmp type echo-request dnat to 10.0.2.9
      }
      chain post { type nat hook postrouting priority 100;
        tcp dport 8080 snat to 10.0.2.1:1000
        tcp dport 82 counter masquerade
        udp dport 1000 masquerade to :700
        oifname "b" ip saddr 10.0.1.2 udp sport 4000 snat to 10.0.2.8
      }
    }
    """)
    for packet in (
        *(wire.tcp(CLIENT, 4000, "10.9.9.9", port, SYN, 1) for port in (80, 81, 82, 83)),
        *(wire.udp(CLIENT, 4000, "10.0.2.7", port) for port in (53, 57, 58)),
        *(wire.udp("10.0.1.3", 4003, "10.0.2.7", port) for port in (53, 57)),
        *(wire.udp(source, 4004, "10.0.2.7", 54) for source in (CLIENT, "10.0.1.3", "10.0.1.4")),
        wire.udp(CLIENT, 4000, OWN, 55),
        wire.udp(CLIENT, 4000, "10.0.2.7", 56),
        wire.echo(CLIENT, SERVER, 1),
        wire.tcp(CLIENT, 4001, "10.9.9.9", 80, SYN, 1),
        wire.tcp(CLIENT, 4000, "10.9.9.9", 80, SYN, 1),
    ):
        bed.send(("a", packet))
    bed.send(("b", wire.tcp("10.0.2.3", 8080, "10.0.2.1", 4000, SYN | ACK, 7, 2)))
    bed.compare_listing()


def kube_proxy() -> str:
    """kube-proxy's table, with a masquerade whose ports are not drawn, and a counter in every rule."""
    text = KUBE_PROXY.replace("masquerade fully-random", "masquerade")
    return re.sub(r"^(add rule ip kube-proxy \S+) ", r"\1 counter ", text, flags=re.MULTILINE)


def test_kube_proxy(bed: NftBed) -> None:
    bed.load(kube_proxy())
    bed.add_link("d", "02:00:00:00:00:09")  # where Services would leave by, if nothing stopped them
    bed.add_address("d", "10.0.4.1/24")
    bed.add_neighbours("d", ["10.0.4.9"], HOST_MAC)
    bed.add_route("default", via="10.0.4.9")
    for link in ("all", "a", "b", "c"):
        bed.set_sysctl(f"net.ipv4.conf.{link}.send_redirects", 0)  # their rate goes by the machine's clock
    services = ("172.30.0.41", "172.30.0.42", "172.30.0.43", "172.30.0.45", "172.30.0.46", "5.6.7.8", "1.2.3.4")
    for number, service in enumerate((*services, "172.30.0.99")):
        sources = (("a", CLIENT), ("c", OUTSIDE), ("c", "10.0.3.9"), ("b", "10.0.2.2"), ("b", "10.0.2.4"))
        for index, (link, source) in enumerate(sources):
            port = 4000 + number * 10 + index  # or masquerading would have to draw another
            bed.send((link, wire.tcp(source, port, service, 80, SYN, 1)))
            bed.send((link, wire.udp(source, port, service, 80)))
        bed.send(("a", wire.tcp(CLIENT, 5000, service, 443, SYN, 1)))
    for port in (3001, 3002, 3003, 3004):
        bed.send(("c", wire.tcp(OUTSIDE, port, OWN, port, SYN, 1)))
        bed.send(("a", wire.tcp(CLIENT, port + 100, OWN, port, SYN, 1)))
    bed.send(("b", wire.tcp("10.0.2.2", 80, CLIENT, 4000, SYN | ACK, 9, 2)))
    bed.send(("a", wire.tcp(CLIENT, 4000, "172.30.0.41", 80, ACK, 2, 10)))
    bed.compare_listing("ip", "kube-proxy")
    bed.load("""
    delete element ip kube-proxy service-ips { 172.30.0.41 . tcp . 80 }
    delete element ip kube-proxy cluster-ips { 172.30.0.41 }
    flush chain ip kube-proxy service-ULMVA6XW-ns1/svc1/tcp/p80
    flush chain ip kube-proxy endpoint-5OJB2KTY-ns1/svc1/tcp/p80__10.0.2.2/80
    delete chain ip kube-proxy service-ULMVA6XW-ns1/svc1/tcp/p80
    delete chain ip kube-proxy endpoint-5OJB2KTY-ns1/svc1/tcp/p80__10.0.2.2/80
    """)
    bed.send(("a", wire.tcp(CLIENT, 4000, "172.30.0.41", 80, ACK, 2, 10)))
    bed.send(("a", wire.tcp(CLIENT, 7000, "172.30.0.41", 80, SYN, 2)))
    bed.compare_listing("ip", "kube-proxy")


def test_a_host(bed: NftBed) -> None:
    bed.load(HOST)
    for packet in PACKETS:
        bed.send(packet)
    for link, packet in (
        ("a", wire.tcp(CLIENT, 1, OWN, 22, SYN, 1)), ("b", wire.tcp(SERVER, 1, OWN, 22, SYN, 1)),
        ("a", wire.echo(CLIENT, OWN, 3)), ("a", wire.udp(CLIENT, 9, OWN, 9)), ("c", wire.udp(OUTSIDE, 9, OWN, 9)),
        ("a", wire.tcp(CLIENT, 2, OWN, 8080, SYN, 1)), ("a", wire.tcp(CLIENT, 2, OWN, 2222, SYN, 1)),
    ):  # fmt: skip
        bed.send((link, packet))
    bed.compare_listing("inet", "filter")
    bed.compare_listing("ip", "nat")
