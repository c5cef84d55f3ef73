"""Draws the tests of a rule (`-s`, `-m conntrack ...`): one function a match, chosen by weight.

A function returns the words, or "" where the match is not allowed (its table, its chain, the protocol of the rule).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.kernel_oracle.drawn.more_matches import MORE_MATCHES
from tests.kernel_oracle.drawn.sets import DrawnSet
from tests.kernel_oracle.drawn.topology import CLIENT_PORTS, FAR, MASKED_MARKS, SERVER_PORTS, VIPS, Topology

STATES = ("NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED")
STATUSES = ("SEEN_REPLY", "ASSURED", "CONFIRMED", "NONE")
ADDRESS_TYPES = ("LOCAL", "UNICAST", "BROADCAST", "MULTICAST", "BLACKHOLE", "UNREACHABLE", "PROHIBIT")
FLAGS = ("SYN", "ACK", "FIN", "RST", "PSH", "URG")
ICMP_TYPES = ("8", "0", "3", "3/3", "3/4", "11", "any", "5", "12", "3/1")


@dataclass
class Place:
    """Where a rule will stand: `hooks` are the built-in chains that it may be reached from."""

    random: random.Random
    topology: Topology
    table: str
    hooks: frozenset[str]
    protocol: str  # of the rule, "" if it names none
    sets: tuple[DrawnSet, ...] = ()
    tested: bool = False  # whether the rule has tests of its protocol: `-m tcp` and the like

    def one(self, choices: tuple[str, ...]) -> str:
        """Draw one."""
        return self.random.choice(choices)

    def chance(self, probability: float) -> bool:
        """Draw true or false."""
        return self.random.random() < probability

    def bang(self, probability: float = 0.2) -> str:
        """Draw a negation."""
        return "! " if self.chance(probability) else ""

    def address(self) -> str:
        """Draw an address that packets have, or a network of them."""
        r = self.random
        kind = r.random()
        if kind < 0.5:
            return r.choice(self.topology.hosts) + "/32"
        if kind < 0.6:
            return r.choice(VIPS) + "/32"
        if kind < 0.7:
            return r.choice(self.topology.own_addresses) + "/32"
        if kind < 0.75:
            return r.choice(FAR) + "/32"
        return r.choice(("10.0.0.0/16", "10.96.0.0/12", "10.0.1.0/24", "10.0.2.0/28", "10.0.4.0/29"))

    def masked(self) -> str:
        """As `address`, but sometimes with a mask that is no prefix."""
        return "10.0.0.2/255.255.0.255" if self.chance(0.05) else self.address()

    def directions(self, chosen: DrawnSet) -> str:
        """Draw which ends of a packet a set is asked about."""
        return ",".join(self.one(("src", "dst")) for _ in range(chosen.dimension))

    def port(self) -> str:
        """Draw a port or a range of them."""
        r = self.random
        kind = r.random()
        if kind < 0.5:
            return str(r.choice(SERVER_PORTS))
        if kind < 0.7:
            return str(r.choice(CLIENT_PORTS))
        return r.choice(("1:1023", "4000:4001", "1024:65535", "53:443", "0:600"))


def addrtype(place: Place) -> str:
    """`-m addrtype`; `--limit-iface-*` only where the hook allows it."""
    words = f"{place.bang()}--{place.one(('src', 'dst'))}-type {place.one(ADDRESS_TYPES)}"
    if place.chance(0.15):
        if place.hooks <= {"PREROUTING", "INPUT"}:
            words += " --limit-iface-in"
        elif place.hooks <= {"POSTROUTING", "OUTPUT"}:
            words += " --limit-iface-out"
    return f"-m addrtype {words}"


def conntrack(place: Place) -> str:
    """`-m conntrack` with one to three of its options."""
    r = place.random
    options = (
        lambda: f"{place.bang()}--ctstate {','.join(r.sample((*STATES, 'SNAT', 'DNAT'), r.randint(1, 3)))}",
        lambda: f"{place.bang()}--ctstatus {','.join(r.sample(STATUSES[:3], r.randint(1, 2)))}",
        lambda: "--ctstatus NONE",
        lambda: f"{place.bang()}--ctproto {place.one(('tcp', 'udp', 'icmp'))}",
        lambda: f"{place.bang()}--ctorigsrc {place.address()}",
        lambda: f"{place.bang()}--ctorigdst {place.address()}",
        lambda: f"{place.bang()}--ctreplsrc {place.address()}",
        lambda: f"{place.bang()}--ctrepldst {place.address()}",
        lambda: f"{place.bang()}--ctorigsrcport {place.port()}",
        lambda: f"{place.bang()}--ctorigdstport {place.port()}",
        lambda: f"{place.bang()}--ctreplsrcport {place.port()}",
        lambda: f"{place.bang()}--ctrepldstport {place.port()}",
        lambda: f"--ctdir {place.one(('ORIGINAL', 'REPLY'))}",
        lambda: f"{place.bang()}--ctexpire {place.one(('0:60', '100:130', '200:500', '1000:500000'))}",
    )
    weights = (12, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1)
    chosen = r.choices(options, weights, k=r.choice((1, 1, 1, 2, 2, 3)))
    words = {option().strip() for option in dict.fromkeys(chosen)}
    names = {word.removeprefix("! ").split()[0]: word for word in sorted(words)}
    return "-m conntrack " + " ".join(names.values())


def state(place: Place) -> str:
    """`-m state`."""
    return f"-m state {place.bang()}--state {','.join(place.random.sample(STATES, place.random.randint(1, 2)))}"


def mark(place: Place) -> str:
    """`-m mark`."""
    return f"-m mark {place.bang()}--mark {place.one(MASKED_MARKS)}"


def connmark(place: Place) -> str:
    """`-m connmark`."""
    return f"-m connmark {place.bang()}--mark {place.one(MASKED_MARKS)}"


def multiport(place: Place) -> str:
    """`-m multiport`."""
    if place.protocol not in ("tcp", "udp", "sctp"):
        return ""
    ports = ",".join(place.port() for _ in range(place.random.randint(1, 3)))
    return f"-m multiport {place.bang()}--{place.one(('dports', 'sports', 'ports'))} {ports}"


def statistic(place: Place) -> str:
    """`-m statistic`: every nth, or a chance that is none. A drawn one would differ."""
    if place.chance(0.2):
        return f"-m statistic --mode random {place.bang()}--probability {place.one(('0', '1'))}"
    every = place.random.randint(1, 4)
    return f"-m statistic --mode nth {place.bang()}--every {every} --packet {place.random.randrange(every)}"


def limit(place: Place) -> str:
    """`-m limit` so slow that nothing comes back while a case runs."""
    return f"-m limit --limit {place.one(('1/hour', '2/day', '3/hour'))} --limit-burst {place.random.randint(1, 6)}"


def recent(place: Place) -> str:
    """`-m recent` over two lists."""
    r = place.random
    action = place.one(("--set", "--rcheck", "--update", "--remove"))
    words = [f"-m recent {place.bang(0.1)}{action}"]
    if action in ("--rcheck", "--update"):
        words += [f"--seconds {r.choice((600, 6000))}"] if place.chance(0.5) else []
        words += [f"--hitcount {r.randint(1, 4)}"] if place.chance(0.4) else []
        words += ["--rttl"] if place.chance(0.1) else []
    words += [f"--name L{r.randint(1, 2)}", place.one(("--rsource", "--rdest"))]
    words += ["--mask 255.255.255.0"] if place.chance(0.1) else []
    return " ".join(words)


def physdev(place: Place) -> str:
    """`-m physdev` with one or two of its options."""
    ports = tuple(plan.name for plan in place.topology.links if plan.bridge)
    if not ports:
        return "-m physdev ! --physdev-is-bridged" if place.chance(0.2) else ""
    options = [f"{place.bang()}--physdev-in {place.one(ports)}", f"{place.bang()}--physdev-is-in"]
    if place.hooks <= {"FORWARD", "POSTROUTING"}:
        options += [f"{place.bang()}--physdev-out {place.one(ports)}", f"{place.bang()}--physdev-is-bridged",
                    f"{place.bang()}--physdev-is-out"]  # fmt: skip
    return f"-m physdev {place.one(tuple(options))}"


def match_set(place: Place) -> str:
    """`-m set` over the case's sets, with exceptions and counters."""
    if not place.sets:
        return ""
    chosen = place.random.choice(place.sets)
    words = [f"-m set {place.bang()}--match-set {chosen.name} {place.directions(chosen)}"]
    words += ["--return-nomatch"] if place.chance(0.1) else []
    words += ["! --update-counters"] if place.chance(0.1) else []
    words += [f"--packets-{place.one(('eq', 'lt', 'gt'))} {place.random.randint(0, 2)}"] if place.chance(0.1) else []
    return " ".join(words)


