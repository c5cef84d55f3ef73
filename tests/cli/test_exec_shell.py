"""A shell in a pod, used from a terminal: prompt, Ctrl-C, exit status; and a script that is piped in."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time

from .conftest import Ask, command, environment

PATIENCE = 60.0


class Typist:
    """Somebody at a terminal of their own."""

    def __init__(self, words: list[str]) -> None:
        self._pid, self._terminal = pty.fork()
        if not self._pid:
            os.execvpe(words[0], words, environment())

    def until(self, wanted: str) -> str:
        """Read up to a text that must come."""
        seen = ""
        end = time.monotonic() + PATIENCE
        while not seen.endswith(wanted):
            readable, _, _ = select.select([self._terminal], [], [], max(0.0, end - time.monotonic()))
            assert readable, f"{wanted!r} did not come, but {seen!r}"
            seen += os.read(self._terminal, 4096).decode()
        return seen.replace("\r\n", "\n")

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def end(self) -> int:
        """Wait for the command's end; return its exit status."""
        try:
            while os.read(self._terminal, 4096):
                pass
        except OSError:  # EIO: nobody holds the other end any more
            pass
        finally:
            os.close(self._terminal)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])


def test_a_prompt_from_a_terminal(ask: Ask) -> None:
    typist = Typist(command("--cluster", ask.cluster, "exec", "-it", "client", "--", "sh"))
    assert typist.until("/ # ") == "/ # "
    typist.type("echo $((6 * 7)) | cat\n")
    assert typist.until("/ # ") == "echo $((6 * 7)) | cat\n42\n/ # "
    typist.type("ping 127.0.0.1\n")
    typist.until(" ms\r\n")
    typist.type("\x03")
    assert "0% packet loss" in typist.until("/ # ")
    typist.type("sleep 1000\n")
    typist.until("sleep 1000\r\n")
    typist.type("\x03")
    typist.until("/ # ")
    typist.type("echo $?\n")
    assert "\n130\n" in typist.until("/ # ")
    typist.type("sh -c 'exit 7'\n")
    typist.until("/ # ")
    typist.type("\x04")
    assert typist.end() == 7


def test_a_script_that_is_piped_in(ask: Ask) -> None:
    def piped(script: str, *words: str) -> subprocess.CompletedProcess[str]:
        line = command("--cluster", ask.cluster, "exec", *words, "client", "--", "sh")
        return subprocess.run(line, input=script, capture_output=True, text=True, env=environment(), check=False)

    done = piped("x=1\nif true\nthen echo $x $(hostname)\nfi\nexit 3\n", "-i")
    assert (done.stdout, done.returncode) == ("1 client\n", 3)
    assert "standard input is passed only with -i" in piped("echo x\n").stderr
