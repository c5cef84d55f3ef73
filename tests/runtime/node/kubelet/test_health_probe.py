"""One run of a probe over a real (emulated) network, and the kubelet's words for what it found."""

from collections.abc import Sequence

import pytest
import trio
from trio.testing import MockClock

from emulator.api.messages import Object
from emulator.api.objects.container import Container, Probe
from emulator.api.objects.view import view
from emulator.apps.http_message import Request, Response, text
from emulator.apps.http_server import serve
from emulator.apps.http_service import Service
from emulator.kube.kubelet.prober import Outcome
from emulator.runtime.node.kubelet.health_probe import Answer, Target, run_probe
from tests.runtime.conftest import Pair

PORT = 8080
SEEN: list[str] = []


async def handle(request: Request) -> Response:
    SEEN.append(f"{request.header('user-agent')} {request.header('connection')} {request.header('x-own')}")
    match request.path:
        case "/slow":
            await trio.sleep(5)
        case "/sick":
            return text("sick", 500)
        case "/moved":
            return Response(302, b"", (("Location", "/well"),))
        case "/away":
            return Response(302, b"elsewhere", (("Location", "http://other.example/"),))
        case "/nowhere":
            return Response(302, b"", (("Location", "http://[/"),))
        case "/no-port":
            return Response(302, b"", (("Location", f"http://{request.header('host').split(':')[0]}:99999/"),))
        case "/circle":
            return Response(302, b"", (("Location", "/circle"),))
    return text("well")


async def command(words: Sequence[str]) -> tuple[int, str]:
    await trio.sleep(float(words[0]))
    return int(words[1]), "it said so"


async def ask(pair: Pair, probe: Object) -> Answer:
    [address] = [own.address for own in pair.b.netns.links["eth0"].addresses]
    container = view({"name": "c", "ports": [{"name": "web", "containerPort": PORT}]}, Container)
    host = ".".join(str(address >> shift & 0xFF) for shift in (24, 16, 8, 0))
    answer = await run_probe(view(probe, Probe), Target(pair.a, host, container, command))
    return Answer(answer.outcome, answer.message.replace(host, "POD"))


@pytest.mark.parametrize(
    ("probe", "outcome", "message"),
    [
        ({"httpGet": {"port": "web"}}, Outcome.SUCCESS, "well"),
        ({"httpGet": {"port": PORT, "path": "/sick"}}, Outcome.FAILURE, "HTTP probe failed with statuscode: 500"),
        ({"httpGet": {"port": PORT, "path": "/moved"}}, Outcome.SUCCESS, "well"),
        (
            {"httpGet": {"port": PORT, "path": "/away"}},
            Outcome.WARNING,
            "Probe terminated redirects, Response body: elsewhere",
        ),
        (
            {"httpGet": {"port": PORT, "path": "/circle"}},
            Outcome.FAILURE,
            'Get "http://POD:8080/circle": stopped after 10 redirects',
        ),
        (
            {"httpGet": {"port": PORT, "path": "/nowhere"}},
            Outcome.FAILURE,
            'Get "http://POD:8080/nowhere": failed to parse Location header "http://[/": Invalid IPv6 URL',
        ),
        (
            {"httpGet": {"port": PORT, "path": "/no-port"}},
            Outcome.FAILURE,
            'Get "http://POD:8080/no-port": failed to parse Location header "http://POD:99999/": '
            "Port out of range 0-65535",
        ),
        (
            {"httpGet": {"port": PORT, "path": "/slow"}},
            Outcome.FAILURE,
            'Get "http://POD:8080/slow": context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
        ),
        ({"httpGet": {"port": PORT, "path": "/slow"}, "timeoutSeconds": 6}, Outcome.SUCCESS, "well"),
        (
            {"httpGet": {"port": 81, "path": "healthz"}},
            Outcome.FAILURE,
            'Get "http://POD:81/healthz": dial tcp POD:81: connect: connection refused',
        ),
        (
            {"httpGet": {"port": PORT, "scheme": "HTTPS"}},
            Outcome.FAILURE,
            'Get "https://POD:8080/": http: server gave HTTP response to HTTPS client',
        ),
        ({"httpGet": {"port": "no"}}, Outcome.ERROR, 'couldn\'t find port: "no" in container c'),
        ({"tcpSocket": {"port": "web"}}, Outcome.SUCCESS, ""),
        ({"tcpSocket": {"port": 81}}, Outcome.FAILURE, "dial tcp POD:81: connect: connection refused"),
        ({"exec": {"command": ["0", "0"]}}, Outcome.SUCCESS, "it said so"),
        ({"exec": {"command": ["0", "3"]}}, Outcome.FAILURE, "it said so"),
        ({"exec": {"command": ["9", "0"]}}, Outcome.FAILURE, "command timed out: '9 0' timed out after 1s"),
    ],
)
async def test_what_a_probe_finds(
    pair: Pair, autojump_clock: MockClock, probe: Object, outcome: Outcome, message: str
) -> None:
    async with trio.open_nursery() as nursery:
        listener = await pair.b.open_tcp_listener(PORT)
        nursery.start_soon(serve, listener, Service(handle, lambda: 0.0, lambda _: None))
        assert await ask(pair, probe) == Answer(outcome, message)
        nursery.cancel_scope.cancel()


async def test_the_request_is_the_kubelets_own(pair: Pair, autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        listener = await pair.b.open_tcp_listener(PORT)
        nursery.start_soon(serve, listener, Service(handle, lambda: 0.0, lambda _: None))
        SEEN.clear()
        headers = [{"name": "X-Own", "value": "yes"}]
        await ask(pair, {"httpGet": {"port": PORT, "httpHeaders": headers}})
        assert SEEN == ["kube-probe/1.34 close yes"]
        nursery.cancel_scope.cancel()
