"""`emulator exec`: a command in a pod or on a node; the command runs there, here only its bytes pass."""

from __future__ import annotations

import os
import select
import sys

import click

from emulator.api.messages import EXEC, ControlError, ErrorCode, ExecOutput, ExecParams, ExecResult, OutputStream
from emulator.cli.client import Client, Exchange
from emulator.cli.command import command, pass_session
from emulator.cli.exit_status import INTERRUPTED
from emulator.cli.options import DEFAULT_NAMESPACE, complete_target, namespace_option
from emulator.cli.session import Session
from emulator.cli.target import find_target

EXAMPLES = """
emulator exec client -- curl -s http://web/
emulator exec client -- ping -c 3 10.96.0.1
emulator exec deploy/web -- ip addr
emulator exec node/node-a -- iptables-save -t nat
echo hello | emulator exec client -- nc -u -w 1 web 8081
"""

_STDIN = 0
_CHUNK = 65_536
_PATIENCE = 2.0
"""Seconds that an interrupted command has for its last words, such as ping's statistics."""


@command("exec", examples=EXAMPLES, context_settings={"allow_interspersed_args": False})
@namespace_option
@click.option("-c", "--container", default="", metavar="NAME", help="Which container, where it matters.")
@click.option("-i", "--stdin", is_flag=True, help="Pass standard input on, also where it is a terminal.")
@click.argument("target", shell_complete=complete_target)
@click.argument("words", metavar="-- COMMAND…", nargs=-1, required=True, type=click.UNPROCESSED)
@pass_session
def exec_command(
    session: Session, namespace: str | None, container: str, stdin: bool, target: str, words: tuple[str, ...]
) -> int:
    """Run a command in a pod or on a node; the exit status is the command's.

    TARGET is a pod's name, deploy/NAME or svc/NAME for one of its pods, or node/NAME. The commands are the familiar
    ones: ping, curl, nc, nslookup, ip, bridge, ss, iptables-save, conntrack, sysctl and others.
    """
    if words[0] == "--":
        words = words[1:]
    if not words:
        raise click.UsageError("which command? write it behind --")
    with session.controller() as controller:
        found = find_target(controller, target, namespace or DEFAULT_NAMESPACE)
    passes_input = _has_input(always=stdin)
    params = ExecParams(
        command=words, namespace=found.namespace, pod=found.pod, container=container, stdin=passes_input
    )
    with session.node(found.node) as client:
        return _run(client, params)


def _has_input(*, always: bool) -> bool:
    """Whether standard input is to be passed on: where it is no terminal, or the user says so."""
    try:
        os.fstat(_STDIN)
    except OSError:  # it is closed
        return False
    return always or not os.isatty(_STDIN)


def _run(client: Client, params: ExecParams) -> int:
    exchange = client.open(EXEC, params)
    try:
        _pass(client, exchange, _STDIN if params.stdin else -1)
        return exchange.result.exit_status
    except KeyboardInterrupt:
        return _interrupt(exchange)


def _pass(client: Client, exchange: Exchange[ExecOutput, ExecResult], source: int) -> None:
    """Carry input (from `source`, -1: none) and output until the command ends.

    Input waits in `pending` and not in a blocking send: a command that does not read must not hold up its output.
    """
    pending = b""
    while not exchange.ended:
        reads = [client.socket.fileno()] + ([source] if source >= 0 and not pending else [])
        readable, writable, _ = select.select(reads, [client.socket.fileno()] if pending else [], [])
        if client.socket.fileno() in readable:
            _write(exchange.receive())
        if writable:
            pending = pending[client.send_some(pending) :]
        if source in readable:
            data = os.read(source, _CHUNK)
            pending = exchange.encode_input(data or None)
            source = source if data else -1


def _write(outputs: list[ExecOutput]) -> None:
    for output in outputs:
        stream = sys.stdout if output.stream is OutputStream.STDOUT else sys.stderr
        stream.buffer.write(output.data)
        stream.buffer.flush()


def _interrupt(exchange: Exchange[ExecOutput, ExecResult]) -> int:
    """End the command there; a second Ctrl-C does not wait for its last words."""
    try:
        exchange.cancel()
        while not exchange.ended:
            _write(exchange.receive(_PATIENCE))
        return exchange.result.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED
    except ControlError as error:
        if error.code in (ErrorCode.CANCELLED, ErrorCode.UNAVAILABLE):
            return INTERRUPTED
        raise
