"""Names of kube-proxy's chains: a hash of the service port, so that they stay the same over syncs and nodes.

Source: pkg/proxy/iptables/proxier.go (`portProtoHash`, `servicePortEndpointChainName`).
"""

import hashlib

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_SHIFTS = range(70, -1, -10)


def _hash(text: str) -> str:
    """Return the first 16 characters of the hash in base32 (RFC 4648); of ten thousands of names, so two at a time."""
    bits = int.from_bytes(hashlib.sha256(text.encode()).digest()[:10], "big")
    return "".join([_PAIRS[bits >> shift & 1023] for shift in _SHIFTS])


def _port_hash(service_port: str, protocol: str) -> str:
    return _hash(service_port + protocol.lower())


def port_chains(service_port: str, protocol: str) -> tuple[str, str, str, str]:
    """Return the chains of a port: for all endpoints, for this node's, for traffic from outside, for source ranges."""
    port_hash = _port_hash(service_port, protocol)
    return f"KUBE-SVC-{port_hash}", f"KUBE-SVL-{port_hash}", f"KUBE-EXT-{port_hash}", f"KUBE-FW-{port_hash}"


def cluster_policy_chain(service_port: str, protocol: str) -> str:
    """Chain that spreads over all endpoints; `service_port` is "ns/name:port" or "ns/name"."""
    return "KUBE-SVC-" + _port_hash(service_port, protocol)


def local_policy_chain(service_port: str, protocol: str) -> str:
    """Chain that spreads over the endpoints of this node."""
    return "KUBE-SVL-" + _port_hash(service_port, protocol)


def external_chain(service_port: str, protocol: str) -> str:
    """Chain that traffic from outside enters by."""
    return "KUBE-EXT-" + _port_hash(service_port, protocol)


def firewall_chain(service_port: str, protocol: str) -> str:
    """Chain that checks a load balancer's source ranges."""
    return "KUBE-FW-" + _port_hash(service_port, protocol)


def endpoint_chain(service_port: str, protocol: str, endpoint: str) -> str:
    """Chain of one endpoint ("ip:port") of one service port."""
    return "KUBE-SEP-" + _hash(service_port + protocol.lower() + endpoint)
