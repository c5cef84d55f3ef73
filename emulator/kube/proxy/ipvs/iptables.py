"""The iptables rules around IPVS: few, and as many for one Service as for ten thousand, since they look in ipsets.

What does not depend on Services stands in `_CHAINS` and `_JUMPS`; a rule about a set is written only while the set
has elements. Source: pkg/proxy/ipvs/proxier.go (`iptablesJumpChain`, `ipsetWithIptablesChain`, `writeIptablesRules`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from emulator.kube.proxy.ipvs import sets
from emulator.kube.proxy.ipvs.service import Frontend
from emulator.kube.proxy.ipvs.sets import ProxySet
from emulator.kube.proxy.settings import ProxyNode, ProxySettings

TABLES = ("nat", "filter")
"""In the order in which they are written."""

_CHAINS = {
    "nat": ("KUBE-SERVICES", "KUBE-POSTROUTING", "KUBE-NODE-PORT", "KUBE-LOAD-BALANCER", "KUBE-MARK-MASQ"),
    "filter": (
        "KUBE-FORWARD",
        "KUBE-NODE-PORT",
        "KUBE-PROXY-FIREWALL",
        "KUBE-SOURCE-RANGES-FIREWALL",
        "KUBE-IPVS-FILTER",
        "KUBE-IPVS-OUT-FILTER",
    ),
}
# Table: source chain, destination chain, comment; each is prepended, so the last of a source chain ends up first.
_JUMPS = {
    "nat": (
        ("OUTPUT", "KUBE-SERVICES", "kubernetes service portals"),
        ("PREROUTING", "KUBE-SERVICES", "kubernetes service portals"),
        ("POSTROUTING", "KUBE-POSTROUTING", "kubernetes postrouting rules"),
    ),
    "filter": (
        ("FORWARD", "KUBE-FORWARD", "kubernetes forwarding rules"),
        ("INPUT", "KUBE-NODE-PORT", "kubernetes health check rules"),
        ("INPUT", "KUBE-PROXY-FIREWALL", "kube-proxy firewall rules"),
        ("FORWARD", "KUBE-PROXY-FIREWALL", "kube-proxy firewall rules"),
        ("INPUT", "KUBE-IPVS-FILTER", "kubernetes ipvs access filter"),
        ("OUTPUT", "KUBE-IPVS-OUT-FILTER", "kubernetes ipvs access filter"),
    ),
}
# Source chain, protocol, set, directions, target. Node ports of policy Local return before the mark.
_NAT_SET_RULES = (
    ("KUBE-POSTROUTING", "", sets.LOOP_BACK, "dst,dst,src", "MASQUERADE"),
    ("KUBE-SERVICES", "", sets.LOAD_BALANCER, "dst,dst", "KUBE-LOAD-BALANCER"),
    ("KUBE-LOAD-BALANCER", "", sets.LOAD_BALANCER_LOCAL, "dst,dst", "RETURN"),
    ("KUBE-NODE-PORT", "tcp", sets.NODE_PORT_LOCAL_TCP, "dst", "RETURN"),
    ("KUBE-NODE-PORT", "tcp", sets.NODE_PORT_TCP, "dst", "KUBE-MARK-MASQ"),
    ("KUBE-NODE-PORT", "udp", sets.NODE_PORT_LOCAL_UDP, "dst", "RETURN"),
    ("KUBE-NODE-PORT", "udp", sets.NODE_PORT_UDP, "dst", "KUBE-MARK-MASQ"),
    ("KUBE-NODE-PORT", "sctp", sets.NODE_PORT_LOCAL_SCTP, "dst,dst", "RETURN"),
    ("KUBE-NODE-PORT", "sctp", sets.NODE_PORT_SCTP, "dst,dst", "KUBE-MARK-MASQ"),
)
_FILTER_SET_RULES = (
    ("KUBE-PROXY-FIREWALL", "", sets.LOAD_BALANCER_FW, "dst,dst", "KUBE-SOURCE-RANGES-FIREWALL"),
    ("KUBE-SOURCE-RANGES-FIREWALL", "", sets.LOAD_BALANCER_SOURCE_CIDR, "dst,dst,src", "RETURN"),
    ("KUBE-SOURCE-RANGES-FIREWALL", "", sets.LOAD_BALANCER_SOURCE_IP, "dst,dst,src", "RETURN"),
)
# What may be asked for on the addresses of kube-ipvs0; all else there is the machine's own, and refused.
_SERVED = (
    (sets.LOAD_BALANCER, "dst,dst"),
    (sets.CLUSTER_IP, "dst,dst"),
    (sets.EXTERNAL_IP, "dst,dst"),
    (sets.EXTERNAL_IP_LOCAL, "dst,dst"),
    (sets.HEALTH_CHECK_NODE_PORT, "dst"),
)


def restore_text(table: str, rules: Iterable[str], present: Collection[str] | None) -> str:
    """Return the text that gives `table` these rules, and the jumps to them that are not `present`.

    `present`: rules of the table as iptables-save prints them; None: all jumps are there. The chains are emptied first.
    """
    chains = [f":{chain} - [0:0]" for chain in _CHAINS[table]]
    jumps = []
    if present is not None:
        jumps = [f"-I {rule}" for rule in _jumps(table, " 1") if f"-A {rule.replace(' 1 ', ' ', 1)}" not in present]
    return "\n".join((f"*{table}", *chains, *jumps, *rules, "COMMIT", ""))


def removal_text(table: str, present: Collection[str]) -> str:
    """Return the text that takes this mode's chains out of `table`, and those of the jumps that are `present`."""
    chains = [f":{chain} - [0:0]" for chain in _CHAINS[table]]
    jumps = [f"-D {rule}" for rule in _jumps(table) if f"-A {rule}" in present]
    return "\n".join((f"*{table}", *chains, *jumps, *(f"-X {chain}" for chain in _CHAINS[table]), "COMMIT", ""))


