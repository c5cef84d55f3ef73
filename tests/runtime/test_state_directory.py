import errno
import os
import socket
from pathlib import Path

import pytest

from emulator.runtime import state_directory
from emulator.runtime.state_directory import StateDirectory, StateDirectoryError, StateDirectoryLock


@pytest.fixture
def directory(tmp_path: Path) -> StateDirectory:
    return StateDirectory(tmp_path / "c", "c")


def test_default_place_is_the_runtime_directory_when_it_is_ours(tmp_path: Path) -> None:
    environ = {"XDG_RUNTIME_DIR": str(tmp_path), "HOME": "/home/x"}
    assert state_directory.locate("lab", None, environ).path == tmp_path / "podwire" / "lab"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HOME": "/home/x"}, "/home/x/.local/state/podwire/lab"),
        ({"HOME": "/home/x", "XDG_STATE_HOME": "/state"}, "/state/podwire/lab"),
        ({"HOME": "/home/x", "XDG_RUNTIME_DIR": "/nowhere"}, "/home/x/.local/state/podwire/lab"),
    ],
)
def test_default_place_is_else_the_state_home(environ: dict[str, str], expected: str) -> None:
    assert str(state_directory.locate("lab", None, environ).path) == expected


def test_override_is_the_directory_itself(tmp_path: Path) -> None:
    assert state_directory.locate("lab", str(tmp_path), {}).path == tmp_path


def test_create_makes_a_private_directory_and_remove_leaves_nothing(directory: StateDirectory) -> None:
    lock = state_directory.create(directory)
    assert directory.path.stat().st_mode & 0o777 == 0o700
    directory.log("node-a").write_text("x")
    directory.database.write_text("x")
    lock.remove()
    assert not directory.path.exists()


def test_second_start_is_refused_and_names_the_process(directory: StateDirectory) -> None:
    lock = state_directory.create(directory)
    with pytest.raises(StateDirectoryError, match=f"running already .process {os.getpid()}"):
        state_directory.create(directory)
    lock.remove()
    state_directory.create(directory).remove()


def test_what_a_killed_supervisor_left_is_removed(directory: StateDirectory) -> None:
    lock = state_directory.create(directory)
    directory.database.write_text("stale")
    lock.release()
    lock = state_directory.create(directory)
    assert sorted(entry.name for entry in directory.path.iterdir()) == ["lock", "logs"]
    lock.remove()
    assert not directory.path.exists()  # it was made by the one that was killed


def test_symbolic_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(StateDirectoryError, match="symbolic link"):
        state_directory.create(StateDirectory(tmp_path / "link", "c"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's link")
def test_link_of_another_user_above_is_refused_and_one_of_ours_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    state_directory.create(StateDirectory(tmp_path / "link" / "c", "c")).remove()
    os.lchown(tmp_path / "link", 12345, 12345)
    with pytest.raises(StateDirectoryError, match="link is a symbolic link of another user"):
        state_directory.create(StateDirectory(tmp_path / "link" / "c", "c"))
    assert list((tmp_path / "real").iterdir()) == []


def test_full_disk_is_told_and_leaves_nothing(directory: StateDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(StateDirectoryError, match="cannot be written: no space left on device"):
        state_directory.create(directory)
    assert not directory.path.exists()


def test_lock_whose_directory_was_made_anew_removes_nothing_of_it(directory: StateDirectory) -> None:
    ours = state_directory.create(directory)
    held = StateDirectoryLock.adopt(directory, os.dup(ours.fileno()), made=True)
    ours.remove()
    theirs = state_directory.create(directory)
    held.remove()
    assert directory.log("x").parent.is_dir()
    theirs.remove()


def test_directory_that_others_can_write_is_refused(directory: StateDirectory) -> None:
    directory.path.mkdir()
    directory.path.chmod(0o777)
    with pytest.raises(StateDirectoryError, match="chmod 700"):
        state_directory.create(directory)


def test_directory_with_other_files_is_refused_and_kept(directory: StateDirectory) -> None:
    directory.path.mkdir()
    (directory.path / "thesis.txt").write_text("mine")
    with pytest.raises(StateDirectoryError, match="other files"):
        state_directory.create(directory)
    assert (directory.path / "thesis.txt").read_text() == "mine"


def test_empty_directory_of_the_user_is_used_and_kept(directory: StateDirectory) -> None:
    directory.path.mkdir()
    state_directory.create(directory).remove()
    assert list(directory.path.iterdir()) == []


@pytest.mark.parametrize("path", ["/proc/podwire", "/dev/null", "/dev/null/podwire"])
def test_unusable_place_is_one_line_that_names_it(path: str) -> None:
    with pytest.raises(StateDirectoryError) as caught:
        state_directory.create(StateDirectory(Path(path), "c"))
    assert str(caught.value).startswith(path)
    assert "\n" not in str(caught.value)
    assert "--state-dir" in str(caught.value)


def test_path_too_long_for_a_socket_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path / ("x" * 100), "c")
    with pytest.raises(StateDirectoryError, match="too long for a Unix socket"):
        state_directory.create(directory)
    assert not directory.path.exists()


def _answer(directory: StateDirectory) -> socket.socket:
    directory.path.mkdir(parents=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(directory.socket("supervisor")))
    listener.listen()
    return listener


def test_find_chooses_the_only_running_cluster(tmp_path: Path) -> None:
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    with pytest.raises(StateDirectoryError, match="no cluster is running"):
        state_directory.find(environ=environ)
    (tmp_path / "podwire" / "dead").mkdir(parents=True)
    with _answer(state_directory.locate("one", environ=environ)):
        assert state_directory.find(environ=environ).name == "one"
        with pytest.raises(StateDirectoryError, match='no cluster "dead"'):
            state_directory.find("dead", environ=environ)
        with (
            _answer(state_directory.locate("two", environ=environ)),
            pytest.raises(StateDirectoryError, match="one, two"),
        ):
            state_directory.find(environ=environ)
