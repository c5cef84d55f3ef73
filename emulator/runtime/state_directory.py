"""Where a running cluster is found: the directory with its sockets, logs and store, held by one lock.

The command line reads it on every call, so nothing slow is imported here.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from emulator.errors import PodwireError

SOCKET_PATH_LIMIT = 107  # sizeof(sockaddr_un.sun_path) - 1 on Linux
SUPERVISOR = "supervisor"
CONTROLLER = "controller"
CLOUD = "cloud"
TRAFFIC = "traffic"
_LOCK = "lock"
_MADE, _FOUND = "made", "found"
_DATABASE = "store.sqlite"
_LOGS = "logs"
_DIRECTORY_MODE = 0o700
_CONNECT_TIMEOUT = 1.0


class StateDirectoryError(PodwireError):
    """A state directory that cannot be used, or a cluster that is not there; one line that says what to do."""


class Holder(NamedTuple):
    """The supervisor of a state directory, the name of its cluster, and whether it made the directory itself."""

    pid: int
    name: str
    made: bool


class StateDirectory(Struct, frozen=True):
    """The files of one cluster. Holding a value of this class says nothing about whether the cluster runs."""

    path: Path
    name: str

    def socket(self, process: str) -> Path:
        """The control socket of `supervisor`, `controller`, `cloud` or a node."""
        return self.path / f"{process}.sock"

    def log(self, process: str) -> Path:
        """The log file of one process."""
        return self.path / _LOGS / f"{process}.log"

    @property
    def database(self) -> Path:
        """The controller's store."""
        return self.path / _DATABASE

    def holder(self) -> Holder:
        """Who holds the directory, or held it last, as its lock file tells; pid 0 where nobody did."""
        try:
            pid, name, made = (self.path / _LOCK).read_text(errors="replace").split()
            return Holder(int(pid), name, made == _MADE)
        except (OSError, ValueError):
            return Holder(0, "", made=False)

    def checked(self, name: str | None) -> StateDirectory:
        """The directory with its cluster's own name. Raises StateDirectoryError where that is not `name`."""
        held = self.holder().name
        if name and held and name != held:
            raise StateDirectoryError(f'the cluster in {self.path} is "{held}", not "{name}"')
        return StateDirectory(self.path, held or self.name)

    def is_running(self) -> bool:
        """Whether a supervisor answers there."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(_CONNECT_TIMEOUT)
            try:
                probe.connect(str(self.socket(SUPERVISOR)))
            except OSError:
                return False
        return True


class StateDirectoryLock:
    """A state directory that this process made and holds; `remove()` ends both.

    The lock belongs to the open file, so a forked process that keeps it open (`fileno()`) keeps the directory held.
    """

    def __init__(self, directory: StateDirectory, descriptor: int, *, made: bool) -> None:
        self.directory = directory
        self._descriptor = descriptor
        self._made = made

    def fileno(self) -> int:
        """The descriptor that carries the lock."""
        return self._descriptor

    @property
    def made(self) -> bool:
        """Whether the directory itself was made here, and so goes with its contents."""
        return self._made

    def remove(self) -> None:
        """Remove what the cluster left, and the directory if it was made here; then let go of the lock.

        Where the lock file is no longer ours nothing is touched: who else held it has removed all, and somebody may
        have made the directory anew since.
        """
        if self._descriptor >= 0 and _is_same_file(self._descriptor, self.directory.path / _LOCK):
            empty_directory(self.directory.path)
            if self._made:
                _remove_if_empty(self.directory.path)
                if _is_default(self.directory.path):
                    _remove_if_empty(self.directory.path.parent)
        self.release()

    def release(self) -> None:
        """Close the lock without removing anything: another process holds it on."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @property
    def is_default(self) -> bool:
        """Whether the directory is where clusters are by default, whose own directory goes with the last of them."""
        return _is_default(self.directory.path)

    def reopen(self) -> int:
        """Open the lock file once more, without the lock: who waits for it there gets it when nobody has it."""
        return os.open(self.directory.path / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)

    @classmethod
    def adopt(cls, directory: StateDirectory, descriptor: int, *, made: bool) -> StateDirectoryLock:
        """Take over a lock that was handed to this process as an open descriptor."""
        return cls(directory, descriptor, made=made)


