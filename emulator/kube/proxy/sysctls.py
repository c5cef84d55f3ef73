"""The sysctls of connection tracking that kube-proxy sets when it starts, in every mode.

Source: cmd/kube-proxy/app/server_linux.go (`setupConntrack`), `KubeProxyConntrackConfiguration` and its defaults.
"""

from __future__ import annotations

from emulator.kube.proxy.settings import ProxySettings

_MAXIMUM = 131_072
"""`conntrack.min`: 32,768 for each core would be less on nodes of up to four."""

_ESTABLISHED = 24 * 3600
_CLOSE_WAIT = 3600


def conntrack_sysctls(settings: ProxySettings) -> tuple[tuple[str, int], ...]:
    """Return names and values, as `Writes.sysctls` has them."""
    found = [
        ("net.netfilter.nf_conntrack_max", _MAXIMUM),
        ("net.netfilter.nf_conntrack_tcp_timeout_established", _ESTABLISHED),
        ("net.netfilter.nf_conntrack_tcp_timeout_close_wait", _CLOSE_WAIT),
    ]
    if settings.conntrack_liberal:
        found.append(("net.netfilter.nf_conntrack_tcp_be_liberal", 1))
    return tuple(found)
