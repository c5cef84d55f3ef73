"""What the built-in images answer, over the emulated network, to the built-in clients."""

from __future__ import annotations

import json

import pytest
import trio
from trio.testing import MockClock

from emulator.apps.tls import TlsError, client_context, connect

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
    refused = 'Get "http://10.244.1.4:9/hostname": dial tcp 10.244.1.4:9: connect: connection refused'
    assert answer == {"errors": [refused] * 2}


@pytest.mark.parametrize(
    ("path", "answer", "status"),
    [
        ("/header?key=User-Agent", "curl/7.88.1", 200),
        ("/header", '{"Accept":["*/*"],"User-Agent":["curl/7.88.1"]}', 200),
        ("/echo?msg=a%20b&code=418", "a b", 418),
        ("/echo?msg=a&code=x", "argument 'code' must be an integer or empty, got \"x\"\n", 200),
        ("/redirect?location=/echo%3Fmsg=x&code=307", '<a href="/echo?msg=x">Temporary Redirect</a>.\n\n', 307),
        ("/healthz", "", 200),
        ("/readyz", "ok", 200),
        ("/shell?cmd=hostname", '{"output":"server\\n"}', 200),
        ("/shell?cmd=false", '{"error":"exit status 1"}', 200),
        ("/shell?shellCommand=nope", '{"error":"exit status 127","output":"/bin/sh: nope: not found\\n"}', 200),
        ("/upload", '{"error":"Unable to upload file."}', 200),
        ("/dial?host=10.244.1.3", "request parameter not specified. <nil>\n", 400),
        ("/dial?host=x&request=y&protocol=icmp", "unsupported protocol. icmp\n", 400),
        (
            "/dial?host=10.244.1.3&request=y&port=99999",
            "host and/or port param are invalid. address 99999: invalid port\n",
            400,
        ),
        ("/dial?host=10.244.1.3&request=y&tries=x", "tries parameter is invalid. strconv.Atoi: parsing \"x\": "
         "invalid syntax\n", 400),
        ("/exit?timeout=x", "argument 'timeout' must be a valid golang duration or empty, got \"x\"\n", 200),
    ],
)  # fmt: skip
async def test_netexec_endpoints(lab: Lab, autojump_clock: MockClock, path: str, answer: str, status: int) -> None:
    await lab.start("agnhost", args=["netexec"])
    result = await lab.run(["curl", "-s", "-w", "|%{http_code}", f"http://10.244.1.3:8080{path}"])
    assert result.out == f"{answer}|{status}"


