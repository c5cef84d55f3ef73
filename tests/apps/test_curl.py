"""curl: what curl 7.88.1 printed and returned for the same events in network namespaces."""

from __future__ import annotations

import json

import pytest
from trio.testing import MockClock

from emulator.apps.filesystem import Files
from emulator.apps.http_message import Request, Response, text
from emulator.apps.http_server import serve
from emulator.apps.http_service import Service

from .conftest import Lab, Names

U = "http://10.244.1.3"


def echo(request: Request) -> Response:
    """Answer with the body and the headers of the request, as the server behind the goldens did."""
    if request.path == "/redirect":
        return Response(302, b"", (("Location", "/x"),))
    if request.path == "/404":
        return Response(404, b"nope")
    headers = "".join(f"{name}: {value}\n" for name, value in request.headers)
    return text(f"hi {request.body.decode()}\n{headers}\n")


@pytest.fixture
async def web(lab: Lab) -> Lab:
    listener = await lab.networks["server"].open_tcp_listener(80)
    lab.nursery.start_soon(serve, listener, Service(echo, lab.machine.wall_clock, lambda _: None))
    await lab.start("coredns", "dns", zone=Names())
    return lab


async def raw(lab: Lab, reply: bytes, port: int = 81) -> None:
    """Serve one connection: read something, answer these bytes, close."""
    listener = await lab.networks["server"].open_tcp_listener(port)

    async def run() -> None:
        async with await listener.accept() as stream:
            await stream.receive_some()
            await stream.send_all(reply)

    lab.nursery.start_soon(run)


async def test_verbose(web: Lab, autojump_clock: MockClock) -> None:
    result = await web.run(f"curl -sv {U}/a")
    length = len(result.out)
    assert result.error == (
        "*   Trying 10.244.1.3:80...\n"
        "* Connected to 10.244.1.3 (10.244.1.3) port 80 (#0)\n"
        "> GET /a HTTP/1.1\n"
        "> Host: 10.244.1.3\n"
        "> User-Agent: curl/7.88.1\n"
        "> Accept: */*\n"
        "> \n"
        "< HTTP/1.1 200 OK\n"
        "< Date: Tue, 14 Nov 2023 22:13:20 GMT\n"
        "< Content-Type: text/plain; charset=utf-8\n"
        f"< Content-Length: {length}\n"
        "< \n"
        f"{{ [{length} bytes data]\n"
        "* Connection #0 to host 10.244.1.3 left intact\n"
    )


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ("", "hi \nHost: 10.244.1.3\nUser-Agent: curl/7.88.1\nAccept: */*\n\n"),
        (
            "-d x=1 -d y=2",
            "hi x=1&y=2\nHost: 10.244.1.3\nUser-Agent: curl/7.88.1\nAccept: */*\n"
            "Content-Length: 7\nContent-Type: application/x-www-form-urlencoded\n\n",
        ),
        ("-X PUT -H X-A:b -H Accept:", "hi \nHost: 10.244.1.3\nUser-Agent: curl/7.88.1\nX-A: b\n\n"),
        ("-u a:b", "hi \nHost: 10.244.1.3\nAuthorization: Basic YTpi\nUser-Agent: curl/7.88.1\nAccept: */*\n\n"),
        ("-A me", "hi \nHost: 10.244.1.3\nUser-Agent: me\nAccept: */*\n\n"),
        ("-H Host:web", "hi \nHost: web\nUser-Agent: curl/7.88.1\nAccept: */*\n\n"),
        ("-G -d a=b", "hi \nHost: 10.244.1.3\nUser-Agent: curl/7.88.1\nAccept: */*\n\n"),
        (
            "--json {}",
            "hi {}\nHost: 10.244.1.3\nUser-Agent: curl/7.88.1\nContent-Type: application/json\n"
            "Accept: application/json\nContent-Length: 2\n\n",
        ),
    ],
)
async def test_requests(web: Lab, autojump_clock: MockClock, options: str, sent: str) -> None:
    assert (await web.run(f"curl -s {options} {U}/a")).out == sent


async def test_write_out(web: Lab, autojump_clock: MockClock) -> None:
    template = (
        "%{http_code} %{remote_ip} %{remote_port} %{local_ip} %{num_connects} %{method} %{scheme} %{exitcode} %%\\n"
    )
    result = await web.run(["curl", "-s", *("-o", "/dev/null") * 2, "-w", template, f"{U}/a", f"{U}/404"])
    assert result.out == "200 10.244.1.3 80 10.244.1.2 1 GET HTTP 0 %\n404 10.244.1.3 80 10.244.1.2 0 GET HTTP 0 %\n"
    result = await web.run(["curl", "-s", "-w", "%{nope}|", "-o", "/dev/null", U])
    assert (result.out, result.error) == ("|", "curl: unknown --write-out variable: 'nope'\n")
    result = await web.run(["curl", "-s", "-w", "%{json}", "-o", "/dev/null", U])
    assert json.loads(result.out)["size_request"] == 74


