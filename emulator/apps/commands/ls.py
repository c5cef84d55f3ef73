"""ls: what is in a folder."""

from __future__ import annotations

import posixpath
import stat
from datetime import UTC, datetime

from emulator.apps.environment import Invocation
from emulator.apps.filesystem import Status
from emulator.apps.inputs import files_of, path_of
from emulator.apps.options import Options, UsageError, parse

_FAILED = 2
_Entry = tuple[str, Status]


async def main(invocation: Invocation) -> int:
    """Run `ls [-1AadFhlrSt] [FILE]...`; one name a line, as coreutils prints to a pipe. Exit status 0, or 2."""
    try:
        options = parse(invocation.argv[1:], "1AadFhlRrStnp", ("all", "almost-all", "color=", "colour="),
                        aliases={"all": "a", "almost-all": "A"})  # fmt: skip
    except UsageError as error:
        invocation.write_error(f"ls: {error}\nTry 'ls --help' for more information.\n")
        return _FAILED
    status = 0
    files: list[_Entry] = []
    folders: list[_Entry] = []
    for name in sorted(options.operands) or ["."]:
        found = await files_of(invocation).status(path_of(invocation, name))
        if found is None:
            invocation.write_error(f"ls: cannot access '{name}': No such file or directory\n")
            status = _FAILED
        elif found.is_folder and "d" not in options:
            folders.append((name, found))
        else:
            files.append((name, found))
    _print(invocation, options, files)
    for index, (name, found) in enumerate(folders):
        if len(options.operands) > 1:
            invocation.write(("\n" if index or files else "") + f"{name}:\n")
        await _list_folder(invocation, options, name, found)
    return status


async def _list_folder(invocation: Invocation, options: Options, name: str, own: Status) -> None:
    files, path = files_of(invocation), path_of(invocation, name)
    entries: list[_Entry] = [(".", own), ("..", own)] if "a" in options else []
    for each in await files.names(path):
        status = await files.status(posixpath.join(path, each))
        if status is not None and ("a" in options or "A" in options or not each.startswith(".")):
            entries.append((each, status))
    if "l" in options:
        invocation.write(f"total {sum(-(-status.size // 4096) * 4 for _, status in entries)}\n")
    _print(invocation, options, entries)


def _print(invocation: Invocation, options: Options, entries: list[_Entry]) -> None:
    if "t" in options:
        entries.sort(key=lambda entry: -entry[1].modified)
    if "S" in options:
        entries.sort(key=lambda entry: -entry[1].size)
    if "r" in options:
        entries.reverse()
    width = max((len(str(status.size)) for _, status in entries), default=1)
    for name, status in entries:
        mark = "/" if status.is_folder and ("F" in options or "p" in options) else ""
        before = ""
        if "l" in options:
            kind = stat.S_IFDIR if status.is_folder else stat.S_IFCHR if status.is_device else stat.S_IFREG
            moment = datetime.fromtimestamp(status.modified, UTC)
            when = f"{moment:%b} {moment.day:2d} {moment:%H:%M}"
            links = 2 if status.is_folder else 1
            before = f"{stat.filemode(kind | status.mode)} {links} root root {status.size:{width}} {when} "
        invocation.write(f"{before}{name}{mark}\n")
