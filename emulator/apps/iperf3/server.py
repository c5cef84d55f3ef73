"""iperf3 as a server: one test at a time, each told in the lines that iperf3 prints."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import trio

from emulator.apps.environment import Address, Network, TcpListener, TcpStream, UdpEndpoint
from emulator.apps.iperf3.flow import Flow, Load, TcpFlow, UdpFlow
from emulator.apps.iperf3.measurement import Measurement
from emulator.apps.iperf3.protocol import (
    CONNECT,
    CONNECTED,
    COOKIE_LENGTH,
    PORT,
    Control,
    Iperf3Error,
    Parameters,
    State,
    identifiers,
    results_from_json,
    results_to_json,
)
from emulator.apps.iperf3.text import BANNER

COOKIE_TIMEOUT = 10.0  # seconds for a connection to say whose it is
SETUP_TIMEOUT = 30.0  # seconds for a client to open its streams, and to exchange results
GRACE = 120.0  # seconds beyond a test's own after which a silent client is given up
_FIRST_NUMBER = 5


class Iperf3Server:
    """A server on one port; `write` takes its lines."""

    def __init__(
        self,
        network: Network,
        write: Callable[[str], None],
        wall_clock: Callable[[], float],
        *,
        port: int = PORT,
        address: str = "0.0.0.0",
        every: float = 1.0,
        unit: str = "",
    ) -> None:
        self._network = network
        self._write = write
        self._wall_clock = wall_clock
        self._port = port
        self._address = address
        self._every = every
        self._unit = unit
        self._tests = 0
        self._cookie = b""  # of the test that runs; empty where none does
        self._streams: trio.MemorySendChannel[TcpStream] | None = None
        self._finished = trio.Event()

    async def serve(
        self, *, one_off: bool = False, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until cancelled, or one test. OSError(EADDRINUSE) where the port is taken."""
        listener = await self._network.open_tcp_listener(self._port, address=self._address)
        task_status.started()
        self._announce()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._accept, listener, nursery)
                while True:
                    await self._finished.wait()
                    if one_off:
                        nursery.cancel_scope.cancel()
                        break
                    self._finished = trio.Event()
                    self._announce()
        finally:
            with trio.CancelScope(shield=True):
                await listener.aclose()

    def _announce(self) -> None:
        self._tests += 1
        self._write(f"{BANNER}\nServer listening on {self._port} (test #{self._tests})\n{BANNER}\n")

    async def _accept(self, listener: TcpListener, nursery: trio.Nursery) -> None:
        while True:
            nursery.start_soon(self._greet, await listener.accept())

    async def _greet(self, stream: TcpStream) -> None:
        """See whose a connection is: a new test's, a stream of the one that runs, or one too many."""
        control = Control(stream)
        try:
            with trio.fail_after(COOKIE_TIMEOUT):
                cookie = await control.receive(COOKIE_LENGTH)
        except (Iperf3Error, trio.BrokenResourceError, trio.TooSlowError):
            await stream.aclose()
            return
        if self._cookie and cookie == self._cookie and self._streams is not None:
            await self._streams.send(stream)
            return
        async with stream:
            if self._cookie:
                with suppress(trio.BrokenResourceError):  # it went away
                    await control.send_state(State.ACCESS_DENIED)
                return
            self._cookie = cookie
            try:
                await self._test(control)
            except (Iperf3Error, trio.BrokenResourceError, trio.TooSlowError, OSError) as error:
                known = isinstance(error, Iperf3Error)
                words = str(error) if known else "the client has unexpectedly closed the connection"
                self._write(f"iperf3: error - {words}\n")
            finally:
                self._cookie, self._streams = b"", None
                self._finished.set()

    async def _test(self, control: Control) -> None:
        host, port = control.stream.remote_address
        self._write(f"Accepted connection from {host}, port {port}\n")
        with trio.fail_after(SETUP_TIMEOUT):
            await control.send_state(State.PARAM_EXCHANGE)
            parameters = Parameters.from_json(await control.receive_json())
            self._streams, streams = trio.open_memory_channel[TcpStream](parameters.parallel)
            endpoint = self._network.open_udp(self._port, address=self._address) if parameters.udp else None
        flows: list[Flow] = []
        own = control.stream.local_address[0]
        try:
            with trio.fail_after(SETUP_TIMEOUT):
                await control.send_state(State.CREATE_STREAMS)
                for index, identifier in enumerate(identifiers(parameters.parallel)):
                    if endpoint is not None:
                        flow = await self._udp_flow(identifier, index, endpoint, flows, sender=parameters.reverse)
                    else:
                        number = _FIRST_NUMBER + (2 * index + 1 if index else 0)
                        flow = TcpFlow(identifier, number, await streams.receive(), sender=parameters.reverse)
                    flows.append(flow)
                    ends = f"local {own} port {self._port} connected to {flow.remote[0]} port {flow.remote[1]}"
                    self._write(f"[{flow.number:3d}] {ends}\n")
            await self._measure(control, parameters, flows, endpoint)
        finally:
            with trio.CancelScope(shield=True):
                for flow in flows:
                    await flow.close()
            if endpoint is not None:
                endpoint.close()

    async def _udp_flow(
        self, identifier: int, index: int, endpoint: UdpEndpoint, before: list[Flow], *, sender: bool
    ) -> Flow:
        """Wait for the first datagram of another stream, and answer it."""
        known = {flow.remote for flow in before}
        while True:
            datagram = await endpoint.receive()
            if datagram.source in known or datagram.payload[:4] != CONNECT:
                continue
            await endpoint.send_to(CONNECTED, datagram.source)
            remote = datagram.source
            now = self._wall_clock
            return UdpFlow(identifier, _FIRST_NUMBER + index, endpoint, remote, now, sender=sender, own=False)

    async def _measure(
        self, control: Control, parameters: Parameters, flows: list[Flow], endpoint: UdpEndpoint | None
    ) -> None:
        over = trio.Event()
        measurement = Measurement(parameters, flows, self._every, self._unit, lambda line: self._write(f"{line}\n"))
        await control.send_state(State.TEST_START)
        await control.send_state(State.TEST_RUNNING)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_wait_for_end, control, over)
            if endpoint is not None and not parameters.reverse:
                nursery.start_soon(_share_out, endpoint, flows)
            with trio.fail_after(GRACE + (parameters.time or float("inf"))):
                await measurement.run(over, Load(parameters), ends=False)
            nursery.cancel_scope.cancel()
        await self._finish(control, parameters, measurement)

    async def _finish(self, control: Control, parameters: Parameters, measurement: Measurement) -> None:
        sender = parameters.reverse
        congestion = "" if parameters.udp else _congestion(self._network)
        with trio.fail_after(SETUP_TIMEOUT):
            await control.send_state(State.EXCHANGE_RESULTS)
            results_from_json(await control.receive_json())
            results = measurement.results()
            await control.send_json(results_to_json(results, sender=sender, congestion=congestion))
            await control.send_state(State.DISPLAY_RESULTS)
            lines = measurement.lines_of(results, sender=sender)
            measurement.summarize(lines if sender else [], [] if sender else lines)
            with suppress(Iperf3Error):  # a client that hangs up has what it wanted, too
                await control.receive_state()


async def _wait_for_end(control: Control, over: trio.Event) -> None:
    """Wait for the client to say that the test is over. Iperf3Error for anything else it says."""
    state = await control.receive_state()
    if state is State.CLIENT_TERMINATE:
        raise Iperf3Error("the client has terminated")
    if state is not State.TEST_END:
        raise Iperf3Error("received an unknown control message")
    over.set()


async def _share_out(endpoint: UdpEndpoint, flows: list[Flow]) -> None:
    """Give each datagram to its stream: one socket serves all of a test."""
    by_address: dict[Address, UdpFlow] = {flow.remote: flow for flow in flows if isinstance(flow, UdpFlow)}
    while True:
        datagram = await endpoint.receive()
        flow = by_address.get(datagram.source)
        if flow is not None and datagram.payload[:4] != CONNECT:
            flow.take(datagram.payload)


def _congestion(network: Network) -> str:
    return str(network.netns.sysctl.get("net.ipv4.tcp_congestion_control"))
