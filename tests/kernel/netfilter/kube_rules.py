"""Rules as kube-proxy writes them, for a number of Services with three endpoints each."""

from __future__ import annotations


def kube_proxy_rules(services: int) -> str:
    """Return text for iptables-restore. Service n has VIP 10.96.A.B:80 and endpoints 10.244.{1,2,3}.n:8080."""
    nat_services, chains, rules = [], [], []
    for n in range(services):
        vip, name = f"10.96.{n >> 8}.{n & 255}", f"{n:016d}"
        comment = f'-m comment --comment "default/s{n}:http cluster IP"'
        nat_services.append(f"-A KUBE-SERVICES -d {vip}/32 -p tcp {comment} -m tcp --dport 80 -j KUBE-SVC-{name}")
        chains.append(f":KUBE-SVC-{name} - [0:0]")
        rules.append(
            f"-A KUBE-SVC-{name} ! -s 10.244.0.0/16 -d {vip}/32 -p tcp {comment} -m tcp --dport 80 -j KUBE-MARK-MASQ"
        )
        for e in range(3):
            endpoint, sep = f"10.244.{e + 1}.{n & 255}", f"KUBE-SEP-{e}{n:015d}"
            chains.append(f":{sep} - [0:0]")
            chance = f"-m statistic --mode random --probability {1 / (3 - e):.10f} " if e < 2 else ""
            rules.append(f'-A KUBE-SVC-{name} -m comment --comment "default/s{n}:http" {chance}-j {sep}')
            rules.append(f"-A {sep} -s {endpoint}/32 -j KUBE-MARK-MASQ")
            rules.append(f"-A {sep} -p tcp -m tcp -j DNAT --to-destination {endpoint}:8080".replace("-m tcp ", ""))
    return "\n".join(
        [_FILTER, "*nat", *_NAT_CHAINS, *chains, *_NAT_RULES, *nat_services, _NODE_PORTS, *rules, "COMMIT", ""]
    )


_FILTER = """*filter
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-FIREWALL - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
:KUBE-SERVICES - [0:0]
-A INPUT -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL
-A INPUT -j KUBE-NODEPORTS
-A INPUT -m conntrack --ctstate NEW -j KUBE-EXTERNAL-SERVICES
-A INPUT -j KUBE-FIREWALL
-A FORWARD -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL
-A FORWARD -j KUBE-FORWARD
-A FORWARD -m conntrack --ctstate NEW -j KUBE-SERVICES
-A FORWARD -m conntrack --ctstate NEW -j KUBE-EXTERNAL-SERVICES
-A OUTPUT -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL
-A OUTPUT -m conntrack --ctstate NEW -j KUBE-SERVICES
-A OUTPUT -j KUBE-FIREWALL
-A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT"""
_NAT_CHAINS = [f":KUBE-{name} - [0:0]" for name in ("SERVICES", "NODEPORTS", "POSTROUTING", "MARK-MASQ")]
_NAT_RULES = [
    "-A PREROUTING -j KUBE-SERVICES",
    "-A OUTPUT -j KUBE-SERVICES",
    "-A POSTROUTING -j KUBE-POSTROUTING",
    "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
    "-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000",
    "-A KUBE-POSTROUTING -j MASQUERADE --random-fully",
    "-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000",
]
_NODE_PORTS = "-A KUBE-SERVICES ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS"