def clusters_directory(environ: Mapping[str, str]) -> Path:
    """The directory that has one directory for each cluster.

    `$XDG_RUNTIME_DIR/podwire` where that runtime directory exists and is ours, else `$XDG_STATE_HOME/podwire`, which
    is `~/.local/state/podwire` by default (XDG Base Directory Specification).
    """
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/") and _is_own_directory(Path(runtime)):
        return Path(runtime) / "podwire"
    state = environ.get("XDG_STATE_HOME", "")
    if state.startswith("/"):
        return Path(state) / "podwire"
    return Path(environ.get("HOME") or "~").expanduser() / ".local" / "state" / "podwire"


def locate(name: str, override: str | None = None, environ: Mapping[str, str] = os.environ) -> StateDirectory:
    """The state directory of the cluster `name`: `override` (`--state-dir`) itself, else the default place."""
    path = Path(override).absolute() if override else clusters_directory(environ) / name
    return StateDirectory(path, name)


def find(
    name: str | None = None, override: str | None = None, environ: Mapping[str, str] = os.environ
) -> StateDirectory:
    """The state directory of a running cluster: the named one, or the only one that runs.

    Raises StateDirectoryError if there is none, or several to choose from.
    """
    if override or name:
        directory = locate(name or Path(override or "").name, override, environ)
        if directory.is_running():
            return directory.checked(name)
        subject = f"no cluster runs in {override}" if override else f'no cluster "{name}" is running'
        raise StateDirectoryError(f"{subject}; start one with: emulator start CONFIG")
    running = list(running_clusters(environ))
    if not running:
        raise StateDirectoryError("no cluster is running; start one with: emulator start CONFIG")
    if len(running) > 1:
        names = ", ".join(directory.name for directory in running)
        raise StateDirectoryError(f"several clusters run ({names}); choose one with --cluster NAME")
    return running[0]


def running_clusters(environ: Mapping[str, str] = os.environ) -> Iterator[StateDirectory]:
    """The clusters of this user that run, by name."""
    root = clusters_directory(environ)
    try:
        names = sorted(entry.name for entry in os.scandir(root) if entry.is_dir(follow_symlinks=False))
    except OSError:
        return
    for name in names:
        directory = StateDirectory(root / name, name)
        if directory.is_running():
            yield directory


def create(directory: StateDirectory, sockets: Iterable[str] = ()) -> StateDirectoryLock:
    """Make the directory (0700) and hold it; what a dead supervisor left in it is removed first.

    `sockets` names the processes that will have a socket there. Raises StateDirectoryError if the cluster runs
    already, or if the directory cannot be made, is not ours, is open to others or has another use.
    """
    path = directory.path
    _check_socket_paths(directory, sockets)
    made = _make(path)
    try:
        _check_ownership(path)
        descriptor = _lock(directory)
    except BaseException:
        if made:
            _remove_if_empty(path)
        raise
    made = made or _is_default(path) or directory.holder().made
    lock = StateDirectoryLock(directory, descriptor, made=made)
    try:
        empty_directory(path, but=_LOCK)  # what a supervisor that was killed left behind: nobody uses it
        (path / _LOGS).mkdir(mode=_DIRECTORY_MODE)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} {directory.name} {_MADE if made else _FOUND}\n".encode(), 0)
    except OSError as error:
        try:
            lock.remove()
        except OSError:  # without a free descriptor no directory can be read: what was made here is known by name
            _remove_made(path, made=made)
        raise StateDirectoryError(f"{path}: cannot be written: {_reason(error)}") from None
    return lock


