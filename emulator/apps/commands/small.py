"""Commands that print one thing: basename, dirname, id, whoami, uname, nproc, rev, which, tty, realpath."""

from __future__ import annotations

import posixpath
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from emulator.apps import commands
from emulator.apps.environment import Invocation
from emulator.apps.inputs import TextLines, files_of, path_of
from emulator.apps.options import UsageError, parse

_MACHINE = {
    "s": "Linux", "n": "", "r": "6.18.0", "v": "#1 SMP", "m": "x86_64", "o": "GNU/Linux",
}  # fmt: skip


async def main(invocation: Invocation) -> int:
    """Run one of them."""
    name = invocation.argv[0].rpartition("/")[2]
    try:
        return await _COMMANDS[name](invocation)
    except UsageError as error:
        invocation.write_error(f"{name}: {error}\nTry '{name} --help' for more information.\n")
        return 1


async def _basename(invocation: Invocation) -> int:
    options = parse(invocation.argv[1:], "as:")
    operands = list(options.operands)
    if not operands:
        raise UsageError("missing operand")
    suffix = options.get("s")
    if len(operands) == 2 and not {"a", "s"} & {name for name, _ in options}:
        suffix = operands.pop()
    for operand in operands:
        base = operand.rstrip("/").rpartition("/")[2] or ("/" if operand.startswith("/") else "")
        invocation.write((base.removesuffix(suffix) if base != suffix else base) + "\n")
    return 0


async def _dirname(invocation: Invocation) -> int:
    if len(invocation.argv) < 2:
        raise UsageError("missing operand")
    for operand in invocation.argv[1:]:
        invocation.write((posixpath.dirname(operand.rstrip("/") or operand) or ".") + "\n")
    return 0


async def _id(invocation: Invocation) -> int:
    options = parse(invocation.argv[1:], "ugGnr")
    if "n" in options:
        invocation.write("root\n")
    elif {"u", "g", "G"} & {name for name, _ in options}:
        invocation.write("0\n")
    else:
        invocation.write("uid=0(root) gid=0(root) groups=0(root)\n")
    return 0


async def _whoami(invocation: Invocation) -> int:
    invocation.write("root\n")
    return 0


async def _uname(invocation: Invocation) -> int:
    options = parse(invocation.argv[1:], "asnrvmo")
    chosen = [letter for letter in _MACHINE if letter in options or "a" in options] or ["s"]
    invocation.write(" ".join(_MACHINE[letter] or invocation.hostname for letter in chosen) + "\n")
    return 0


async def _nproc(invocation: Invocation) -> int:
    invocation.write("1\n")  # a pod's programs are tasks of one process
    return 0


async def _rev(invocation: Invocation) -> int:
    for name in invocation.argv[1:] or ("-",):
        try:
            async for line in TextLines(invocation, name):
                await invocation.copy(f"{line[::-1]}\n".encode("utf-8", "surrogateescape"))
        except OSError as error:
            invocation.write_error(f"rev: cannot open {name}: {error.strerror}\n")
            return 1
    return 0


async def _which(invocation: Invocation) -> int:
    missing = 0
    for name in invocation.argv[1:]:
        if "/" not in name and commands.find(name) is not None:
            invocation.write(f"/usr/bin/{name}\n")
        else:
            missing = 1
    return missing


async def _tty(invocation: Invocation) -> int:
    invocation.write("/dev/pts/0\n" if invocation.terminal else "not a tty\n")
    return int(not invocation.terminal)


async def _realpath(invocation: Invocation) -> int:
    status = 0
    for name in [word for word in invocation.argv[1:] if not word.startswith("-")]:
        path = path_of(invocation, name)
        if await files_of(invocation).status(posixpath.dirname(path)) is None:
            invocation.write_error(f"{invocation.argv[0]}: {name}: No such file or directory\n")
            status = 1
        else:
            invocation.write(f"{path}\n")
    return status


_COMMANDS: Mapping[str, Callable[[Invocation], Awaitable[int]]] = MappingProxyType(
    {
        "basename": _basename,
        "dirname": _dirname,
        "id": _id,
        "nproc": _nproc,
        "readlink": _realpath,
        "realpath": _realpath,
        "rev": _rev,
        "tty": _tty,
        "uname": _uname,
        "which": _which,
        "whoami": _whoami,
    }
)