def is_whole(table: str, rules: Sequence[str], present: Collection[str]) -> bool:
    """Whether `present` has the jumps, and as many rules of this mode's chains as `rules`."""
    found = sum(line.split(" ", 2)[1] in _CHAINS[table] for line in present)
    return found == len(rules) and all(f"-A {rule}" in present for rule in _jumps(table))


def _jumps(table: str, position: str = "") -> list[str]:
    return [
        f'{source}{position} -m comment --comment "{comment}" -j {target}' for source, target, comment in _JUMPS[table]
    ]


def nat_rules(filled: Collection[str], node: ProxyNode, settings: ProxySettings) -> list[str]:
    """Return the rules of table nat, given the names of the sets that have elements."""
    mark = settings.masquerade_mark
    rules = ["-A KUBE-SERVICES -s 127.0.0.0/8 -j RETURN"]
    rules += [_set_rule(*rule) for rule in _NAT_SET_RULES if rule[2].name in filled]
    if sets.CLUSTER_IP.name in filled:
        rules.append(_cluster_ip_rule(node, settings))
    if sets.EXTERNAL_IP.name in filled:
        rules.append(_set_rule("KUBE-SERVICES", "", sets.EXTERNAL_IP, "dst,dst", "KUBE-MARK-MASQ"))
        rules += _external_rules(sets.EXTERNAL_IP)
    if sets.EXTERNAL_IP_LOCAL.name in filled:
        rules += _external_rules(sets.EXTERNAL_IP_LOCAL)
    rules += [
        "-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODE-PORT",
        "-A KUBE-LOAD-BALANCER -j KUBE-MARK-MASQ",
    ]
    # What goes to IPVS is accepted last of all, so that no other rule of the chain meets it.
    rules += [
        f"-A KUBE-SERVICES -m set --match-set {each.name} dst,dst -j ACCEPT"
        for each in (sets.CLUSTER_IP, sets.LOAD_BALANCER)
        if each.name in filled
    ]
    return [
        *rules,
        f"-A KUBE-POSTROUTING -m mark ! --mark {mark}/{mark} -j RETURN",
        # Cleared first, so that a packet that is encapsulated and comes here again is not masqueraded twice.
        f"-A KUBE-POSTROUTING -j MARK --xor-mark {mark}",
        (
            '-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT"'
            " -j MASQUERADE --random-fully"
        ),
        f"-A KUBE-MARK-MASQ -j MARK --or-mark {mark}",
    ]


def filter_rules(filled: Collection[str], settings: ProxySettings, not_from_node: Iterable[Frontend]) -> list[str]:
    """Return the rules of table filter.

    `not_from_node`: load balancers whose source ranges leave this node out. Its own packets to them have the address
    of the balancer as their source, as kube-ipvs0 has it.
    """
    mark = settings.masquerade_mark
    rules = [_set_rule(*rule) for rule in _FILTER_SET_RULES if rule[2].name in filled]
    rules.append("-A KUBE-SOURCE-RANGES-FIREWALL -j DROP")
    rules += [
        f"-A KUBE-IPVS-OUT-FILTER -s {each.address} -m ipvs --vaddr {each.address}"
        f" --vproto {each.protocol} --vport {each.port} -j DROP"
        for each in not_from_node
    ]
    rules += [
        f'-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark {mark}/{mark} -j ACCEPT',
        (
            '-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule"'
            " -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
        ),
        _set_rule("KUBE-NODE-PORT", "", sets.HEALTH_CHECK_NODE_PORT, "dst", "ACCEPT"),
    ]
    rules += [f"-A KUBE-IPVS-FILTER -m set --match-set {each.name} {way} -j RETURN" for each, way in _SERVED]
    rules.append(
        f"-A KUBE-IPVS-FILTER -m conntrack --ctstate NEW -m set --match-set {sets.IPVS_IPS.name} dst -j REJECT"
    )
    return rules


def _set_rule(chain: str, protocol: str, each: ProxySet, directions: str, target: str) -> str:
    match = f"-p {protocol} " if protocol else ""
    return f"-A {chain} {match}{_in_set(each, directions)} -j {target}"


def _in_set(each: ProxySet, directions: str) -> str:
    return f'-m comment --comment "{each.comment}" -m set --match-set {each.name} {directions}'


def _cluster_ip_rule(node: ProxyNode, settings: ProxySettings) -> str:
    """Masquerade what comes to a ClusterIP from elsewhere: the answer has to come back by this node.

    Where nobody can tell what is from elsewhere, at least what the node itself sends: its source is a ClusterIP too,
    because kube-ipvs0 has them all.
    """
    directions, source = "dst,dst", ""
    if not settings.masquerade_all:
        if settings.detect_local and node.pod_cidr:
            source = f" ! -s {node.pod_cidr}"
        else:
            directions = "src,dst"
    return f"-A KUBE-SERVICES {_in_set(sets.CLUSTER_IP, directions)}{source} -j KUBE-MARK-MASQ"


def _external_rules(each: ProxySet) -> list[str]:
    """Accept what comes from off the machine, roughly: from no bridge port and from none of its own addresses.

    And what goes to an external address that is one of the machine's own.
    """
    start = f"-A KUBE-SERVICES {_in_set(each, 'dst,dst')}"
    return [
        f"{start} -m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL -j ACCEPT",
        f"{start} -m addrtype --dst-type LOCAL -j ACCEPT",
    ]
