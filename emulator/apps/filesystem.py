"""The files of a container: what the kubelet and the kernel put there, mounted volumes, and what its programs write.

Written files live in memory, `MOST` bytes of a tree at most, and go with their container; a volume's tree is shared by
the containers that mount it. Errors are OSError as Linux gives them (ENOENT, EISDIR, EROFS, ENOSPC, ...).
"""

from __future__ import annotations

import errno
import os
import posixpath
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import trio
from msgspec import Struct, field

from emulator.apps import commands
from emulator.apps.environment import Network
from emulator.apps.files import read_file

MOST = 16 << 20
_NODE = 256  # bytes that an empty file counts for, so that their number has an end too
_BLOCK = 65_536
PROGRAM_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_FOLDERS = ("/dev", "/etc", "/home", "/mnt", "/opt", "/proc", "/root", "/run", "/srv", "/sys", "/tmp", "/usr",
            "/var/lib", "/var/log", "/var/run", "/var/tmp", *PROGRAM_FOLDERS)  # fmt: skip
_MADE = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf")
_DEVICES = frozenset({"/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"})


class Status(Struct, frozen=True):
    """What `stat` says: a folder, a file or a device, its size in bytes, its permissions, when it was written."""

    is_folder: bool
    size: int = 0
    mode: int = 0o644
    modified: float = 0.0
    is_device: bool = False


class File(Struct):
    """A file that was written."""

    tree: Tree
    mode: int = 0o644
    modified: float = 0.0
    data: bytearray = field(default_factory=bytearray)

    def write(self, data: bytes) -> None:
        """Add to its end. OSError(ENOSPC)."""
        self.tree.take(len(data))
        self.data += data
        self.modified = self.tree.clock()

    def clear(self) -> None:
        """Empty it."""
        self.tree.take(-len(self.data))
        self.data.clear()
        self.modified = self.tree.clock()


class Folder(dict[str, "File | Folder"]):
    """Names and what they are of."""

    modified = 0.0


class Tree:
    """A file system that can be written."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.root = Folder()
        self._used = 0

    def take(self, size: int) -> None:
        """Count bytes. OSError(ENOSPC)."""
        if self._used + size > MOST:
            raise _error(errno.ENOSPC, "")
        self._used += size

    def find(self, path: str) -> File | Folder | None:
        """Return what a path is of. OSError(ENOTDIR) where something in it is a file."""
        found: File | Folder = self.root
        for name in _names(path):
            if not isinstance(found, Folder):
                raise _error(errno.ENOTDIR, path)
            inner = found.get(name)
            if inner is None:
                return None
            found = inner
        return found

    def parent(self, path: str) -> Folder:
        """Return the folder that a path's last name is in. OSError(ENOENT, ENOTDIR)."""
        found = self.find(posixpath.dirname(path))
        if found is None:
            raise _error(errno.ENOENT, path)
        if not isinstance(found, Folder):
            raise _error(errno.ENOTDIR, path)
        return found

    def make_folder(self, path: str) -> None:
        """Make a folder. OSError(EEXIST, ENOENT)."""
        parent, name = self.parent(path), posixpath.basename(path)
        if name in parent:
            raise _error(errno.EEXIST, path)
        self.take(_NODE)
        parent[name] = Folder()
        parent[name].modified = self.clock()

    def make_folders(self, path: str) -> None:
        """Make a folder and those above it, where they are missing."""
        at = ""
        for name in _names(path):
            at += f"/{name}"
            if self.find(at) is None:
                self.make_folder(at)

    def open(self, path: str, *, append: bool = False) -> File:
        """Return a file to write to, made or emptied. OSError(EISDIR, ENOENT, ENOTDIR)."""
        found = self.find(path)
        if isinstance(found, Folder):
            raise _error(errno.EISDIR, path)
        if found is None:
            parent = self.parent(path)
            self.take(_NODE)
            found = parent[posixpath.basename(path)] = File(self, modified=self.clock())
        elif not append:
            found.clear()
        return found

    def remove(self, path: str, *, folder: bool = False) -> None:
        """Remove a file, or an empty folder. OSError(EISDIR, ENOTDIR, ENOTEMPTY, ENOENT)."""
        found = self.find(path)
        if found is None:
            raise _error(errno.ENOENT, path)
        if isinstance(found, Folder) != folder:
            raise _error(errno.EISDIR if not folder else errno.ENOTDIR, path)
        if isinstance(found, Folder) and found:
            raise _error(errno.ENOTEMPTY, path)
        self.take(-_NODE - (len(found.data) if isinstance(found, File) else 0))
        del self.parent(path)[posixpath.basename(path)]