async def test_redirects(web: Lab, autojump_clock: MockClock) -> None:
    result = await web.run(f"curl -sv -L {U}/redirect")
    assert result.status == 0
    assert result.out.startswith("hi ")
    assert "* Issue another request to this URL: 'http://10.244.1.3/x'\n" in result.error
    assert "* Re-using existing connection #0 with host 10.244.1.3\n> GET /x HTTP/1.1\n" in result.error
    result = await web.run(f"curl -sS -L --max-redirs 0 {U}/redirect")
    assert (result.status, result.error) == (47, "curl: (47) Maximum (0) redirects followed\n")


async def test_resolve(web: Lab, autojump_clock: MockClock) -> None:
    result = await web.run("curl -sv --resolve site:80:10.244.1.3 http://site/a")
    assert result.error.startswith(
        "* Added site:80:10.244.1.3 to DNS cache\n"
        "* Hostname site was found in DNS cache\n"
        "*   Trying 10.244.1.3:80...\n"
        "* Connected to site (10.244.1.3) port 80 (#0)\n"
    )


@pytest.mark.parametrize(
    ("line", "status", "error"),
    [
        (f"curl -sSf {U}/404", 22, "(22) The requested URL returned error: 404"),
        (f"curl -sS {U}:82/", 7, "(7) Failed to connect to 10.244.1.3 port 82 after 0 ms: Couldn't connect to server"),
        (
            "curl -sS http://10.244.1.9/",
            7,
            "(7) Failed to connect to 10.244.1.9 port 80 after 3000 ms: Couldn't connect to server",
        ),
        ("curl -sS -m 1 http://10.244.1.9/", 28, "(28) Connection timed out after 1000 milliseconds"),
        (
            "curl -sS --connect-timeout 1 http://10.244.1.9/",
            28,
            "(28) Failed to connect to 10.244.1.9 port 80 after 1000 ms: Timeout was reached",
        ),
        ("curl -sS http://nope/", 6, "(6) Could not resolve host: nope"),
        (f"curl -sS {U}:99999/", 3, "(3) URL using bad/illegal format or missing URL"),
        ("curl -sS foo://x/", 1, '(1) Protocol "foo" not supported or disabled in libcurl'),
    ],
)
async def test_failures(web: Lab, autojump_clock: MockClock, line: str, status: int, error: str) -> None:
    result = await web.run(line)
    assert (result.status, result.out, result.error) == (status, "", f"curl: {error}\n")


@pytest.mark.parametrize(
    ("reply", "status", "error"),
    [
        (b"", 52, "(52) Empty reply from server"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nnope",
            18,
            "(18) transfer closed with 6 bytes remaining to read",
        ),
        (b"SSH-2.0-OpenSSH\r\n\r\n", 1, "(1) Received HTTP/0.9 when not allowed"),
    ],
)
async def test_bad_replies(lab: Lab, autojump_clock: MockClock, reply: bytes, status: int, error: str) -> None:
    await raw(lab, reply)
    result = await lab.run(f"curl -sS {U}:81/")
    assert (result.status, result.error) == (status, f"curl: {error}\n")


async def test_time_limit_in_the_answer(lab: Lab, autojump_clock: MockClock) -> None:
    listener = await lab.networks["server"].open_tcp_listener(81)
    result = await lab.run(f"curl -sS -m 1 {U}:81/")
    assert result.error == "curl: (28) Operation timed out after 1000 milliseconds with 0 bytes received\n"
    await listener.aclose()


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("curl", ""),
        ("curl -s", "curl: no URL specified!\n"),
        ("curl --nope", "curl: option --nope: is unknown\n"),
        ("curl -m x http://a", "curl: option -m: expected a proper numerical parameter\n"),
        ("curl -m", "curl: option -m: requires parameter\n"),
    ],
)
async def test_usage(lab: Lab, autojump_clock: MockClock, line: str, error: str) -> None:
    result = await lab.run(line)
    assert result.status == 2
    assert result.error == f"{error}curl: try 'curl --help' or 'curl --manual' for more information\n"


async def test_unresolvable_names_of_other_domains(web: Lab, autojump_clock: MockClock) -> None:
    assert (await web.run("curl -sS http://example.com/")).status == 6


async def test_files_are_written_where_there_is_a_folder(web: Lab, autojump_clock: MockClock) -> None:
    files = Files(web.networks["client"], "client")
    assert (await web.run(f"curl -s -o /tmp/x {U}/a", files=files)).out == ""
    assert (await web.run("cat /tmp/x", files=files)).out.startswith("hi ")
    result = await web.run(f"curl -sS -o /nope/x {U}/a", files=files)
    assert result.status == 23
    assert "Warning: Failed to open the file /nope/x: No such file or directory\n" in result.error
    assert (await web.run(f"wget -q -O /tmp/y {U}/a", files=files)).status == 0
    assert (await web.run("cat /tmp/y", files=files)).out.startswith("hi ")


