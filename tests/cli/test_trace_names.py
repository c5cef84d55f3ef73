"""Whose an address is, and what `emulator trace` can say of one that did not answer."""

from __future__ import annotations

import pytest

from emulator.cli.trace_names import Directory

VIP = "10.96.0.9"
PORTS = [{"port": 80}, {"port": 53, "protocol": "UDP"}]
WEB = {"metadata": {"namespace": "default", "name": "web"}, "spec": {"clusterIP": VIP, "ports": PORTS}}
HEADLESS = {"metadata": {"namespace": "default", "name": "db"}, "spec": {"clusterIP": "None", "ports": PORTS}}


@pytest.mark.parametrize(
    ("address", "protocol", "port", "hint"),
    [
        (VIP, "tcp", 81, "service default/web has no port 81/TCP; it has 80/TCP, 53/UDP"),
        (VIP, "tcp", 53, "service default/web has no port 53/TCP; it has 80/TCP, 53/UDP"),
        (VIP, "icmp", 0, "service default/web does not answer ICMP; it has 80/TCP, 53/UDP"),
        (VIP, "tcp", 80, ""),
        (VIP, "udp", 53, ""),
        ("10.96.0.10", "tcp", 81, ""),
        ("", "tcp", 81, ""),
    ],
)
def test_a_port_that_a_service_does_not_have_is_named(address: str, protocol: str, port: int, hint: str) -> None:
    assert Directory([HEADLESS, WEB], [], []).hint(address, protocol, port) == hint