def length(place: Place) -> str:
    """`-m length`."""
    return f"-m length {place.bang()}--length {place.one(('40', '28', '0:60', '100:1500', '36', '44:1000'))}"


def ttl(place: Place) -> str:
    """`-m ttl`, before and behind the forwarding that takes one off."""
    return f"-m ttl {place.one(('--ttl-eq 63', '! --ttl-eq 62', '--ttl-lt 63', '--ttl-gt 63', '--ttl-eq 64'))}"


def tcpmss(place: Place) -> str:
    """`-m tcpmss`."""
    if place.protocol != "tcp":
        return ""
    return f"-m tcpmss {place.bang()}--mss {place.one(('1460', '500:1400', '512', '1400:65535'))}"


def iprange(place: Place) -> str:
    """`-m iprange`."""
    spans = ("10.0.1.2-10.0.1.3", "10.0.2.3-10.0.3.2", "10.0.4.3-10.0.4.4", "10.96.0.0-10.96.0.255")
    words = [f"{place.bang()}--{side}-range {place.one(spans)}" for side in ("src", "dst") if place.chance(0.6)]
    return f"-m iprange {' '.join(words)}" if words else ""


def hashlimit(place: Place) -> str:
    """`-m hashlimit` so slow that nothing comes back while a case runs; each has a table of its own."""
    r = place.random
    modes = r.sample(("srcip", "dstip", "srcport", "dstport"), r.randint(0, 3))
    words = [f"--hashlimit-{place.one(('upto', 'above'))} {place.one(('1/hour', '2/day'))}"]
    words += [f"--hashlimit-burst {r.randint(1, 4)}"]
    words += [f"--hashlimit-mode {','.join(modes)}"] if modes else []
    words += [f"--hashlimit-srcmask {r.choice((8, 24, 31))}"] if "srcip" in modes and place.chance(0.3) else []
    return f"-m hashlimit {' '.join(words)} --hashlimit-name H{r.getrandbits(40):x}"


