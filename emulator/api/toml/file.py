"""A TOML file -> its tables and the lines of their keys; what is no TOML is one line for the user."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emulator.api.problem import Path as FieldPath
from emulator.api.problem import printable
from emulator.api.toml.lines import locate
from emulator.errors import ManifestError

MAX_BYTES = 1024 * 1024


def read_toml_text(path: str | Path, what: str) -> str:
    """Read a file that should be `what`, such as "cluster file". Raises ManifestError."""
    source = printable(str(path))
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ManifestError([f"{source}: cannot be read: {error.strerror or error}"]) from None
    if len(data) > MAX_BYTES:
        raise ManifestError([f"{source}: larger than {MAX_BYTES // 2**20} MiB; this is no {what}"])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ManifestError([f"{source}:{line}: not UTF-8 (byte 0x{data[error.start]:02x})"]) from None


def parse_toml(text: str, source: str) -> tuple[dict[str, Any], Mapping[FieldPath, int]]:
    """Return the document, and the line of each table and key. Raises ManifestError with the place of the mistake."""
    try:
        return tomllib.loads(text), locate(text)
    except RecursionError:
        raise ManifestError([f"{printable(source)}: not valid TOML: nested too deep"]) from None
    except ValueError as error:  # TOMLDecodeError, or a number of thousands of digits
        found = re.search(r" \(at line (\d+), column \d+\)$", str(error))
        place = f"{printable(source)}:{found.group(1)}" if found else printable(source)
        what = str(error)[: found.start()] if found else str(error)
        raise ManifestError([f"{place}: not valid TOML: {printable(what)}"]) from None
