"""Sends the one packet that `emulator trace` follows, with a real socket of the source's namespace."""

from __future__ import annotations

import errno
import os

import trio

from emulator.api.messages import ControlError, ErrorCode, TraceOutcome, TraceStartResult
from emulator.apps.environment import ResolveError
from emulator.kernel.socket.error import SocketError
from emulator.kernel.trace import Trace
from emulator.packet.icmp import error_name
from emulator.runtime.sockets.network import NetnsNetwork

_PAYLOAD = b"podwire trace"
_REFUSALS = frozenset({errno.ECONNREFUSED, errno.ECONNRESET})


async def probe(
    network: NetnsNetwork, trace: Trace, protocol: str, destination: str, port: int, patience: float
) -> TraceStartResult:
    """Send a traced SYN, datagram or echo request to a name or address; tell what came back within `patience` s.

    Raises ControlError for parameters that make no packet.
    """
    if protocol not in _PROBES:
        raise ControlError(ErrorCode.INVALID, f'protocol "{protocol}": must be tcp, udp or icmp')
    if protocol != "icmp" and not 1 <= port <= 65_535:
        raise ControlError(ErrorCode.INVALID, f"port {port}: must be between 1 and 65535 for {protocol}")
    try:
        address = (await network.resolve(destination))[0]
    except ResolveError as error:
        return TraceStartResult(outcome=TraceOutcome.FAILED, address="", message=str(error))
    outcome, message = TraceOutcome.TIMEOUT, f"no answer within {patience:g} s"
    with trio.move_on_after(patience):
        try:
            outcome, message = await _PROBES[protocol](network, trace, address, port)
        except OSError as error:
            outcome, message = _failure(error)
    return TraceStartResult(outcome=outcome, address=address, message=message)


async def _probe_tcp(network: NetnsNetwork, trace: Trace, address: str, port: int) -> tuple[TraceOutcome, str]:
    stream = await network.open_tcp_stream(address, port, trace=trace)
    stream.abort()
    return TraceOutcome.REPLIED, "the connection was accepted"


async def _probe_udp(network: NetnsNetwork, trace: Trace, address: str, port: int) -> tuple[TraceOutcome, str]:
    with network.open_udp() as endpoint:
        endpoint.connect((address, port))
        await endpoint.send_to(_PAYLOAD, trace=trace)
        await endpoint.wait_readable()
        if endpoint.socket.errors:  # also those that a program is told of by IP_RECVERR only, as of a host unreachable
            return TraceOutcome.REFUSED, _reported(endpoint.socket.errors[0])
        reply = await endpoint.receive()
    return TraceOutcome.REPLIED, f"{len(reply.payload)} bytes came back"


async def _probe_icmp(network: NetnsNetwork, trace: Trace, address: str, _port: int) -> tuple[TraceOutcome, str]:
    with network.open_ping() as endpoint:
        endpoint.send_echo(address, 1, _PAYLOAD, trace=trace)
        reply = await endpoint.receive()
    if reply.error is not None:
        return TraceOutcome.REFUSED, _reported(reply.error)
    return TraceOutcome.REPLIED, f"{reply.source} answered"


_PROBES = {"tcp": _probe_tcp, "udp": _probe_udp, "icmp": _probe_icmp}


def _reported(error: SocketError) -> str:
    return f"{os.strerror(error.errno)}: ICMP {error_name(error.type, error.code)} from {error.offender}"


def _failure(error: OSError) -> tuple[TraceOutcome, str]:
    refused = error.errno in _REFUSALS or error.errno in {errno.EHOSTUNREACH, errno.ENETUNREACH}
    return (TraceOutcome.REFUSED if refused else TraceOutcome.FAILED), error.strerror or str(error)