def rpfilter(place: Place) -> str:
    """`-m rpfilter`, in PREROUTING of raw and mangle."""
    if place.hooks != {"PREROUTING"} or place.table not in ("raw", "mangle"):
        return ""
    words = [word for word in ("--loose", "--validmark", "--accept-local", "--invert") if place.chance(0.3)]
    return " ".join(["-m rpfilter", *words])


def pkttype(place: Place) -> str:
    """`-m pkttype`."""
    return f"-m pkttype {place.bang()}--pkt-type {place.one(('unicast', 'broadcast', 'multicast'))}"


def mac(place: Place) -> str:
    """`-m mac`, where packets come from a link."""
    if not place.hooks <= {"PREROUTING", "INPUT", "FORWARD"}:
        return ""
    return f"-m mac {place.bang()}--mac-source {place.random.choice(place.topology.links).host_mac}"


def comment(place: Place) -> str:
    """`-m comment`."""
    return f"-m comment --comment {place.one(('x', 'kubernetes'))}"


MATCHES: dict[str, tuple[float, Callable[[Place], str]]] = {
    "conntrack": (6, conntrack),
    "state": (2, state),
    "mark": (4, mark),
    "connmark": (2, connmark),
    "multiport": (2, multiport),
    "addrtype": (3, addrtype),
    "statistic": (2, statistic),
    "limit": (1, limit),
    "recent": (1.5, recent),
    "physdev": (1.5, physdev),
    "comment": (0.3, comment),
    "set": (6, match_set),
    "length": (0.8, length),
    "ttl": (0.8, ttl),
    "tcpmss": (0.8, tcpmss),
    "iprange": (0.8, iprange),
    "hashlimit": (1, hashlimit),
    "rpfilter": (1, rpfilter),
    "pkttype": (0.5, pkttype),
    "mac": (0.6, mac),
    **MORE_MATCHES,
}


def protocol_tests(place: Place) -> list[str]:
    """Draw what `-m tcp`, `-m udp` and `-m icmp` look at."""
    words = []
    r = place.random
    if place.protocol in ("tcp", "udp", "sctp"):
        words += [f"{place.bang(0.15)}--dport {place.port()}"] if place.chance(0.5) else []
        words += [f"{place.bang(0.15)}--sport {place.port()}"] if place.chance(0.2) else []
        if place.protocol == "tcp" and place.chance(0.25):
            mask = r.sample(FLAGS, r.randint(1, 4))
            wanted = [flag for flag in mask if place.chance(0.5)] or ["NONE"]
            words.append(f"{place.bang()}--tcp-flags {','.join(mask)} {','.join(wanted)}")
        if place.protocol == "tcp" and place.chance(0.08):
            words.append(f"{place.bang()}--tcp-option {r.choice((2, 3, 4, 8))}")
    elif place.protocol == "icmp" and place.chance(0.6):
        words.append(f"{place.bang(0.15)}--icmp-type {place.one(ICMP_TYPES)}")
    return [f"-m {place.protocol} {' '.join(words)}"] if words else []


def draw_tests(place: Place) -> tuple[str, ...]:
    """Draw all tests of a rule, the `-p` of `place.protocol` first."""
    r = place.random
    tests = [f"-p {place.protocol}"] if place.protocol else []
    tests += [f"{place.bang(0.1)}-s {place.masked()}"] if place.chance(0.25) else []
    tests += [f"{place.bang(0.1)}-d {place.masked()}"] if place.chance(0.3) else []
    links = (*place.topology.link_names, "lo")
    if place.hooks <= {"PREROUTING", "INPUT", "FORWARD"} and place.chance(0.2):
        tests.append(f"{place.bang()}-i {place.one(links)}")
    if place.hooks <= {"FORWARD", "OUTPUT", "POSTROUTING"} and place.chance(0.2):
        tests.append(f"{place.bang()}-o {place.one(links)}")
    if place.chance(0.04):
        tests.append(f"{place.bang()}-f")
    of_protocol = protocol_tests(place)
    place.tested = bool(of_protocol)
    tests += of_protocol
    names = tuple(MATCHES)
    for name in dict.fromkeys(r.choices(names, [MATCHES[n][0] for n in names], k=r.choice((0, 0, 0, 1, 1, 2)))):
        words = MATCHES[name][1](place)
        tests += [words] if words else []
    return tuple(tests)
