"""iperf3 as a client: it asks for a test, moves the data, and prints what both sides counted."""

from __future__ import annotations

from collections.abc import Callable

import trio
from msgspec import Struct
from msgspec.structs import replace

from emulator.apps.environment import Address, Network, TcpStream
from emulator.apps.iperf3.flow import Flow, Load, TcpFlow, UdpFlow
from emulator.apps.iperf3.measurement import SETTLE, Measurement
from emulator.apps.iperf3.protocol import (
    CONNECT,
    Control,
    Iperf3Error,
    Parameters,
    State,
    StreamResult,
    identifiers,
    make_cookie,
    results_from_json,
    results_to_json,
)
from emulator.apps.iperf3.text import Line

UDP_CONNECT_TIMEOUT = 30.0  # seconds
_FIRST_NUMBER, _STEP = 5, 2


class Outcome(Struct, frozen=True):
    """What a client's test came to: its own measurement, and what was sent and received of each stream."""

    cookie: str
    mss: int
    parameters: Parameters
    measurement: Measurement
    sent: list[Line]
    received: list[Line]
    sent_results: list[StreamResult]
    received_results: list[StreamResult]
    congestion: tuple[str, str]  # the sender's and the receiver's


class Iperf3Client(Struct, frozen=True):
    """One test of one server. `source` is the address to come from, "" for any; `write` takes its lines."""

    network: Network
    host: str
    port: int
    parameters: Parameters
    write: Callable[[str], None]
    wall_clock: Callable[[], float]
    draw: Callable[[int], int]
    every: float = 1.0
    unit: str = ""
    source: str = ""
    connect_timeout: float = float("inf")

    async def run(self, interrupted: trio.Event) -> Outcome:
        """Run the test. Iperf3Error for whatever keeps it from its end. `interrupted` ends it early, with a report."""
        cookie = make_cookie(self.draw)
        async with await self._connect() as stream:
            control = Control(stream)
            flows: list[Flow] = []
            try:
                await stream.send_all(cookie)
                return await self._test(control, cookie, flows, interrupted)
            except trio.BrokenResourceError as error:
                cause = error.__cause__
                words = cause.strerror if isinstance(cause, OSError) else "Connection reset by peer"
                raise Iperf3Error(f"unable to receive control message: {words}") from None
            finally:
                with trio.CancelScope(shield=True):
                    for flow in flows:
                        await flow.close()

    async def _connect(self) -> TcpStream:
        source: Address | None = (self.source, 0) if self.source else None
        try:
            with trio.fail_after(self.connect_timeout):
                return await self.network.open_tcp_stream(self.host, self.port, source=source)
        except trio.TooSlowError:
            raise Iperf3Error("unable to connect to server: Connection timed out") from None
        except OSError as error:
            raise Iperf3Error(f"unable to connect to server: {error.strerror or error}") from None

    async def _test(self, control: Control, cookie: bytes, flows: list[Flow], interrupted: trio.Event) -> Outcome:
        await _expect(control, State.PARAM_EXCHANGE)
        mss = control.stream.socket.mss
        parameters = self.parameters
        if parameters.udp and not parameters.length:
            parameters = replace(parameters, length=mss)
        await control.send_json(parameters.to_json())
        await _expect(control, State.CREATE_STREAMS)
        self.write(f"Connecting to host {self.host}, port {self.port}")
        if parameters.reverse:
            self.write(f"Reverse mode, remote host {self.host} is sending")
        for index, identifier in enumerate(identifiers(parameters.parallel)):
            flow = await self._open(control, parameters, identifier, _FIRST_NUMBER + _STEP * index, cookie)
            flows.append(flow)
        for flow in flows:
            ends = f"local {flow.local[0]} port {flow.local[1]} connected to {flow.remote[0]} port {flow.remote[1]}"
            self.write(f"[{flow.number:3d}] {ends}")
        await _expect(control, State.TEST_START)
        await _expect(control, State.TEST_RUNNING)
        measurement = Measurement(parameters, flows, self.every, self.unit, self.write)
        await self._measure(control, parameters, measurement, interrupted)
        theirs, congestion = await self._exchange(control, parameters, measurement)
        ours = measurement.results()
        sent, received = (theirs, ours) if parameters.reverse else (ours, theirs)
        sent_lines = measurement.lines_of(sent, sender=True)
        received_lines = measurement.lines_of(received, sender=False)
        measurement.summarize(sent_lines, received_lines)
        await control.send_state(State.IPERF_DONE)
        return Outcome(
            cookie[:-1].decode(), mss, parameters, measurement, sent_lines, received_lines, sent, received, congestion
        )

    async def _open(
        self, control: Control, parameters: Parameters, identifier: int, number: int, cookie: bytes
    ) -> Flow:
        host, port = control.stream.remote_address
        local = control.stream.local_address[0]
        sender = not parameters.reverse
        if not parameters.udp:
            try:
                stream = await self.network.open_tcp_stream(host, port, source=(local, 0))
            except OSError as error:
                raise Iperf3Error(f"unable to connect stream: {error.strerror}") from None
            await stream.send_all(cookie)
            return TcpFlow(identifier, number, stream, sender=sender)
        endpoint = self.network.open_udp(address=local)
        flow = UdpFlow(identifier, number, endpoint, (host, port), self.wall_clock, sender=sender, own=True)
        try:
            endpoint.connect((host, port))
            await endpoint.send_to(CONNECT)
            with trio.fail_after(UDP_CONNECT_TIMEOUT):
                await endpoint.receive()
        except (trio.TooSlowError, OSError) as error:
            endpoint.close()
            words = error.strerror if isinstance(error, OSError) else "Resource temporarily unavailable"
            raise Iperf3Error(f"unable to read from stream socket: {words}") from None
        except BaseException:
            endpoint.close()
            raise
        return flow

    async def _measure(
        self, control: Control, parameters: Parameters, measurement: Measurement, interrupted: trio.Event
    ) -> None:
        over = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_listen_for_trouble, control)
            nursery.start_soon(_set_after, interrupted, over)
            if not parameters.size and not parameters.blocks:
                nursery.start_soon(_set_at, measurement.began + parameters.time - 2 * SETTLE, over)
            elif parameters.reverse:
                _watch_amount(measurement, over)
            await measurement.run(over, Load(parameters), ends=not parameters.reverse)
            nursery.cancel_scope.cancel()
        await control.send_state(State.TEST_END)

    async def _exchange(
        self, control: Control, parameters: Parameters, measurement: Measurement
    ) -> tuple[list[StreamResult], tuple[str, str]]:
        await _expect(control, State.EXCHANGE_RESULTS)
        own = "" if parameters.udp else str(self.network.netns.sysctl.get("net.ipv4.tcp_congestion_control"))
        results = results_to_json(measurement.results(), sender=not parameters.reverse, congestion=own)
        await control.send_json(results)
        answer = await control.receive_json()
        await _expect(control, State.DISPLAY_RESULTS)
        other = str(answer.get("congestion_used", ""))
        return results_from_json(answer), (other, own) if parameters.reverse else (own, other)


