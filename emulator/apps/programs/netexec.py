"""`agnhost netexec`, the server of Kubernetes' network tests: HTTP or HTTPS, UDP and SCTP.

Source: Kubernetes, test/images/agnhost/netexec/netexec.go (of agnhost 2.53).
"""

from __future__ import annotations

from collections.abc import Sequence

import trio
from msgspec import Struct

from emulator.apps.commands.shell import main as run_shell
from emulator.apps.environment import Container, SctpListener, UdpEndpoint
from emulator.apps.go import http as go_http
from emulator.apps.go.flags import parse_flags
from emulator.apps.go.http import form_value, reply
from emulator.apps.go.text import format_duration, logger, now_text, parse_duration, quoted, to_json
from emulator.apps.http_conversation import NoAnswerError
from emulator.apps.http_message import Request, Response
from emulator.apps.http_server import Server
from emulator.apps.invocations import child_invocation
from emulator.apps.options import port_number
from emulator.apps.programs.dial import dial
from emulator.apps.termination import terminated
from emulator.apps.udp_server import serve_udp
from emulator.kernel.socket.udp import Datagram

FLAGS = {
    "http-port",
    "udp-port",
    "udp-listen-addresses",
    "sctp-port",
    "tls-cert-file",
    "tls-private-key-file",
    "http-override",
    "delay-shutdown",
}
LOCALHOST = ("127.0.0.1", "::1", "example.com")  # whom the image's /localhost.crt names


class Ending(Struct, frozen=True):
    """How the program is to end: an exit status, and seconds for connections to close in (0: none are waited for)."""

    code: int
    timeout: float = 0.0


async def main(container: Container, words: Sequence[str], task_status: trio.TaskStatus[None]) -> int:
    """Serve until told to end; return the exit status. UsageError or ValueError for a command line that is refused."""
    flags = parse_flags(words[1:], FLAGS, set())
    http_port = port_number(flags.get("http-port", "8080"))
    sctp_port = int(flags.get("sctp-port", "-1"))
    netexec = Netexec(container, flags.get("http-override", ""))
    service = go_http.service(container, netexec.handle)
    tls = None
    if "tls-cert-file" in flags:
        from emulator.apps.certificate import server_context

        tls = server_context("Acme Co", "", LOCALHOST, container.wall_clock())
    server = Server(await container.network.open_tcp_listener(http_port), service, tls)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        netexec.log(f"Started HTTP server on port {http_port}")
        udp_port = int(flags.get("udp-port", "8081"))
        if udp_port != -1:
            for address in dict.fromkeys(flags.get("udp-listen-addresses", "").split(",")):
                nursery.start_soon(serve_udp, netexec.open_udp(address, udp_port), netexec.answer)
        delay = int(flags.get("delay-shutdown", "0"))
        if delay > 0:
            nursery.start_soon(netexec.end_after, delay, terminated(container))
        if sctp_port != -1:
            from emulator.apps.programs.sctp_server import serve_sctp

            nursery.start_soon(serve_sctp, netexec.open_sctp(sctp_port), netexec.answer_sctp)
        task_status.started()
        ending = await netexec.ending()
        if ending.timeout:
            in_time = await server.shut_down(ending.timeout)
            netexec.log(f"Graceful shutdown completed with: {'<nil>' if in_time else 'context deadline exceeded'}")
        nursery.cancel_scope.cancel()
    return ending.code


