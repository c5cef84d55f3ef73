"""The blocking client against servers that are away, silent or wrong; the real ones are met in the other tests."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emulator.api.codec import FrameReader, encode_frame
from emulator.api.messages import VERSION, ControlError, Empty, ErrorCode
from emulator.cli.client import Client


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[bytes], Path]]:
    """Listen on a socket; whoever connects and sends a request is sent some bytes, then the connection ends."""
    listeners = []

    def start(answer: bytes) -> Path:
        path = tmp_path / "s.sock"
        listener = socket.socket(socket.AF_UNIX)
        listeners.append(listener)
        listener.bind(str(path))
        listener.listen()

        def answer_one() -> None:
            connection, _ = listener.accept()
            with connection:
                reader = FrameReader()
                while not reader.feed(connection.recv(4096)):
                    pass
                connection.sendall(answer)

        threading.Thread(target=answer_one, daemon=True).start()
        return path

    yield start
    for listener in listeners:
        listener.close()


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match=r"^the controller cannot be reached .*emulator status$") as caught:
        Client(tmp_path / "none.sock", "controller")
    assert caught.value.code is ErrorCode.UNAVAILABLE


def test_no_answer_in_time(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s.sock"))
        listener.listen()
        began = time.monotonic()
        with Client(tmp_path / "s.sock", "n1") as client, pytest.raises(ControlError, match="node n1 does not answer"):
            client.call(VERSION, Empty(), timeout=0.1)
        assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", "ended the connection"),
        (b"\xff\xff\xff\xff", "sent what cannot be read"),
        (b"\0\0\0\3abc", "sent what cannot be read"),
        (encode_frame({"id": 0, "error": {"code": "invalid", "message": "go away"}}), "^go away$"),
        (encode_frame({"id": 1, "error": {"code": "version_mismatch", "message": "1 and 2"}}), "^1 and 2$"),
        (encode_frame({"id": 1, "result": {"protocol": "x"}}), "protocol"),
        (encode_frame({"id": 9, "result": {}}), "ended the connection"),
    ],
)
def test_wrong_answers(serve: Callable[[bytes], Path], answer: bytes, message: str) -> None:
    with Client(serve(answer), "controller") as client, pytest.raises(ControlError, match=message):
        client.call(VERSION, Empty(), timeout=5)