def empty_directory(path: Path, *, but: str = "") -> None:
    """Remove all that is inside, `but` one; the lock file goes last: a second start never meets half a directory."""
    for entry in sorted(os.scandir(path), key=lambda entry: entry.name == _LOCK):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        elif entry.name != but:
            os.unlink(entry.path)


def _check_socket_paths(directory: StateDirectory, sockets: Iterable[str]) -> None:
    longest = max((str(directory.socket(name)) for name in (SUPERVISOR, CONTROLLER, *sockets)), key=_length)
    if _length(longest) > SOCKET_PATH_LIMIT:
        raise StateDirectoryError(
            f"{longest}: too long for a Unix socket ({_length(longest)} bytes, at most {SOCKET_PATH_LIMIT}); "
            "choose a shorter directory with --state-dir"
        )


def _length(path: str) -> int:
    return len(os.fsencode(path))


def _make(path: Path) -> bool:
    """Make the directory and those above it. True if it was not there."""
    if path.is_symlink():
        raise StateDirectoryError(f"{path}: is a symbolic link; a state directory must be a real one")
    _check_above(path)
    try:
        path.parent.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        _make_last(path)
    except FileExistsError:
        if not path.is_dir():
            raise StateDirectoryError(f"{path}: is not a directory; choose another with --state-dir") from None
        return False
    except OSError as error:
        raise StateDirectoryError(
            f"{path}: cannot be made: {_reason(error)}; choose another with --state-dir"
        ) from None
    return True


def _check_above(path: Path) -> None:
    """Refuse links of other users on the way: they could lead elsewhere tomorrow. Root's (/var/run) and ours stay."""
    for above in reversed(path.parents):
        try:
            status = above.lstat()
        except OSError:
            return  # it is not there yet, or making it says what is wrong
        if stat.S_ISLNK(status.st_mode) and status.st_uid not in (0, os.geteuid()):
            raise StateDirectoryError(
                f"{path}: {above} is a symbolic link of another user; choose another place with --state-dir"
            )


def _make_last(path: Path) -> None:
    try:
        path.mkdir(mode=_DIRECTORY_MODE)
    except FileNotFoundError:  # the last cluster there went just now, and took the empty parent with it
        path.parent.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)
        path.mkdir(mode=_DIRECTORY_MODE)


def _check_ownership(path: Path) -> None:
    status = path.lstat()
    if status.st_uid != os.geteuid():
        raise StateDirectoryError(f"{path}: belongs to another user; choose another with --state-dir")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise StateDirectoryError(f"{path}: others can write to it; run: chmod 700 {path}")
    if stat.S_IMODE(status.st_mode) != _DIRECTORY_MODE:
        path.chmod(_DIRECTORY_MODE)


def _lock(directory: StateDirectory) -> int:
    """Open and lock the lock file, or raise with the process that holds it."""
    path = directory.path / _LOCK
    if not path.exists() and os.listdir(directory.path):
        raise StateDirectoryError(f"{directory.path}: has other files in it; choose an empty directory")
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise StateDirectoryError(f"{path}: cannot be opened: {_reason(error)}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            holder = directory.holder()
            raise StateDirectoryError(
                f'cluster "{holder.name or directory.name}" is running already (process {holder.pid or "unknown"}); '
                "end it with: emulator stop"
            ) from None
        if _is_same_file(descriptor, path):
            return descriptor
        os.close(descriptor)  # its last holder removed it while we waited


def _is_same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _is_default(path: Path) -> bool:
    """Whether the directory lies where clusters lie by default, and so never belongs to anybody else."""
    return path.parent == clusters_directory(os.environ)


def _is_own_directory(path: Path) -> bool:
    try:
        status = path.stat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()


def _remove_if_empty(path: Path) -> None:
    try:
        path.rmdir()
    except FileNotFoundError:
        return
    except OSError:
        if os.listdir(path):
            return
        raise


def _remove_made(path: Path, *, made: bool) -> None:
    with suppress(OSError):
        (path / _LOGS).rmdir()
    (path / _LOCK).unlink(missing_ok=True)
    if made:
        path.rmdir()


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
