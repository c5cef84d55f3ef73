"""date of coreutils: the time of the cluster's clock, in UTC, as containers have it."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from emulator.apps.environment import Invocation
from emulator.apps.options import UsageError, parse

_DEFAULT = "%a %b %e %H:%M:%S %Z %Y"
_ISO = {
    "date": "%Y-%m-%d",
    "hours": "%Y-%m-%dT%H+00:00",
    "minutes": "%Y-%m-%dT%H:%M+00:00",
    "seconds": "%Y-%m-%dT%H:%M:%S+00:00",
    "ns": "%Y-%m-%dT%H:%M:%S,%N+00:00",
}
_DIRECTIVE = re.compile(r"%([a-zA-Z%])")
_KNOWN = frozenset("aAbBcCdDeFgGhHIjkmMnNpRsSTuUVwWxXyYzZ%t")


async def main(invocation: Invocation) -> int:
    """Run `date`. Exit status 0, or 1 for what it does not understand; the clock cannot be set."""
    try:
        options = parse(invocation.argv[1:], "uRI", ("utc", "universal", "iso-8601=", "rfc-email"))
    except UsageError as error:
        invocation.write_error(f"date: {error}\nTry 'date --help' for more information.\n")
        return 1
    form = _DEFAULT
    if "R" in options or "rfc-email" in options:
        form = "%a, %d %b %Y %H:%M:%S %z"
    elif "I" in options or "iso-8601" in options:
        form = _ISO.get(options.get("iso-8601", "date"), _ISO["date"])
    if options.operands:
        if not options.operands[0].startswith("+"):
            invocation.write_error("date: cannot set date: Operation not permitted\n")
            return 1
        form = options.operands[0][1:]
    invocation.write(_format(form, invocation.wall_clock()) + "\n")
    return 0


def _format(form: str, seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    whole, fraction = divmod(round(seconds * 1e6), 1_000_000)
    own = {
        "%": "%",
        "N": f"{fraction:06d}000",
        "e": f"{moment.day:2d}",
        "k": f"{moment.hour:2d}",
        "n": "\n",
        "s": str(whole),
        "t": "\t",
    }

    def replace(match: re.Match[str]) -> str:
        letter = match[1]
        if letter in own:
            return own[letter]
        return moment.strftime(match[0]) if letter in _KNOWN else match[0]

    return _DIRECTIVE.sub(replace, form)
