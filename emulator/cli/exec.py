"""`emulator exec`: a command in a pod or on a node; the command runs there, here only its bytes pass."""

from __future__ import annotations

import os
import select
import signal
import stat
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType, TracebackType
from typing import Self

import click

from emulator.api.messages import (
    EXEC,
    EXEC_INTERRUPT,
    ControlError,
    ExecInterruptParams,
    ExecOutput,
    ExecParams,
    OutputStream,
)
from emulator.cli.client import Client
from emulator.cli.command import Command, pass_session
from emulator.cli.exit_status import INTERRUPTED
from emulator.cli.options import DEFAULT_NAMESPACE, complete_target, namespace_option
from emulator.cli.session import Session
from emulator.cli.target import find_target

EXAMPLES = """
emulator exec client -- curl -s http://web/
emulator exec client -- ping -c 3 10.244.0.1
emulator exec deploy/web -- ip addr
emulator exec node/node-a -- iptables-save -t nat
emulator exec host/gateway -- conntrack -L
printf 'GET / HTTP/1.0\\r\\n\\r\\n' | emulator exec -i client -- nc web 80
emulator exec -it client -- hostname
"""

_STDIN = 0
_CHUNK = 65_536
Connect = Callable[[], Client]

_PATIENCE = 2.0
"""Seconds that an interrupted command has for its last words, such as ping's statistics."""


class ExecCommand(Command):
    """Takes its options on both sides of the target, as kubectl does; from `--` on all words are the command's."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words. Without a `--` the command begins behind the target, and its options are its own."""
        ctx.allow_interspersed_args = "--" in args
        return super().parse_args(ctx, args)


@click.command("exec", cls=ExecCommand, examples=EXAMPLES)
@namespace_option
@click.option("-c", "--container", default="", metavar="NAME", help="Which container, where it matters.")
@click.option("-i", "--stdin", is_flag=True, help="Pass standard input on; without it the command's input is empty.")
@click.option(
    "-t",
    "--tty",
    is_flag=True,
    help="Somebody types, at a terminal: a shell shows its prompt, and Ctrl-C is for what runs in it.",
)
@click.argument("target", shell_complete=complete_target)
@click.argument("words", metavar="-- COMMAND…", nargs=-1, required=True, type=click.UNPROCESSED)
@pass_session
def exec_command(
    session: Session, namespace: str | None, container: str, stdin: bool, tty: bool, target: str, words: tuple[str, ...]
) -> int:
    """Run a command in a pod, on a node or on a host outside; the exit status is the command's.

    TARGET is a pod's name, deploy/NAME or svc/NAME for one of its pods, node/NAME, or host/NAME outside the nodes
    (host/gateway too). The commands are the familiar ones: ping, curl, nc, nslookup, ip, bridge, ss, iptables,
    iptables-save, conntrack, sysctl and others.
    """
    if words[0].startswith("-"):
        raise click.UsageError(f'"{words[0]}" is no command; write options, then --, then the command')
    with session.controller() as controller:
        found = find_target(controller, target, namespace or DEFAULT_NAMESPACE)
    if tty and not os.isatty(_STDIN):
        click.echo("Unable to use a TTY - input is not a terminal or the right kind of file", err=True)
    if not stdin and _reads_input(words) and _is_given_input():
        click.echo("note: standard input is passed only with -i", err=True)
    params = ExecParams(
        command=words,
        namespace=found.namespace,
        pod=found.pod,
        container=container,
        stdin=stdin,
        key=os.urandom(16).hex(),
        tty=tty and stdin and os.isatty(_STDIN),
    )
    with session.node(found.node) as client:
        return _run(client, params, partial(session.node, found.node))


def _reads_input(words: tuple[str, ...]) -> bool:
    """Whether a command does nothing of use without standard input."""
    name, arguments = words[0].rpartition("/")[2], words[1:]
    if name == "iptables-restore":
        return not {"-h", "--help", "-V", "--version"} & {*arguments}
    if name == "ipset":
        return "restore" in arguments and not {"-f", "-file"} & {*arguments}
    if name == "ipvsadm":
        return bool({"-R", "--restore"} & {*arguments})
    if name == "nft":
        return "-" in arguments
    if name in {"ash", "bash", "dash", "sh"}:
        return not arguments
    return name == "cat" and (not arguments or "-" in arguments)


def _is_given_input() -> bool:
    """Whether standard input is a file or a pipe: not a terminal, nor /dev/null."""
    mode = os.fstat(_STDIN).st_mode
    return stat.S_ISREG(mode) or stat.S_ISFIFO(mode)


def _run(client: Client, params: ExecParams, connect: Connect) -> int:
    with _Interruptions() as interruptions:
        session = _Session(client, params, connect)
        return session.run(_STDIN if params.stdin else -1, interruptions)


class _Interruptions:
    """The first Ctrl-C as something to wait for: raised amid a frame it would cut it in two. The next one is raised."""

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)
        os.close(self.reader)
        os.close(self._writer)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.write(self._writer, b"\0")

    def take(self) -> None:
        """Take the one that made `reader` readable."""
        os.read(self.reader, 1)

    def renew(self) -> None:
        """Note the next one too, rather than raise it."""
        signal.signal(signal.SIGINT, self._note)


class _Session:
    """Carries input and output of a command until it ends.

    What is to be sent waits in `_pending` and not in a blocking send: a command that does not read must not hold up
    its output, nor Ctrl-C.
    """

    def __init__(self, client: Client, params: ExecParams, connect: Connect) -> None:
        self._client = client
        self._key = params.key
        self._connect = connect
        self._exchange = client.open(EXEC, params)
        self._pending = b""
        self._keeps_on = params.tty  # Ctrl-C ends what runs in a shell, and not the shell
        self._deadline: float | None = None

    def run(self, source: int, interruptions: _Interruptions) -> int:
        """Pass on input (from `source`, -1: none) and return the command's exit status.

        After Ctrl-C the command has some time for its last words; a second one does not wait for them.
        """
        socket = self._client.socket.fileno()
        while not self._exchange.ended:
            reads = [socket, interruptions.reader] + ([source] if source >= 0 and not self._pending else [])
            left = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
            readable, writable, _ = select.select(reads, [socket] if self._pending else [], [], left)
            if not readable and not writable:
                return INTERRUPTED
            if interruptions.reader in readable:
                interruptions.take()
                self._interrupt()
                if self._keeps_on:
                    interruptions.renew()
                else:
                    self._deadline = time.monotonic() + _PATIENCE
                    source = -1
            if socket in readable:
                _write(self._exchange.receive())
            if writable:
                self._pending = self._pending[self._client.send_some(self._pending) :]
            if source in readable:
                data = os.read(source, _CHUNK)
                self._pending = self._exchange.encode_input(data or None)
                source = source if data else -1
        return self._status()

    def _interrupt(self) -> None:
        """Press Ctrl-C by a connection of its own: in this one it would wait behind input that nobody reads."""
        with suppress(ControlError), self._connect() as other:
            other.call(EXEC_INTERRUPT, ExecInterruptParams(key=self._key), _PATIENCE)

    def _status(self) -> int:
        try:
            return self._exchange.result.exit_status
        except ControlError:
            if self._deadline is not None:
                return INTERRUPTED
            raise


def _write(outputs: list[ExecOutput]) -> None:
    for output in outputs:
        stream = sys.stdout if output.stream is OutputStream.STDOUT else sys.stderr
        stream.buffer.write(output.data)
        stream.buffer.flush()
