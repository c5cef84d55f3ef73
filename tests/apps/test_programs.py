"""What the built-in images answer, over the emulated network, to the built-in clients."""

from __future__ import annotations

import json

import pytest
import trio
from trio.testing import MockClock

from .conftest import Lab


async def test_nginx_serves_its_welcome_page_as_nginx_does(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start("docker.io/library/nginx:1.27-alpine")
    result = await lab.run("curl -si http://10.244.1.3/")
    head, _, body = result.out.partition("\r\n\r\n")
    assert head.split("\r\n") == [
        "HTTP/1.1 200 OK",
        "Server: nginx/1.27.4",
        "Date: Tue, 14 Nov 2023 22:13:20 GMT",
        "Content-Type: text/html",
        "Content-Length: 615",
        "Last-Modified: Wed, 05 Feb 2025 12:00:46 GMT",
        "Connection: keep-alive",
        'ETag: "67a352ee-267"',
        "Accept-Ranges: bytes",
    ]
    assert "<title>Welcome to nginx!</title>" in body
    assert len(body) == 615
    assert lab.logs["server"][0].startswith(
        '10.244.1.2 - - [14/Nov/2023:22:13:20 +0000] "GET / HTTP/1.1" 200 615 "-" "curl'
    )


async def test_nginx_errors(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start("nginx")
    assert "<center><h1>404 Not Found</h1></center>" in (await lab.run("curl -s http://10.244.1.3/nope")).out
    assert (await lab.run("curl -s -o /dev/null -w %{http_code} -X DELETE http://10.244.1.3/")).out == "405"
    garbage = await lab.run("nc 10.244.1.3 80", stdin=b"\x00\x01\r\n\r\n")
    assert garbage.out.startswith("HTTP/1.1 400 Bad Request\r\n")
    assert "Connection: close" in garbage.out


async def test_head_has_the_length_and_no_body(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start("nginx")
    result = await lab.run("curl -sI http://10.244.1.3/")
    assert "Content-Length: 615\r\n" in result.out
    assert result.out.endswith("\r\n\r\n")


async def test_httpd(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start("httpd:2.4")
    assert (await lab.run("curl -s http://10.244.1.3/")).out == "<html><body><h1>It works!</h1></body></html>\n"


async def test_http_echo(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start("hashicorp/http-echo:1.0", args=["-text=hello from me", "-listen=:8080"])
    assert (await lab.run("curl -s http://10.244.1.3:8080/any")).out == "hello from me\n"


async def test_http_echo_listens_at_the_address_it_is_given(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start("hashicorp/http-echo:1.0", args=["-text=near", "-listen=localhost:8080"])
    assert lab.logs["server"] == ["[INFO] server is listening on localhost:8080"]
    assert (await lab.run("curl -s http://10.244.1.3:8080/")).status == 7


async def test_http_echo_without_text_ends_as_the_real_one(lab: Lab, autojump_clock: MockClock) -> None:
    assert await lab.start("hashicorp/http-echo") == [127]
    assert lab.logs["server"] == ["Missing -text option!"]


async def test_whoami_in_its_real_form(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start("traefik/whoami:v1.10", args=["--name", "me"])
    result = await lab.run(["curl", "-s", "-H", "X-b: 1", "-H", "x-a: 2", "http://10.244.1.3/p?q=1"])
    lines = result.out.split("\n")
    assert lines[:4] == ["Name: me", "Hostname: server", "IP: 127.0.0.1", "IP: 10.244.1.3"]
    assert lines[4].startswith("RemoteAddr: 10.244.1.2:")
    assert lines[5:] == [
        "GET /p?q=1 HTTP/1.1\r",
        "Host: 10.244.1.3\r",
        "User-Agent: curl/7.88.1\r",
        "Accept: */*\r",
        "X-A: 2\r",
        "X-B: 1\r",
        "\r",
        "",
    ]


async def test_netexec(lab: Lab, autojump_clock: MockClock) -> None:
    args = ["netexec", "--http-port=8080", "--udp-port", "8081"]
    await lab.start("registry.k8s.io/e2e-test-images/agnhost:2.53@sha256:" + "0" * 64, args=args)
    assert (await lab.run("curl -s http://10.244.1.3:8080/hostname")).out == "server"
    assert (await lab.run("curl -s http://10.244.1.3:8080/clientip")).out.startswith("10.244.1.2:")
    assert (await lab.run("curl -s http://10.244.1.3:8080/echo?msg=hi%20there")).out == "hi there"
    assert (await lab.run("curl -s http://10.244.1.3:8080/")).out.startswith("NOW: 2023-11-14 22:13:20")
    assert (await lab.run("nc -u -w 1 10.244.1.3 8081", stdin=b"hostName\n")).out == "server"
    assert (await lab.run("nc -u -w 1 10.244.1.3 8081", stdin=b"clientip")).out.startswith("10.244.1.2:")
    assert (await lab.run("nc -u -w 1 10.244.1.3 8081", stdin=b"echo Abc")).out == "abc"


async def test_netexec_dials_others(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start("agnhost", args=["netexec"])
    await lab.start("agnhost", "dns", args=["netexec"])
    url = "http://10.244.1.3:8080/dial?host=10.244.1.4&port={}&protocol={}&request=hostname&tries=2"
    for port, protocol in ((8080, "http"), (8081, "udp")):
        answer = json.loads((await lab.run(["curl", "-s", url.format(port, protocol)])).out)
        assert answer == {"responses": ["dns", "dns"]}
    answer = json.loads((await lab.run(["curl", "-s", url.format(9, "http")])).out)
    assert answer == {"errors": ["[Errno 111] Connection refused"] * 2}


async def test_netexec_exits_with_the_code_that_it_is_told(lab: Lab, autojump_clock: MockClock) -> None:
    statuses = await lab.start("agnhost", args=["netexec"])
    await lab.run("curl -s http://10.244.1.3:8080/exit?code=3")
    await trio.sleep(1)
    assert statuses == [3]


async def test_unknown_image_tells_which_pod_answers(lab: Lab, autojump_clock: MockClock) -> None:
    ports = [("http", "TCP", 9000), ("query", "UDP", 9001)]
    await lab.start("ghcr.io/acme/shop:v2", ports=ports)
    answer = (await lab.run("curl -s http://10.244.1.3:9000/cart")).out
    assert "pod: server\nnamespace: default\naddress: 10.244.1.3\nnode: node-a\n" in answer
    assert "request: GET /cart\n" in answer
    line = "default/server 10.244.1.3 on node-a (ghcr.io/acme/shop:v2)\n"
    assert (await lab.run("nc -u -w 1 10.244.1.3 9001", stdin=b"?")).out == line


@pytest.mark.parametrize("data", [b"PING\r\n", b"\x00\x00\x00\x08\x04\xd2\x16\x2f", b"hello"])
async def test_unknown_image_answers_other_protocols_with_a_line(
    lab: Lab, autojump_clock: MockClock, data: bytes
) -> None:
    await lab.start("redis:7", ports=[("", "TCP", 6379)])
    result = await lab.run("nc -N 10.244.1.3 6379", stdin=data)
    if data == b"hello":  # could be the beginning of a request, until the client has no more
        assert result.out.startswith("HTTP/1.1 400 ")
    else:
        assert result.out == "default/server 10.244.1.3 on node-a (redis:7)\n"


async def test_images_without_a_server_idle(lab: Lab, autojump_clock: MockClock) -> None:
    statuses = await lab.start("busybox:1.36", command=["sleep", "1m"])
    assert statuses == []

    await trio.sleep(61)
    assert statuses == [0]


async def test_a_taken_port_is_an_error(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start("nginx")
    with pytest.raises(OSError, match="already in use") as caught:
        await lab.networks["server"].open_tcp_listener(80)
    assert caught.value.errno == 98
