"""JSON that users write for `emulator proxy`: read within bounds, all that is wrong told at once with its place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, BinaryIO

from emulator.api.problem import closest, printable, quoted
from emulator.bundle.problem import Problems
from emulator.errors import ManifestError

MOST_BYTES = 16 * 1024 * 1024


def read_bounded(stream: BinaryIO, source: str, advice: str) -> bytes:
    """Read all of a stream, or refuse what is too large with some advice. Raises ManifestError."""
    data = stream.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ManifestError([f"{printable(source)}: larger than {MOST_BYTES >> 20} MiB; {advice}"])
    return data


def parse_json(data: bytes | str, source: str) -> Any:
    """Parse a document. Raises ManifestError."""
    shown = printable(source)
    try:
        return json.loads(data if isinstance(data, str) else data.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise ManifestError([f"{shown}:{error.lineno}: not valid JSON: {error.msg}"]) from None
    except (UnicodeDecodeError, RecursionError):
        raise ManifestError([f"{shown}: not valid JSON"]) from None


class Reader:
    """Reads one document; what is wrong is noted with its place, and reads as if it were not there.

    `aliases` has other names of keys, in small letters without separators.
    """

    def __init__(self, problems: Problems, place: str, aliases: Mapping[str, str]) -> None:
        self._problems = problems
        self._place = place
        self._aliases = aliases

    def wrong(self, path: str, message: str) -> None:
        """Note what is wrong at a path below the place."""
        self._problems.add(f"{self._place}{path}", message)

    def known(self, value: Any, path: str, known: tuple[str, ...], nullable: tuple[str, ...] = ()) -> dict[str, Any]:
        """Return an object's values by the names that keys have here; letters' case and separators do not matter.

        Null is as if the key was left out, but for `nullable` keys.
        """
        if not isinstance(value, Mapping):
            self.wrong(path, f"an object is wanted, not {quoted(value)}")
            return {}
        by_letters = {name.lower(): name for name in known}
        by_letters |= {alias: name for alias, name in self._aliases.items() if name in known}
        found: dict[str, Any] = {}
        for key, entry in value.items():
            name = by_letters.get(key.lower().replace("_", "").replace("-", ""))
            if name is None:
                close = closest(key, known)
                hint = f'did you mean "{close}"?' if close else f"known are {', '.join(known)}"
                self.wrong(f"{path}.{printable(key)}", f"unknown key; {hint}")
            elif name in found:
                self.wrong(f"{path}.{printable(key)}", f"{name} is said twice")
            elif entry is not None or name in nullable:
                found[name] = entry
        return found