async def _expect(control: Control, wanted: State) -> None:
    """Wait for a state. Iperf3Error for any other."""
    state = await control.receive_state()
    if state is State.ACCESS_DENIED:
        raise Iperf3Error("the server is busy running a test. try again later")
    if state is State.SERVER_TERMINATE:
        raise Iperf3Error("the server has terminated")
    if state is State.SERVER_ERROR:
        raise Iperf3Error("error from server")
    if state is not wanted:
        raise Iperf3Error("received an unknown control message")


async def _listen_for_trouble(control: Control) -> None:
    """While data move the server says nothing, unless it ends."""
    await _expect(control, State.TEST_RUNNING)


async def _set_after(event: trio.Event, target: trio.Event) -> None:
    await event.wait()
    target.set()


async def _set_at(time: float, target: trio.Event) -> None:
    await trio.sleep_until(time)
    target.set()


def _watch_amount(measurement: Measurement, over: trio.Event) -> None:
    """End a reverse test when as much has come as was asked for: it is the client that ends tests."""
    parameters = measurement.parameters
    wanted = parameters.size or parameters.blocks * parameters.length

    def look() -> None:
        if sum(flow.counts.size for flow in measurement.flows) >= wanted:
            over.set()

    for flow in measurement.flows:
        flow.on_received = look
