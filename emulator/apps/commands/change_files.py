"""Commands that change files: touch, rm, mkdir, rmdir, cp, mv, chmod, mktemp."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from emulator.apps.environment import Invocation
from emulator.apps.inputs import files_of, path_of
from emulator.apps.options import Options, UsageError, parse


async def main(invocation: Invocation) -> int:
    """Run one of them. Exit status 0, or 1 where something could not be done."""
    name = invocation.argv[0].rpartition("/")[2]
    try:
        options = parse(invocation.argv[1:], _LETTERS[name], ("parents", "recursive", "force", "verbose"),
                        aliases={"parents": "p", "recursive": "r", "R": "r", "force": "f", "verbose": "v"})  # fmt: skip
        if not options.operands and not (name == "mktemp" or "f" in options):
            raise UsageError("missing file operand" if name in {"touch", "cp", "mv"} else "missing operand")
        return await _COMMANDS[name](invocation, options)
    except UsageError as error:
        invocation.write_error(f"{name}: {error}\nTry '{name} --help' for more information.\n")
        return 1


def _failed(invocation: Invocation, what: str, error: OSError) -> int:
    name = invocation.argv[0].rpartition("/")[2]
    invocation.write_error(f"{name}: {what}: {error.strerror}\n")
    return 1


async def _touch(invocation: Invocation, options: Options) -> int:
    status = 0
    for name in options.operands:
        try:
            found = await files_of(invocation).status(path_of(invocation, name))
            if found is None and "c" not in options:
                await files_of(invocation).open(path_of(invocation, name))
            elif found is not None and not found.is_folder:
                file = await files_of(invocation).open(path_of(invocation, name), append=True)
                if file is not None:
                    file.write(b"")
        except OSError as error:
            status = _failed(invocation, f"cannot touch '{name}'", error)
    return status


async def _rm(invocation: Invocation, options: Options) -> int:
    status = 0
    for name in options.operands:
        try:
            await _remove(invocation, path_of(invocation, name), recursive="r" in options)
        except FileNotFoundError as error:
            if "f" not in options:
                status = _failed(invocation, f"cannot remove '{name}'", error)
        except OSError as error:
            status = _failed(invocation, f"cannot remove '{name}'", error)
    return status


async def _remove(invocation: Invocation, path: str, *, recursive: bool) -> None:
    files = files_of(invocation)
    found = await files.status(path)
    if found is not None and found.is_folder and recursive:
        for name in await files.names(path):
            await _remove(invocation, posixpath.join(path, name), recursive=True)
        await files.remove(path, folder=True)
    else:
        await files.remove(path)


async def _mkdir(invocation: Invocation, options: Options) -> int:
    status = 0
    for name in options.operands:
        try:
            await files_of(invocation).make_folder(path_of(invocation, name), parents="p" in options)
        except OSError as error:
            status = _failed(invocation, f"cannot create directory ‘{name}’", error)
    return status


async def _rmdir(invocation: Invocation, options: Options) -> int:
    status = 0
    for name in options.operands:
        try:
            await files_of(invocation).remove(path_of(invocation, name), folder=True)
        except OSError as error:
            status = _failed(invocation, f"failed to remove '{name}'", error)
    return status


async def _copy(invocation: Invocation, options: Options) -> int:
    moves = invocation.argv[0].rpartition("/")[2] == "mv"
    *sources, target = options.operands
    if not sources:
        raise UsageError(f"missing destination file operand after '{target}'")
    files = files_of(invocation)
    into = await files.status(path_of(invocation, target))
    status = 0
    for source in sources:
        path = path_of(invocation, source)
        goal = path_of(invocation, target)
        if into is not None and into.is_folder:
            goal = posixpath.join(goal, posixpath.basename(path))
        try:
            found = await files.status(path)
            if found is not None and found.is_folder and not (moves or "r" in options or "a" in options):
                invocation.write_error(f"cp: -r not specified; omitting directory '{source}'\n")
                status = 1
                continue
            await _copy_one(invocation, path, goal)
            if moves and path != goal:
                await _remove(invocation, path, recursive=True)
        except FileNotFoundError as error:
            status = _failed(invocation, f"cannot stat '{source}'", error)
        except OSError as error:
            status = _failed(invocation, f"cannot create regular file '{target}'", error)
    return status


async def _copy_one(invocation: Invocation, source: str, goal: str) -> None:
    files = files_of(invocation)
    found = await files.status(source)
    if found is not None and found.is_folder:
        if await files.status(goal) is None:
            await files.make_folder(goal)
        for name in await files.names(source):
            await _copy_one(invocation, posixpath.join(source, name), posixpath.join(goal, name))
        return
    data = await files.read(source)
    file = await files.open(goal)
    if file is not None:
        file.write(data)
        file.mode = found.mode if found is not None else file.mode


async def _chmod(invocation: Invocation, options: Options) -> int:
    mode, *names = options.operands
    if not names:
        raise UsageError(f"missing operand after ‘{mode}’")
    status = 0
    for name in names:
        try:
            found = await files_of(invocation).status(path_of(invocation, name))
            new = _mode(mode, 0 if found is None else found.mode)
            await files_of(invocation).set_mode(path_of(invocation, name), new)
        except OSError as error:
            status = _failed(invocation, f"cannot access '{name}'", error)
    return status


def _mode(text: str, mode: int) -> int:
    """Return a mode as octal digits or words like `u+x` make it of another. UsageError."""
    if re.fullmatch(r"[0-7]{1,4}", text):
        return int(text, 8)
    for change in text.split(","):
        match = re.fullmatch(r"([ugoa]*)([-+=])([rwx]*)", change)
        if match is None:
            raise UsageError(f"invalid mode: ‘{text}’")
        who = match[1].replace("a", "ugo") or "ugo"
        bits = sum({"r": 4, "w": 2, "x": 1}[letter] for letter in set(match[3]))
        mask = sum(bits << {"u": 6, "g": 3, "o": 0}[each] for each in set(who))
        whole = sum(7 << {"u": 6, "g": 3, "o": 0}[each] for each in set(who))
        mode = {"+": mode | mask, "-": mode & ~mask, "=": mode & ~whole | mask}[match[2]]
    return mode


async def _mktemp(invocation: Invocation, options: Options) -> int:
    template = options.operands[0] if options.operands else "tmp.XXXXXXXXXX"
    folder = options.get("p") or ("" if options.operands and "t" not in options else "/tmp")
    name = re.sub("X{3,}$", lambda match: f"{invocation.network.draw(4 * len(match[0])):0{len(match[0])}x}", template)
    path = posixpath.join(folder, name)
    try:
        if "d" in options:
            await files_of(invocation).make_folder(path_of(invocation, path))
        else:
            await files_of(invocation).open(path_of(invocation, path))
    except OSError as error:
        return _failed(invocation, f"failed to create file via template ‘{template}’", error)
    invocation.write(f"{path}\n")
    return 0


_LETTERS = {
    "chmod": "rRfv", "cp": "afprRv", "mkdir": "pvm:", "mktemp": "dp:qtu", "mv": "fnv", "rm": "fiRrv", "rmdir": "pv",
    "touch": "acmd:r:t:",
}  # fmt: skip
_COMMANDS: Mapping[str, Callable[[Invocation, Options], Awaitable[int]]] = MappingProxyType(
    {
        "chmod": _chmod,
        "cp": _copy,
        "mkdir": _mkdir,
        "mktemp": _mktemp,
        "mv": _copy,
        "rm": _rm,
        "rmdir": _rmdir,
        "touch": _touch,
    }
)