class Netexec:
    """What netexec answers."""

    def __init__(self, container: Container, override: str = "") -> None:
        self.log = logger(container.log, container.wall_clock)
        self._container = container
        self._override = override
        self._began = trio.current_time()
        self._ready = False  # readiness goes by the UDP server, as in the original
        self._told = trio.Event()
        self._ending = Ending(0)
        self._routes = {
            "/clientip": lambda request: reply(self._client(request)),
            "/header": self._header,
            "/echo": self._echo,
            "/healthz": lambda _: reply("", 200 if self._ready else 412),
            "/hostname": lambda _: reply(container.pod_name),
            "/hostName": lambda _: reply(container.pod_name),
            "/readyz": lambda _: reply("ok") if self._ready else reply("", 412),
            "/redirect": self._redirect,
            "/upload": self._upload,
        }

    def open_udp(self, address: str, port: int) -> UdpEndpoint:
        """Bind a UDP server. OSError(EADDRINUSE)."""
        endpoint = self._container.network.open_udp(port, address=address or "0.0.0.0")
        self.log(f"Started UDP server on port {address} {port}")
        self._ready = True
        return endpoint

    def open_sctp(self, port: int) -> SctpListener:
        """Bind the SCTP server. OSError(EADDRINUSE)."""
        listener = self._container.network.open_sctp_listener(port)
        self.log("Started SCTP server")
        self._ready = True
        return listener

    async def ending(self) -> Ending:
        """Wait until /exit or /shutdown was asked for."""
        await self._told.wait()
        return self._ending

    async def end_after(self, delay: int, told: trio.Event) -> None:
        """Serve for some seconds more after SIGTERM (`--delay-shutdown`)."""
        await told.wait()
        self.log(f"Sleeping {delay} seconds before terminating...")
        await trio.sleep(delay)
        self._end(Ending(0))

    async def handle(self, request: Request) -> Response:
        """Answer an HTTP request."""
        if self._override:
            request = go_http.override(request, self._override)
        match request.path:
            case "/dial":
                return await dial(self._container.network, request, self.log)
            case "/exit":
                return await self._exit(request)
            case "/shell":
                return await self._shell(request)
            case "/shutdown":
                self.log("GET /shutdown")
                self._end(Ending(0))
                raise NoAnswerError
        route = self._routes.get(request.path)
        if route is None:
            self.log("GET /")
            now = now_text(self._container.wall_clock(), trio.current_time() - self._began)
            return reply(f"NOW: {now}")
        if request.path not in {"/echo", "/header", "/redirect"}:  # they log what they were asked
            self.log(f"GET {request.path}")
        return route(request)

    @staticmethod
    def _client(request: Request) -> str:
        host, port = request.client
        return f"{host}:{port}" if host else ""

    def _header(self, request: Request) -> Response:
        key = form_value(request, "key")
        if key:
            self.log(f"GET /header?key={key}")
            return reply(request.header(key))
        self.log("GET /header")
        return reply(to_json(go_http.canonical_headers(request)))

    def _echo(self, request: Request) -> Response:
        message, code = form_value(request, "msg"), form_value(request, "code")
        self.log(f"GET /echo?msg={message}&code={code}")
        if not code:
            return reply(message)
        if not _is_integer(code):
            return reply(f"argument 'code' must be an integer or empty, got {quoted(code)}\n")
        if not 100 <= int(code) <= 999:
            self.log(f"http: panic serving {self._client(request)}: invalid WriteHeader code {code}")
            raise NoAnswerError
        return reply(message, max(200, int(code)))  # an informational one is followed by 200

    def _redirect(self, request: Request) -> Response:
        location, code = form_value(request, "location"), form_value(request, "code")
        self.log(f"{request.method} /redirect?msg={location}&code={code}")
        if code and not _is_integer(code):
            return reply(f"argument 'code' must be an integer or empty, got {quoted(code)}\n")
        return go_http.redirect(request, location, int(code or "302"))

    def _upload(self, request: Request) -> Response:
        """Refuse: a pod has no files to write to here."""
        if not request.header("content-type").startswith("multipart/form-data"):
            self.log("Unable to upload file: request Content-Type isn't multipart/form-data")
            return reply(to_json({"error": "Unable to upload file."}))
        self.log("Unable to open file for write: open /uploads/upload: read-only file system")
        return reply(to_json({"error": "Unable to open file for write"}))

    async def _exit(self, request: Request) -> Response:
        wait, timeout, code = (form_value(request, name) for name in ("wait", "timeout", "code"))
        self.log(f"GET /exit?code={code}&timeout={timeout}&wait={wait}")
        seconds: dict[str, float] = {}
        for name, said in (("timeout", timeout), ("wait", wait)):
            try:
                seconds[name] = parse_duration(said) if said else 0.0
            except ValueError:
                return reply(f"argument '{name}' must be a valid golang duration or empty, got {quoted(said)}\n")
        if code and not _is_integer(code):
            return reply(f"argument 'code' must be an integer [0-127] or empty, got {quoted(code)}\n")
        status = int(code or "0")
        waiting, allowing = format_duration(seconds["wait"]), format_duration(seconds["timeout"])
        self.log(
            f"Will begin shutdown in {waiting}, allowing {allowing} for connections to close, "
            f"then will exit with {status}"
        )
        await trio.sleep(max(0.0, seconds["wait"]))
        self._end(Ending(status & 0xFF, seconds["timeout"]))
        if not seconds["timeout"]:
            raise NoAnswerError  # the process is gone before it could answer
        return reply()

    def _end(self, ending: Ending) -> None:
        if not self._told.is_set():
            self._ending = ending
            self._told.set()

    async def _shell(self, request: Request) -> Response:
        line = form_value(request, "shellCommand") or form_value(request, "cmd")
        self.log(f"GET /shell?cmd={line}")
        printed = list[str]()
        status = await run_shell(child_invocation(self._container, ("/bin/sh", "-c", line), printed.append))
        answer = {"error": f"exit status {status}"} if status else {}
        if printed:
            answer["output"] = "".join(printed)
        return reply(to_json(answer))

    def answer(self, datagram: Datagram) -> bytes | None:
        """Answer a datagram."""
        client = f"{datagram.source[0]}:{datagram.source[1]}"
        return self._answer(datagram.payload.decode("utf-8", "replace").strip().lower(), client, "UDP", "udp")

    def answer_sctp(self, said: str, client: str) -> bytes | None:
        """Answer an SCTP client."""
        return self._answer(said, client, "SCTP", "SCTP")

    def _answer(self, said: str, client: str, protocol: str, logged: str) -> bytes | None:
        if said == "hostname":
            self.log(f"Sending {logged} hostName response")
            return self._container.pod_name.encode()
        if said.startswith("echo "):
            words = said.partition(" ")[2]
            self.log(f"Echoing {words} to {protocol} client {client}")
            return words.encode()
        if said == "clientip":
            self.log(f"Sending clientip back to {protocol} client {client}")
            return client.encode()
        if said:
            self.log(f"Unknown {protocol} command received from {client}: {said}")
        return None


def _is_integer(text: str) -> bool:
    digits = text[1:] if text[:1] in {"+", "-"} else text
    return digits.isascii() and digits.isdigit()
