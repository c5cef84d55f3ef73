"""Whose an address is, and what `emulator trace` can say of one that did not answer."""

from __future__ import annotations

import click
import pytest

from emulator.cli.trace_destination import Destination, read_destination
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web", Destination("web")),
        ("web:8080", Destination("web", 8080)),
        ("pod/web-0:80", Destination("pod/web-0", 80)),
        ("10.96.0.9:53", Destination("10.96.0.9", 53)),
        ("http://web/", Destination("web", 80)),
        ("HTTP://web.default:8080/a?b=c:d", Destination("web.default", 8080)),
        ("https://user:secret@example.com", Destination("example.com", 443)),
    ],
)
def test_destinations_as_people_paste_them(text: str, expected: Destination) -> None:
    assert read_destination(text) == expected


@pytest.mark.parametrize(
    "text",
    ["web:", "web:http", "web:0", "web:65536", ":80", "web:-1", "web:\u0663", "ftp://web/", "http://", "http://web:x/"],
)
def test_what_is_no_destination(text: str) -> None:
    with pytest.raises(click.UsageError):
        read_destination(text)


@pytest.mark.parametrize(("port", "protocol"), [(80, "tcp"), (53, "udp"), (9, "tcp")])
def test_a_port_alone_is_tcp_unless_its_service_has_it_for_udp_only(port: int, protocol: str) -> None:
    flow = Directory([HEADLESS, WEB], [], []).flow("web", "default", None, port)
    assert (flow.destination, flow.protocol, flow.port) == (VIP, protocol, port)
