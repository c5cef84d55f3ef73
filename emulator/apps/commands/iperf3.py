"""iperf3 3.12: `-c` measures the way to a server, `-s` is one."""

from __future__ import annotations

import trio

from emulator.apps.commands.iperf3_usage import SHORT_USAGE, USAGE, VERSION_TEXT
from emulator.apps.environment import Invocation, ResolveError
from emulator.apps.iperf3 import command_line
from emulator.apps.iperf3.client import Iperf3Client
from emulator.apps.iperf3.protocol import Iperf3Error
from emulator.apps.iperf3.record import to_json
from emulator.apps.options import Options, UsageError


async def main(invocation: Invocation) -> int:
    """Run `iperf3`. Exit status 0, or 1 for any failure."""
    try:
        options = command_line.read(invocation.argv[1:])
    except UsageError as error:
        invocation.write_error((f"iperf3: {error}\n" if str(error) else "") + SHORT_USAGE)
        return 1
    if "h" in options or "v" in options:
        invocation.write(USAGE if "h" in options else VERSION_TEXT)
        return 0
    try:
        run = _serve if command_line.is_server(options) else _measure
        return await run(invocation, options)
    except UsageError as error:
        invocation.write_error(f"iperf3: parameter error - {error}\n\n{SHORT_USAGE}")
        return 1


async def _serve(invocation: Invocation, options: Options) -> int:
    server = command_line.server_of(options, invocation.network, invocation.write, invocation.wall_clock)
    try:
        await server.serve(one_off="1" in options)
    except OSError as error:
        invocation.write_error(f"iperf3: error - unable to start listener for connections: {error.strerror}\n")
        return 1
    return 0


async def _measure(invocation: Invocation, options: Options) -> int:
    as_json = "J" in options
    parameters = command_line.parameters_of(options)
    began = invocation.wall_clock()
    client = Iperf3Client(
        invocation.network,
        options.get("c"),
        command_line.port_of(options),
        parameters,
        (lambda _: None) if as_json else lambda line: invocation.write(f"{line}\n"),
        invocation.wall_clock,
        invocation.network.draw,
        every=command_line.interval_of(options),
        unit=command_line.unit_of(options),
        source=options.get("B"),
        connect_timeout=command_line.patience_of(options),
    )
    interrupted = trio.Event()
    invocation.on_interrupt(interrupted.set)
    try:
        outcome = await client.run(interrupted)
    except ResolveError as error:
        return _fail(invocation, f"unable to connect to server: {error.reason}", as_json=as_json)
    except Iperf3Error as error:
        return _fail(invocation, str(error), as_json=as_json)
    if as_json:
        invocation.write(to_json(client, outcome, began))
    elif interrupted.is_set():
        invocation.write_error("iperf3: interrupt - the client has terminated\n")
        return 1
    else:
        invocation.write("\niperf Done.\n")
    return 0


def _fail(invocation: Invocation, message: str, *, as_json: bool) -> int:
    if as_json:
        invocation.write(f'{{\n\t"start":\t{{}},\n\t"error":\t"error - {message}"\n}}\n')
    else:
        invocation.write_error(f"iperf3: error - {message}\n")
    return 1
