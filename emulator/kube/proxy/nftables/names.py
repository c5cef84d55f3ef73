"""Names of the chains and sets of kube-proxy's nftables mode: a hash, so that they differ early, then what they serve.

Source: pkg/proxy/nftables/proxier.go (`servicePortChainNameBase`, `servicePortEndpointChainNameBase`).
"""

import base64
import functools
import hashlib

from emulator.kube.proxy.service_port import Endpoint, ServicePortName

_LONGEST_BASE = 240
"""Characters of a name without its prefix: nft takes 256, and 16 are kept for the prefix."""
_ELLIPSIS = "..."


def cluster_policy_chain(port: ServicePortName) -> str:
    """Chain that spreads over the endpoints of all nodes."""
    return "service-" + _port_base(port)


def local_policy_chain(port: ServicePortName) -> str:
    """Chain that spreads over the endpoints of this node."""
    return "local-" + _port_base(port)


def external_chain(port: ServicePortName) -> str:
    """Chain that traffic from outside enters by."""
    return "external-" + _port_base(port)


def firewall_chain(port: ServicePortName) -> str:
    """Chain that drops what does not come from a load balancer's source ranges."""
    return "firewall-" + _port_base(port)


def endpoint_chain(port: ServicePortName, endpoint: Endpoint) -> str:
    """Chain that rewrites to one endpoint."""
    return "endpoint-" + _endpoint_base(port, endpoint)


def affinity_set(port: ServicePortName, endpoint: Endpoint) -> str:
    """Set of the clients that keep to one endpoint."""
    return "affinity-" + _endpoint_base(port, endpoint)


@functools.lru_cache(maxsize=64)  # one port's name is asked for several times in a row
def _port_base(port: ServicePortName) -> str:
    return _hashed(_described(port))


def _endpoint_base(port: ServicePortName, endpoint: Endpoint) -> str:
    # Names of chains have no colons.
    return _hashed(f"{_described(port)}__{endpoint.ip.replace(':', '.')}/{endpoint.port}")


def _described(port: ServicePortName) -> str:
    return f"{port.namespace}/{port.name}/{port.protocol.lower()}/{port.port}"


def _hashed(name: str) -> str:
    # Five bytes are the first eight characters of the whole digest's base32.
    hashed = base64.b32encode(hashlib.sha256(name.encode()).digest()[:5]).decode() + "-" + name
    if len(hashed) > _LONGEST_BASE:
        hashed = hashed[: _LONGEST_BASE - len(_ELLIPSIS)] + _ELLIPSIS
    return hashed