class Volume(Protocol):
    """A volume that can be read: of a ConfigMap, a Secret, of the pod's own fields."""

    async def contents(self) -> Mapping[str, bytes]:
        """Return the files by their path under the mount."""


class Mount(Struct, frozen=True):
    """A volume under a path; with `part` only that file or folder of it. A Tree can be written."""

    path: str
    volume: Volume | Tree
    part: str = ""
    mode: int = 0o644
    read_only: bool = False


class Files:
    """All files that one container sees. Paths are absolute."""

    def __init__(
        self,
        network: Network,
        hostname: str,
        mounts: Sequence[Mount] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._network = network
        self._hostname = hostname
        self._mounts = sorted(mounts, key=lambda mount: len(mount.path), reverse=True)
        self._clock = clock
        self._made: Tree | None = None

    @property
    def _tree(self) -> Tree:
        """What is not mounted; made when somebody looks, since most containers' files are never looked at."""
        if self._made is None:
            self._made = Tree(self._clock)
            for path in _FOLDERS:
                self._made.make_folders(path)
            for mount in self._mounts:
                self._made.make_folders(mount.path if not mount.part else posixpath.dirname(mount.path))
                if isinstance(mount.volume, Tree) and mount.part:
                    mount.volume.make_folders(mount.part)
        return self._made

    def _place(self, path: str) -> tuple[Mount | None, str]:
        """Return the mount that a path is under, and its path inside."""
        path = posixpath.normpath(path)
        for mount in self._mounts:
            if path == mount.path or path.startswith(mount.path.rstrip("/") + "/"):
                inner = path[len(mount.path) :].strip("/")
                return mount, f"/{posixpath.join(mount.part, inner).strip('/')}"
        return None, path

    async def status(self, path: str) -> Status | None:
        """Return what a path is of, None if there is nothing."""
        if path.endswith("/") and path.strip("/"):
            status = await self.status(path.rstrip("/"))
            return status if status is None or status.is_folder else None
        mount, inner = self._place(path)
        if mount is not None and not isinstance(mount.volume, Tree):
            return _status_in(await mount.volume.contents(), inner.strip("/"), mount.mode)
        await trio.lowlevel.checkpoint()
        tree = self._tree if mount is None or not isinstance(mount.volume, Tree) else mount.volume
        try:
            found = tree.find(inner)
        except NotADirectoryError:
            return None
        if isinstance(found, Folder):
            return Status(is_folder=True, mode=0o755 if inner != "/tmp" else 0o1777, modified=found.modified, size=4096)
        if found is not None:
            return Status(is_folder=False, size=len(found.data), mode=found.mode, modified=found.modified)
        return self._made_status(inner) if mount is None else None

    def _made_status(self, path: str) -> Status | None:
        if path in _DEVICES:
            return Status(is_folder=False, mode=0o666, is_device=True)
        if posixpath.dirname(path) in PROGRAM_FOLDERS and commands.find(path) is not None:
            return Status(is_folder=False, mode=0o755)
        text = read_file(self._network, self._hostname, path)
        return None if text is None else Status(is_folder=False, size=len(text))

    async def read(self, path: str) -> bytes:
        """Return what is in a file. OSError(ENOENT, EISDIR)."""
        status = await self.status(path)
        if status is None:
            raise _error(errno.ENOENT, path)
        if status.is_folder:
            raise _error(errno.EISDIR, path)
        if status.is_device:
            return b"" if path.endswith("null") else self.random(path, _BLOCK)
        mount, inner = self._place(path)
        if mount is not None and not isinstance(mount.volume, Tree):
            return (await mount.volume.contents())[inner.strip("/")]
        tree = mount.volume if mount is not None and isinstance(mount.volume, Tree) else self._tree
        found = tree.find(inner)
        if isinstance(found, File):
            return bytes(found.data)
        return (read_file(self._network, self._hostname, inner) or "").encode("utf-8", "surrogateescape")

    def random(self, path: str, size: int) -> bytes:
        """Return some bytes of /dev/zero, or of /dev/urandom from the machine's own source."""
        return bytes(size) if path.endswith("zero") else self._network.draw(8 * size).to_bytes(size, "little")

    async def names(self, path: str) -> list[str]:
        """Return the names in a folder, sorted. OSError(ENOENT, ENOTDIR)."""
        status = await self.status(path)
        if status is None:
            raise _error(errno.ENOENT, path)
        if not status.is_folder:
            raise _error(errno.ENOTDIR, path)
        mount, inner = self._place(path)
        if mount is not None and not isinstance(mount.volume, Tree):
            under = inner.strip("/") + "/" if inner.strip("/") else ""
            return sorted(
                {
                    name[len(under) :].partition("/")[0]
                    for name in await mount.volume.contents()
                    if name.startswith(under)
                }
            )
        tree = mount.volume if mount is not None and isinstance(mount.volume, Tree) else self._tree
        found = tree.find(inner)
        names = set(found) if isinstance(found, Folder) else set()
        if mount is None:
            names |= {posixpath.basename(made) for made in _MADE if posixpath.dirname(made) == inner}
        if mount is None and inner == "/usr/bin":
            names |= set(commands.MODULES)
        folder = posixpath.normpath(path)
        names |= {posixpath.basename(each.path) for each in self._mounts if posixpath.dirname(each.path) == folder}
        return sorted(names)

    async def open(self, path: str, *, append: bool = False) -> File | None:
        """Return a file to write to; None for a device, which takes all. OSError(ENOENT, EISDIR, EROFS, EACCES)."""
        await trio.lowlevel.checkpoint()
        if path in _DEVICES:
            return None
        tree, inner = self._writable(path)
        if tree is self._tree and inner in _MADE and tree.find(inner) is None:
            raise _error(errno.EACCES, path)  # they are made of the pod's network
        return tree.open(inner, append=append)

    async def make_folder(self, path: str, *, parents: bool = False) -> None:
        """Make a folder, with `parents` those above it too. OSError(EEXIST, ENOENT, EROFS)."""
        await trio.lowlevel.checkpoint()
        tree, inner = self._writable(path)
        if parents:
            tree.make_folders(inner)
        else:
            tree.make_folder(inner)

    async def remove(self, path: str, *, folder: bool = False) -> None:
        """Remove a file or an empty folder. OSError."""
        if await self.status(path) is None:
            raise _error(errno.ENOENT, path)
        if any(mount.path == posixpath.normpath(path) for mount in self._mounts):
            raise _error(errno.EBUSY, path)
        tree, inner = self._writable(path)
        if tree.find(inner) is None:
            raise _error(errno.EACCES, path)
        tree.remove(inner, folder=folder)

    async def set_mode(self, path: str, mode: int) -> None:
        """Change a file's permissions, which this program reads for scripts only. OSError."""
        await trio.lowlevel.checkpoint()
        tree, inner = self._writable(path)
        found = tree.find(inner)
        if found is None:
            raise _error(errno.ENOENT, path)
        if isinstance(found, File):
            found.mode = mode

    def _writable(self, path: str) -> tuple[Tree, str]:
        mount, inner = self._place(path)
        if mount is None:
            return self._tree, inner
        if mount.read_only or not isinstance(mount.volume, Tree):
            raise _error(errno.EROFS, path)
        return mount.volume, inner


def _status_in(contents: Mapping[str, bytes], path: str, mode: int) -> Status | None:
    if path in contents:
        return Status(is_folder=False, size=len(contents[path]), mode=mode)
    if not path or any(name.startswith(f"{path}/") for name in contents):
        return Status(is_folder=True, mode=0o755)
    return None


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name]


def _error(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path or None)