async def test_netexec_has_the_headers_of_go(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start("agnhost", args=["netexec"])
    result = await lab.run("curl -si http://10.244.1.3:8080/hostname")
    assert result.out == (
        "HTTP/1.1 200 OK\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\nContent-Length: 6\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n\r\nserver"
    )
    assert lab.logs["server"] == [
        "2023/11/14 22:13:20 Started HTTP server on port 8080",
        "2023/11/14 22:13:20 Started UDP server on port  8081",
        "2023/11/14 22:13:20 GET /hostname",
    ]


async def test_netexec_is_as_healthy_as_its_udp_server(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start("agnhost", args=["netexec", "--udp-port=-1", "--http-override=/healthz"])
    assert (await lab.run("curl -s -w %{http_code} http://10.244.1.3:8080/whatever")).out == "412"


async def test_netexec_waits_for_connections_when_it_is_told_to_end(lab: Lab, autojump_clock: MockClock) -> None:
    statuses = await lab.start("agnhost", args=["netexec"])
    async with trio.open_nursery() as nursery:
        answers: list[str] = []

        async def slow() -> None:
            url = "http://10.244.1.3:8080/shell?cmd=sleep%205"
            answers.append((await lab.run(["curl", "-s", "-w", "%{http_code}", url])).out)

        nursery.start_soon(slow)
        await trio.sleep(1)
        assert (await lab.run("curl -s -w %{http_code} http://10.244.1.3:8080/exit?timeout=10s&code=7")).out == "200"
        await trio.sleep(1)
        assert statuses == []
        assert (await lab.run("curl -s http://10.244.1.3:8080/")).status == 7
    await trio.sleep(0.1)
    assert (answers, statuses) == (["{}200"], [7])
    assert lab.logs["server"][-1].endswith("Graceful shutdown completed with: <nil>")


async def test_netexec_ends_at_once_without_a_word(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start("agnhost", args=["netexec"])
    assert (await lab.run("curl -s http://10.244.1.3:8080/shutdown")).status == 52


async def test_netexec_over_tls(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start(
        "agnhost", args=["netexec", "--tls-cert-file=/localhost.crt", "--tls-private-key-file=/localhost.key"]
    )
    result = await lab.run("nc -N 10.244.1.3 8080", stdin=b"GET / HTTP/1.0\r\n\r\n")
    assert result.out == "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
    stream = await lab.networks["client"].open_tcp_stream("10.244.1.3", 8080)
    async with await connect(stream, client_context(verify=False), "10.244.1.3") as secure:
        assert secure.version == "TLSv1.3"
        await secure.send_all(b"GET /hostname HTTP/1.0\r\n\r\n")
        data = b""
        while part := await secure.receive_some():
            data += part
    assert data.endswith(b"\r\n\r\nserver")


async def test_a_certificate_nobody_vouches_for_is_refused(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start("ghcr.io/acme/shop", ports=[("https", "TCP", 8443)])
    async with await lab.networks["client"].open_tcp_stream("10.244.1.3", 8443) as stream:
        with pytest.raises(TlsError) as caught:
            await connect(stream, client_context(verify=True), "10.244.1.3")
    assert caught.value.verify_message == "self-signed certificate"


async def test_serve_hostname(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start("agnhost", args=["serve-hostname", "--tcp", "--udp", "--http=false", "--port=9000"])
    assert (await lab.run("nc 10.244.1.3 9000")).out == "server"
    assert (await lab.run("nc -u -w 1 10.244.1.3 9000", stdin=b"?")).out == "server"
    await lab.start("agnhost", "dns", args=["serve-hostname", "--close"])
    assert "Connection: close\r\n" in (await lab.run("curl -si http://10.244.1.4:9376")).out
    assert await lab.start("agnhost", "client", args=["serve-hostname", "--tcp"]) == [1]


async def test_porter(lab: Lab, autojump_clock: MockClock) -> None:
    env = {"SERVE_PORT_80": "one", "SERVE_UDP_PORT_81": "two", "SERVE_TLS_PORT_443": "three", "HOME": "/"}
    await lab.start("agnhost", args=["porter", "--json-response"], env=env)
    assert (await lab.run("curl -s http://10.244.1.3/any")).out == '{"Method":"GET","Body":"one"}'
    assert (await lab.run("nc -u -w 1 10.244.1.3 81", stdin=b"?")).out == "two"


async def test_liveness_is_well_for_ten_seconds(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start("agnhost", args=["liveness"])
    assert (await lab.run("curl -s http://10.244.1.3:8080/healthz")).out == "ok"
    slow = await lab.run("curl -s -w %{http_code}:%{time_total} http://10.244.1.3:8080/sleep-headers?time=3&code=200")
    assert slow.out.startswith("Slept for 3 secs\n200:3.0")
    cut = await lab.run("curl -sS http://10.244.1.3:8080/disconnect-body?size=1&code=200")
    assert (cut.status, len(cut.out)) == (18, 1024 + len("Disconnecting\n"))
    assert (await lab.run("curl -s http://10.244.1.3:8080/disconnect-headers")).status == 52
    await trio.sleep(11)
    assert (await lab.run("curl -s -o /dev/null -w %{http_code} http://10.244.1.3:8080/healthz")).out == "500"


@pytest.mark.parametrize(
    ("words", "status", "error"),
    [
        ("10.244.1.3:8080", 0, ""),
        ("10.244.1.3:9", 1, "REFUSED\n"),
        ("10.244.1.9:80 --timeout=1s", 1, "TIMEOUT\n"),
        ("10.244.1.9:80", 1, "OTHER: dial tcp 10.244.1.9:80: connect: no route to host\n"),
        ("10.244.1.3", 1, "UNKNOWN: address 10.244.1.3: missing port in address\n"),
        ("10.244.1.3:8081 --protocol=udp --timeout 3s", 0, ""),
        ("", 1, "Error: accepts 1 arg(s), received 0\n"),
    ],
)
async def test_agnhost_connect(lab: Lab, autojump_clock: MockClock, words: str, status: int, error: str) -> None:
    await lab.start("agnhost", args=["netexec"])
    result = await lab.run(f"/agnhost connect {words}")
    assert (result.status, result.error) == (status, error)


async def test_whoami_sends_as_much_as_it_is_asked_for(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start("traefik/whoami")
    for path, size in (("size=100", 100), ("size=100&unit=KB", 102_400), ("size=100&attachment=true", 99)):
        result = await lab.run(f"curl -si http://10.244.1.3/data?{path}")
        head, _, body = result.out.partition("\r\n\r\n")
        assert (len(body), body[:3], body[-1]) == (size, "|AB", "|")
        assert ("Transfer-Encoding: chunked" in head) == (size > 2048)
    assert (await lab.run("curl -s -d 503 http://10.244.1.3/health")).status == 0
    assert (await lab.run("curl -s -w %{http_code} http://10.244.1.3/health")).out == "503"
    api = json.loads((await lab.run("curl -s http://10.244.1.3/api?env=true")).out)
    assert (api["hostname"], api["environ"]) == ("server", {"HOSTNAME": "server"})


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
