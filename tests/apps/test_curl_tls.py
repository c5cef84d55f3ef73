"""curl over TLS: what curl 7.88.1 printed and returned for the same servers."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from trio.testing import MockClock

from emulator.apps.certificate import server_context
from emulator.apps.http_message import text
from emulator.apps.http_server import serve
from emulator.apps.http_service import Service

from .conftest import Lab, open_lab

U = "https://10.244.1.3"


@pytest.fixture
async def web(autojump_clock: MockClock) -> AsyncIterator[Lab]:
    async with open_lab() as lab:
        await lab.start("ghcr.io/acme/shop", ports=[("https", "TCP", 443), ("http", "TCP", 80)])
        yield lab


async def test_a_certificate_that_nobody_vouches_for(web: Lab) -> None:
    result = await web.run(f"curl -sS {U}/")
    assert (result.status, result.out) == (60, "")
    assert result.error == (
        "curl: (60) SSL certificate problem: self-signed certificate\n"
        "More details here: https://curl.se/docs/sslcerts.html\n\n"
        "curl failed to verify the legitimacy of the server and therefore could not\n"
        "establish a secure connection to it. To learn more about this situation and\n"
        "how to fix it, please visit the web page mentioned above.\n"
    )


async def test_verbose(web: Lab) -> None:
    result = await web.run(f"curl -skv {U}/a {U}/b")
    assert result.status == 0
    assert result.out.count("request: GET /") == 2
    masked = re.sub(r"\[\d+ bytes data\]", "[N bytes data]", result.error)
    masked = re.sub(r"(date|Date): .*", r"\1: D", masked)
    first, again = masked.split("* Found bundle for host: 0x55d0c0de0000 [serially]\n")
    assert first == (
        "*   Trying 10.244.1.3:443...\n"
        "* Connected to 10.244.1.3 (10.244.1.3) port 443 (#0)\n"
        "* ALPN: offers http/1.1\n"
        "} [N bytes data]\n"
        "* TLSv1.3 (OUT), TLS handshake, Client hello (1):\n"
        "} [N bytes data]\n"
        "* TLSv1.3 (IN), TLS handshake, Server hello (2):\n"
        "{ [N bytes data]\n"
        "* TLSv1.3 (IN), TLS handshake, Encrypted Extensions (8):\n"
        "{ [N bytes data]\n"
        "* TLSv1.3 (IN), TLS handshake, Certificate (11):\n"
        "{ [N bytes data]\n"
        "* TLSv1.3 (IN), TLS handshake, CERT verify (15):\n"
        "{ [N bytes data]\n"
        "* TLSv1.3 (IN), TLS handshake, Finished (20):\n"
        "{ [N bytes data]\n"
        "* TLSv1.3 (OUT), TLS change cipher, Change cipher spec (1):\n"
        "} [N bytes data]\n"
        "* TLSv1.3 (OUT), TLS handshake, Finished (20):\n"
        "} [N bytes data]\n"
        "* SSL connection using TLSv1.3 / TLS_AES_256_GCM_SHA384\n"
        "* ALPN: server accepted http/1.1\n"
        "* Server certificate:\n"
        "*  subject: O=Podwire; CN=server\n"
        "*  start date: D\n"
        "*  expire date: D\n"
        "*  issuer: O=Podwire; CN=server\n"
        "*  SSL certificate verify result: self-signed certificate (18), continuing anyway.\n"
        "* using HTTP/1.1\n"
        "} [N bytes data]\n"
        "> GET /a HTTP/1.1\n"
        "> Host: 10.244.1.3\n"
        "> User-Agent: curl/7.88.1\n"
        "> Accept: */*\n"
        "> \n"
        "{ [N bytes data]\n"
        "* TLSv1.3 (IN), TLS handshake, Newsession Ticket (4):\n"
        "{ [N bytes data]\n"
        "* TLSv1.3 (IN), TLS handshake, Newsession Ticket (4):\n"
        "{ [N bytes data]\n"
        "< HTTP/1.1 200 OK\n"
        "< Date: D\n"
        "< Content-Type: text/plain; charset=utf-8\n"
        f"< Content-Length: {len(result.out) // 2}\n"
        "< \n"
        "{ [N bytes data]\n"
        "* Connection #0 to host 10.244.1.3 left intact\n"
    )
    assert again.startswith("* Re-using existing connection #0 with host 10.244.1.3\n} [N bytes data]\n> GET /b ")


@pytest.mark.parametrize(
    ("line", "status", "error"),
    [
        (
            "curl -sSk https://10.244.1.3:83/",
            35,
            "(35) OpenSSL/3.0.19: error:0A00010B:SSL routines::wrong version number",
        ),
        ("curl -sS http://10.244.1.3:84/", 52, "(52) Empty reply from server"),
        (f"curl -sS --cacert /x {U}/", 77, "(77) error setting certificate file: /x"),
        ("curl -sSk -m 2 https://10.244.1.3:82/", 28, "(28) Connection timed out after 200"),
        ("curl -sSk --connect-timeout 1 https://10.244.1.3:82/", 28, "(28) SSL connection timeout"),
    ],
)
async def test_failures(web: Lab, line: str, status: int, error: str) -> None:
    server = web.networks["server"]
    await server.open_tcp_listener(82)  # nobody accepts there
    service = Service(lambda _: text("x"), web.machine.wall_clock, lambda _: None)
    context = server_context("Podwire", "server", ["server"], web.machine.wall_clock())
    web.nursery.start_soon(serve, await server.open_tcp_listener(83), service)
    web.nursery.start_soon(serve, await server.open_tcp_listener(84), service, context)
    result = await web.run(line)
    assert (result.status, result.out) == (status, "")
    assert result.error.startswith(f"curl: {error}")


async def test_scheme_port_and_times_of_write_out(web: Lab) -> None:
    line = ["curl", "-sk", "-o", "/dev/null", "-w", "%{scheme} %{remote_port} %{ssl_verify_result} %{url}", f"{U}/"]
    assert (await web.run(line)).out == "HTTPS 443 18 https://10.244.1.3/"
    result = await web.run("curl -sk --resolve shop:443:10.244.1.3 https://shop/x")
    assert "request: GET /x\n" in result.out
    result = await web.run("curl -skL -o /dev/null -w %{num_connects} --connect-to ::10.244.1.3:443 https://any:8443/")
    assert (result.status, result.out) == (0, "1")
