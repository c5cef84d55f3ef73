"""Files of what the node sent: one pcapng a link, no path but its name, and whole packets whatever happens."""

from __future__ import annotations

import errno
import os
from io import RawIOBase
from pathlib import Path

import pytest

from emulator.bundle.row import Output
from emulator.bundle.writer import WriteError, Writer
from emulator.packet.capture import Direction
from emulator.packet.capture_file import read_capture

FRAMES = [Output(5, "eth0", b"one"), Output(6, "tun0", b"raw", False), Output(7, "eth0", b"two")]


def contents(path: Path) -> list[tuple[int, int, bytes, str, Direction]]:
    return [
        (each.time, each.linktype, bytes(each.data), each.interface, each.direction)
        for each in read_capture(path.read_bytes())
    ]


def test_one_file_a_link(tmp_path: Path) -> None:
    with Writer(tmp_path / "new" / "folder") as writer:
        writer.write(FRAMES)
    folder = tmp_path / "new" / "folder"
    assert sorted(path.name for path in folder.iterdir()) == ["eth0.pcapng", "tun0.pcapng"]
    out = Direction.OUTBOUND
    assert contents(folder / "eth0.pcapng") == [(5, 1, b"one", "eth0", out), (7, 1, b"two", "eth0", out)]
    assert contents(folder / "tun0.pcapng") == [(6, 101, b"raw", "tun0", out)]


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    """If the links are named, that is told before anything is written."""
    with Writer(tmp_path, ["eth0", "eth1"]) as writer:
        writer.write(FRAMES[:1])
    before = (tmp_path / "eth0.pcapng").read_bytes()
    message = "eth0.pcapng: is there already, and is not overwritten; remove it, or name another directory"
    with pytest.raises(WriteError, match=message):
        Writer(tmp_path, ["eth1", "eth0"])
    with Writer(tmp_path, ["eth1"]) as writer, pytest.raises(WriteError, match=message):
        writer.write(FRAMES)
    assert (tmp_path / "eth0.pcapng").read_bytes() == before


def test_symbolic_links_are_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("precious")
    (tmp_path / "eth0.pcapng").symlink_to(target)
    with Writer(tmp_path) as writer, pytest.raises(WriteError, match="is there already"):
        writer.write(FRAMES)
    assert target.read_text() == "precious"


@pytest.mark.parametrize("name", ["../eth0", "..", ".", "", "a/b", "a\0b"])
def test_names_that_are_paths(name: str, tmp_path: Path) -> None:
    with Writer(tmp_path / "in") as writer, pytest.raises(WriteError, match="cannot be the name of a file"):
        writer.write([Output(1, name, b"x")])
    assert list(tmp_path.rglob("*.pcapng")) == []


def test_a_place_that_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="file: File exists"):
        Writer(tmp_path / "file")
    with Writer(tmp_path) as writer:
        (tmp_path / "eth0.pcapng").mkdir()
        with pytest.raises(WriteError, match="is there already"):
            writer.write(FRAMES)


class FullDisk(RawIOBase):
    """A file on a disk that takes only so many bytes."""

    def __init__(self, path: Path, room: int) -> None:
        self._file = path.open("r+b", buffering=0)
        self._file.seek(0, os.SEEK_END)
        self._room = room

    def tell(self) -> int:
        return self._file.tell()

    def write(self, data: bytes) -> int:  # type: ignore[override]
        part = data[: self._room]
        self._room -= len(part)
        if not part:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._file.write(part) or 0

    def truncate(self, size: int | None = None) -> int:
        return self._file.truncate(size)

    def close(self) -> None:
        self._file.close()
        super().close()


def test_a_full_disk_leaves_whole_packets(tmp_path: Path) -> None:
    """It stops at a whole record and says so (fault 46)."""
    with Writer(tmp_path) as writer:
        writer.write(FRAMES[:1])
        writer._files["eth0"].close()
        writer._files["eth0"] = FullDisk(tmp_path / "eth0.pcapng", 9)  # type: ignore[assignment]
        with pytest.raises(WriteError, match="No space left on device; it ends with the packet before"):
            writer.write(FRAMES)
    assert [each[0] for each in contents(tmp_path / "eth0.pcapng")] == [5]
