"""Commands that run another: env, nohup, timeout, xargs, printenv."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress

import trio
from msgspec.structs import replace

from emulator.apps import commands
from emulator.apps.durations import seconds_of
from emulator.apps.environment import Input, Invocation
from emulator.apps.options import Options, UsageError, parse

_NOT_FOUND, _TIMED_OUT, _KILLED, _TERMINATED = 127, 124, 137, 143
_BAD = {"env": 125, "timeout": 125}
_MOST_WORDS = 5_000


async def main(invocation: Invocation) -> int:
    """Run one of them; the exit status is the other command's, 127 where there is none."""
    name = invocation.argv[0].rpartition("/")[2]
    try:
        return await _COMMANDS[name](invocation)
    except UsageError as error:
        invocation.write_error(f"{name}: {error}\nTry '{name} --help' for more information.\n")
        return _BAD.get(name, 1)


async def run(invocation: Invocation, words: Sequence[str], name: str, environ: Mapping[str, str] | None = None) -> int:
    """Run a command for another, which says so where there is none."""
    command = commands.find(words[0])
    if command is None:
        form = f"‘{words[0]}’" if name in {"env", "timeout", "nohup"} else words[0]
        said = f"failed to run command {form}" if name in {"timeout", "nohup"} else form
        invocation.write_error(f"{name}: {said}: No such file or directory\n")
        return _NOT_FOUND
    return await command(
        replace(invocation, argv=tuple(words), environ=invocation.environ if environ is None else environ)
    )


async def _env(invocation: Invocation) -> int:
    options = parse(invocation.argv[1:], "iu:", ("ignore-environment", "unset="), mixed=False,
                    aliases={"ignore-environment": "i", "unset": "u"})  # fmt: skip
    environ = {} if "i" in options else dict(invocation.environ)
    for name in options.all("u"):
        environ.pop(name, None)
    words = [word for index, word in enumerate(options.operands) if index or word != "-"]
    while words and "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        environ[name] = value
    if words:
        return await run(invocation, words, "env", environ)
    for name, value in environ.items():
        invocation.write(f"{name}={value}\n")
    return 0


async def _printenv(invocation: Invocation) -> int:
    if len(invocation.argv) == 1:
        return await _env(invocation)
    found = [invocation.environ[name] for name in invocation.argv[1:] if name in invocation.environ]
    for value in found:
        invocation.write(f"{value}\n")
    return int(len(found) < len(invocation.argv) - 1)


async def _timeout(invocation: Invocation) -> int:
    options = parse(invocation.argv[1:], "k:s:t:v", ("foreground", "preserve-status", "kill-after=", "signal="),
                    mixed=False)  # fmt: skip
    operands = list(options.operands)
    text = options.get("t") or (operands.pop(0) if operands else "")  # -t is an older BusyBox's
    if not text or not operands:
        raise UsageError("missing operand")
    patience = seconds_of(text)
    if patience is None:
        raise UsageError(f"invalid time interval ‘{text}’")
    is_kill = options.get("s", options.get("signal")).upper().removeprefix("SIG") in {"KILL", "9"}
    with trio.move_on_after(patience or float("inf")):
        return await run(invocation, operands, "timeout")
    if is_kill:
        return _KILLED
    return _TERMINATED if "preserve-status" in options else _TIMED_OUT


async def _nohup(invocation: Invocation) -> int:
    words = invocation.argv[1:]
    if not words:
        raise UsageError("missing operand")
    return await run(invocation, words, "nohup")


async def _xargs(invocation: Invocation) -> int:
    options = parse(invocation.argv[1:], "0d:I:L:n:P:rt", ("no-run-if-empty", "null"), mixed=False,
                    aliases={"no-run-if-empty": "r", "null": "0"})  # fmt: skip
    data = bytearray()
    while chunk := await invocation.stdin.read():
        data += chunk
    text = data.decode("utf-8", "surrogateescape")
    words = list(options.operands) or ["echo"]
    batches = [[*words, *batch] for batch in _batches(_items(text, options), options)]
    if "I" in options:
        mark = options.get("I")
        batches = [[word.replace(mark, batch[-1]) for word in words] for batch in batches]
    status = 0
    for batch in batches:
        if "t" in options:
            invocation.write_error(" ".join(batch) + "\n")
        ended = await run(replace(invocation, stdin=_NoInput()), batch, "xargs")
        if ended == _NOT_FOUND:
            return ended
        status = 123 if ended else status
    return status


def _items(text: str, options: Options) -> list[str]:
    if "0" in options:
        return text.rstrip("\0").split("\0") if text else []
    if "d" in options:
        mark = options.get("d").replace("\\n", "\n").replace("\\t", "\t")
        return text.removesuffix(mark).split(mark) if text else []
    if "I" in options:
        return [line.strip() for line in text.split("\n") if line.strip()]
    with suppress(ValueError):
        return shlex.split(text, comments=False)
    raise UsageError("unmatched quote; by default quotes are special to xargs unless you use the -0 option")


def _batches(items: list[str], options: Options) -> list[list[str]]:
    count = options.get("n", options.get("L", "1" if "I" in options else str(_MOST_WORDS)))
    if re.fullmatch(r"[1-9][0-9]*", count) is None:
        raise UsageError(f'invalid number "{count}" for -n option')
    if not items:
        return [] if "r" in options or "I" in options else [[]]
    return [items[start : start + int(count)] for start in range(0, len(items), int(count))]


class _NoInput(Input):
    async def read(self) -> bytes:
        await trio.lowlevel.checkpoint()
        return b""


_COMMANDS = {
    "env": _env,
    "nohup": _nohup,
    "printenv": _printenv,
    "timeout": _timeout,
    "xargs": _xargs,
}
