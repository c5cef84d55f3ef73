"""The files of a bundle: which there are, and reading them within bounds. None but links.json has to be there."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from emulator.bundle.problem import Problems

FILES = (
    "links.json",
    "routes.json",
    "rules.json",
    "neigh.json",
    "fdb.json",
    "sysctl.txt",
    "iptables-save.txt",
    "ip6tables-save.txt",
    "ipset-save.txt",
    "ipvsadm-save.txt",
    "ipvs-connections.txt",
    "ipvs-connections.txt",
    "nft.json",
    "nft.txt",
    "conntrack.txt",
)
"""All that a bundle may have."""

MIB = 1 << 20
MOST_JSON = 16 * MIB
MOST_TEXT = 64 * MIB


class Files:
    """One bundle's directory. What cannot be read is a problem, and reads as if it were not there."""

    def __init__(self, directory: Path, problems: Problems) -> None:
        self._directory = directory
        self._problems = problems
        if not directory.is_dir():
            what = "not a directory" if directory.exists() else "no such directory"
            problems.add(str(directory), f"{what}; a bundle is one, as scripts/snapshot-node makes it")
            problems.check()

    def has(self, name: str) -> bool:
        """Whether there is such a file with anything in it."""
        try:
            return (self._directory / name).stat().st_size > 0
        except OSError:
            return False

    def is_there(self, name: str) -> bool:
        """Whether there is such a file, though it may be empty: then the tool had nothing to print."""
        return os.path.lexists(self._directory / name)

    def text(self, name: str) -> str | None:
        """Return a file's text, or None if it is not there. Bytes that are not UTF-8 stand in comments only.

        Lines that end as on Windows, where somebody had the file in an editor, are read as the tool wrote them.
        """
        data = self._read(name, MOST_TEXT)
        return None if data is None else data.decode("utf-8", "replace").replace("\r\n", "\n")

    def array(self, name: str) -> list[Any] | None:
        """Return a JSON file's array, or None if it is not there or empty: some `ip -j` print nothing for no entry."""
        data = self._read(name, MOST_JSON)
        if data is None or not data.strip():
            return None if data is None else []
        try:
            value = json.loads(data)
        except UnicodeDecodeError as error:
            self._problems.add(name, f"byte {error.start} is not UTF-8; save the tool's output as it is")
        except json.JSONDecodeError as error:
            self._problems.add(f"{name}: line {error.lineno} column {error.colno}", f"not JSON: {error.msg}")
        except RecursionError:
            self._problems.add(name, "nested too deeply for anything that `ip -j` prints")
        except ValueError as error:
            self._problems.add(name, f"not JSON: {error}")
        else:
            if isinstance(value, list):
                return value
            self._problems.add(name, f"an array is wanted, as `{TOOLS.get(name, 'ip -j')}` prints it")
        return None

    def _read(self, name: str, most: int) -> bytes | None:
        path = self._directory / name
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                self._problems.add(name, "not a regular file")
                return None
            with path.open("rb") as file:
                data = file.read(most + 1)
        except FileNotFoundError:
            if path.is_symlink():
                self._problems.add(name, "a symbolic link to a file that is not there")
            return None
        except OSError as error:
            self._problems.add(name, error.strerror or str(error))
            return None
        if len(data) > most:
            self._problems.add(name, f"larger than {most // MIB} MiB, which no node's state is")
            return None
        return data


TOOLS = {
    "links.json": "ip -j -d addr",
    "routes.json": "ip -j route show table all",
    "rules.json": "ip -j rule",
    "neigh.json": "ip -j neigh",
    "fdb.json": "bridge -j fdb",
}
