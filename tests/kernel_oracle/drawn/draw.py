"""Draws a whole case from a seed and its number."""

from __future__ import annotations

import random

from tests.kernel_oracle.drawn.case import Case, PolicyRule, Route
from tests.kernel_oracle.drawn.rules import draw_tables
from tests.kernel_oracle.drawn.sets import draw_sets
from tests.kernel_oracle.drawn.topology import TOPOLOGIES, Topology
from tests.kernel_oracle.drawn.traffic import Drawer

FLAVOURS = ("rules", "tcp", "nat", "fragments", "malformed", "routing", "bridge", "sets", "sctp")
_SYSCTLS = (
    ("net.netfilter.nf_conntrack_tcp_loose", (0,)),
    ("net.netfilter.nf_conntrack_tcp_be_liberal", (1,)),
    ("net.netfilter.nf_conntrack_tcp_ignore_invalid_rst", (1,)),
    ("net.netfilter.nf_conntrack_tcp_max_retrans", (1, 2)),
    ("net.netfilter.nf_conntrack_checksum", (0,)),
    ("net.netfilter.nf_conntrack_udp_timeout", (10, 200)),
    ("net.netfilter.nf_conntrack_tcp_timeout_established", (1000,)),
    ("net.netfilter.nf_conntrack_tcp_timeout_unacknowledged", (100,)),
    ("net.netfilter.nf_conntrack_tcp_timeout_close", (50,)),
    ("net.ipv4.ip_forward", (0,)),
    ("net.ipv4.icmp_echo_ignore_all", (1,)),
    ("net.ipv4.conf.all.rp_filter", (1, 2)),
    ("net.ipv4.conf.a.rp_filter", (1, 2)),
    ("net.ipv4.conf.all.route_localnet", (1,)),
    ("net.ipv4.conf.a.route_localnet", (1,)),
    ("net.ipv4.conf.a.accept_local", (1,)),
    ("net.ipv4.conf.a.forwarding", (0,)),
    ("net.ipv4.icmp_errors_use_inbound_ifaddr", (1,)),
    ("net.ipv4.ip_default_ttl", (64,)),
)


def draw_case(seed: int, number: int, only: str = "") -> Case:
    """Draw case `number` of a seed; the same arguments give the same case. `only` is one of FLAVOURS."""
    r = random.Random(f"{seed}:{number}:{only}")
    flavour = only or r.choices(FLAVOURS, (5, 4, 4, 2, 1, 2, 3, 2, 1))[0]
    topology = TOPOLOGIES["bridge" if flavour == "bridge" or (flavour != "routing" and r.random() < 0.15) else "router"]
    drawer = Drawer(r, topology, flavour)
    conversations = drawer.conversations()
    routes, policy_rules = _draw_routes(r, topology, 0.9 if flavour == "routing" else 0.2)
    sets, drawn_sets = draw_sets(r, topology, 1 if flavour == "sets" else 0.2)
    return Case(
        topology.name,
        _draw_sysctls(r, topology, 0.7 if flavour == "routing" else 0.2),
        routes,
        policy_rules,
        sets,
        draw_tables(r, topology, drawn_sets, "nat" if flavour == "nat" else ""),
        conversations,
        drawer.steps(conversations),
    )


def _draw_sysctls(r: random.Random, topology: Topology, chance: float) -> tuple[tuple[str, int], ...]:
    drawn = []
    if topology.bridges and r.random() < 0.3:
        drawn.append(("net.bridge.bridge-nf-call-iptables", 0))
    if r.random() < chance:
        for name, values in r.sample(_SYSCTLS, r.randint(1, 3)):
            drawn.append((name, r.choice(values)))
    return tuple(drawn)


def _draw_routes(
    r: random.Random, topology: Topology, chance: float
) -> tuple[tuple[Route, ...], tuple[PolicyRule, ...]]:
    routes: list[Route] = []
    rules: list[PolicyRule] = []
    gateways = [(plan.bridge or plan.name, host) for plan in topology.links for host in plan.hosts]
    if r.random() < 0.85:
        link, via = r.choice(gateways)
        routes.append(Route("default", via=via, link=link))
    if r.random() < 0.5:
        link, via = r.choice(gateways)
        routes.append(Route("10.96.0.0/24", via=via, link=link))
    if r.random() < chance:
        tables = (254, 100, 101)
        for _ in range(r.randint(1, 4)):
            link, via = r.choice(gateways)
            target = r.choice(
                ("192.0.2.0/24", "198.51.100.0/24", "10.96.0.10/32", "10.0.2.2/32", "10.0.1.0/29", "10.96.0.0/25")
            )
            kind = r.choice(("unicast", "unicast", "unicast", "blackhole", "unreachable", "prohibit", "throw"))
            table = r.choice(tables)
            route = Route(target, kind, via, link, table, r.choice((0, 0, 10, 20)), r.choice((0, 0, 0, 1000)))
            if kind != "unicast":
                route = Route(target, kind, table=table, metric=route.metric)
            if not any((o.destination, o.table, o.metric) == (route.destination, table, route.metric) for o in routes):
                routes.append(route)
        rules += [_draw_policy_rule(r, topology, 1000 + number) for number in range(r.randint(0, 2))]
    return tuple(routes), tuple(rules)


def _draw_policy_rule(r: random.Random, topology: Topology, priority: int) -> PolicyRule:
    return PolicyRule(
        priority,
        r.choice((100, 101)),
        r.choice(("", "", "10.0.1.0/28", r.choice(topology.hosts) + "/32")),
        r.choice(("", "", "10.96.0.0/24", "192.0.2.0/24")),
        r.choice((0, 0, 1, 2, 0x4000)),
        r.choice((0xFFFFFFFF, 0x4000, 3)),
        r.choice(("", "", *topology.link_names)),
    )