@pytest.mark.parametrize(
    ("options", "stdin", "sent"),
    [
        ("-d @-", b"a\nb\n", "hi ab\n"),
        ("--data-binary @-", b"a\nb\n", "hi a\nb\n\n"),
        ("--data-raw @x", b"", "hi @x\n"),
        ("-T -", b"abc", "hi abc\nHost: 10.244.1.3\nUser-Agent: curl/7.88.1\nAccept: */*\n"
         "Transfer-Encoding: chunked\nExpect: 100-continue\n\n"),
        ("-b a=b -r 0-1 --compressed", b"", "hi \nHost: 10.244.1.3\nRange: bytes=0-1\nUser-Agent: curl/7.88.1\n"
         "Accept: */*\nAccept-Encoding: deflate, gzip, br, zstd\nCookie: a=b\n\n"),
    ],
)  # fmt: skip
async def test_bodies(web: Lab, autojump_clock: MockClock, options: str, stdin: bytes, sent: str) -> None:
    assert (await web.run(f"curl -s {options} {U}/a", stdin=stdin)).out.startswith(sent)


async def test_a_form_has_its_boundary(web: Lab, autojump_clock: MockClock) -> None:
    out = (await web.run(f"curl -s -F a=b -F c=d {U}/a")).out
    assert "Content-Length: 228\nContent-Type: multipart/form-data; boundary=------------------------" in out
    assert out.startswith(
        'hi --------------------------0000000000000000\r\nContent-Disposition: form-data; name="a"\r\n'
    )


async def test_an_upload_waits_to_be_let_in(web: Lab, autojump_clock: MockClock) -> None:
    result = await web.run(f"curl -sv -T - {U}/a", stdin=b"abc\n")
    assert (
        "> Expect: 100-continue\n> \n< HTTP/1.1 100 Continue\n} [9 bytes data]\n"
        "* Signaling end of chunked upload via terminating chunk.\n} [5 bytes data]\n< HTTP/1.1 200 OK\n"
    ) in result.error
    await raw(web, b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
    result = await web.run(["curl", "-sv", "--data-binary", "x" * 2_000_000, f"{U}:81/"])
    assert "< HTTP/1.1 417 Expectation Failed\n" in result.error
    assert "bytes data" not in result.error


@pytest.mark.parametrize(
    ("options", "status", "error"),
    [
        ("--retry 2 --retry-connrefused", 7, "1 retries left."),
        ("--retry 2", 7, ""),
        ("--retry 1 -m 1", 7, ""),
    ],
)
async def test_retries(web: Lab, autojump_clock: MockClock, options: str, status: int, error: str) -> None:
    result = await web.run(f"curl --no-progress-meter {options} {U}:82/")
    assert result.status == status
    refused = "curl: (7) Failed to connect to 10.244.1.3 port 82 after 0 ms: Couldn't connect to server\n"
    warning = "Warning: Problem : connection refused. Will retry in {} seconds. {} retries \nWarning: left.\n"
    twice = refused + warning.format(1, 2) + refused + warning.format(2, 1) + refused
    assert result.error == (twice if error else refused)


@pytest.mark.parametrize(
    ("options", "status", "error"),
    [
        ("--interface 10.9.9.9", 45, "curl: (45) bind failed with errno 99: Cannot assign requested address\n"),
        ("--interface nope0", 45, "curl: (45) Couldn't bind to 'nope0'\n"),
        ("--interface eth0 --local-port 20000-20010 -o /dev/null -w %{local_port}", 0, ""),
    ],
)
async def test_where_it_comes_from(web: Lab, autojump_clock: MockClock, options: str, status: int, error: str) -> None:
    result = await web.run(f"curl -sS {options} {U}/a")
    assert (result.status, result.error) == (status, error)
    assert status or result.out == "20000"


async def test_write_out_turns_to_either_stream(web: Lab, autojump_clock: MockClock) -> None:
    template = "%{stderr}err %header{content-type}%{stdout}out%{onerror}E %{exitcode}"
    result = await web.run(["curl", "-s", "-o", "/dev/null", "-w", template, f"{U}/a"])
    assert (result.out, result.error) == ("out", "err text/plain; charset=utf-8")
    result = await web.run(["curl", "-s", "-w", template, f"{U}:82/"])
    assert (result.out, result.error) == ("outE 7", "err ")


async def test_urls_are_globbed(web: Lab, autojump_clock: MockClock) -> None:
    result = await web.run(["curl", "-s", "-o", "/dev/null", "-w", "%{url} ", U + "/{a,b}[08-10:2]"])
    assert result.out == " ".join(f"{U}/{letter}{number}" for letter in "ab" for number in ("08", "10")) + " "
    result = await web.run(["curl", "-g", "-q", "-s", "-o", "/dev/null", "-w", "%{url}", U + "/{a,b}"])
    assert result.out == U + "/{a,b}"
    assert (await web.run(f"curl -sS -O {U}/")).error == "curl: Remote file name has no length!\n"
