"""sysctl of procps 4.0.2: read and set the knobs of a namespace."""

from __future__ import annotations

from emulator.apps.environment import Invocation
from emulator.apps.options import Options, UsageError, parse
from emulator.apps.regular_expression import ExpressionError, compile_posix
from emulator.kernel.sysctl import SysctlError

VERSION = "sysctl from procps-ng 4.0.2"
USAGE = """
Usage:
 sysctl [options] [variable[=value] ...]

Options:
  -a, --all            display all variables
  -A                   alias of -a
  -X                   alias of -a
      --deprecated     include deprecated parameters to listing
      --dry-run        Print the key and values but do not write
  -b, --binary         print value without new line
  -e, --ignore         ignore unknown variables errors
  -N, --names          print variable names without values
  -n, --values         print only values of the given variable(s)
  -p, --load[=<file>]  read values from file
  -f                   alias of -p
      --system         read values from all system directories
  -r, --pattern <expression>
                       select setting that match expression
  -q, --quiet          do not echo variable set
  -w, --write          enable writing a value to variable
  -o                   does nothing
  -x                   does nothing
  -d                   alias of -h

 -h, --help     display this help and exit
 -V, --version  output version information and exit

For more details see sysctl(8).
"""
_ALIASES = {
    "A": "a",
    "X": "a",
    "all": "a",
    "binary": "b",
    "ignore": "e",
    "names": "N",
    "values": "n",
    "pattern": "r",
    "quiet": "q",
    "write": "w",
    "d": "h",
    "help": "h",
    "version": "V",
}
_LONG = ("all", "binary", "ignore", "names", "values", "pattern=", "quiet", "write", "help", "version")


async def main(invocation: Invocation) -> int:
    """Run `sysctl`. Exit status 0, or 1 if a name or a value was refused."""
    try:
        options = parse(invocation.argv[1:], "aAXbeNnr:qwoxdhV", _LONG, aliases=_ALIASES)
        pattern = compile_posix(options.get("r"), extended=True) if "r" in options else None
    except UsageError as error:
        invocation.write_error(f"sysctl: {error}\n{USAGE}")
        return 0  # as the original does
    except ExpressionError as error:
        invocation.write_error(f"sysctl: invalid pattern: {error}\n")
        return 1
    if "h" in options or "V" in options:
        invocation.write(USAGE if "h" in options else f"{VERSION}\n")
        return 0
    names = list(invocation.network.netns.sysctl.names()) if "a" in options else list(options.operands)
    if not names:
        invocation.write_error(USAGE)
        return 1
    if pattern is not None:
        names = [word for word in names if pattern.search(word.partition("=")[0])]
    failed = [not _do(invocation, options, word) for word in names]
    return int(any(failed))


def _do(invocation: Invocation, options: Options, word: str) -> bool:
    name, equals, value = word.partition("=")
    if "/" in name and "." not in name.partition("/")[0]:
        name = name.translate(str.maketrans("/.", "./"))
    sysctl = invocation.network.netns.sysctl
    if "w" in options and not equals:
        invocation.write_error("sysctl: command line(0): invalid syntax, continuing...\n")
        return False
    try:
        if equals:
            sysctl.set(name.strip(), value.strip())
        shown = sysctl.get(name.strip())
    except SysctlError as error:
        if "e" in options:
            return True
        invocation.write_error(f"{error}\n")
        return False
    if not (equals and "q" in options):
        invocation.write(_format(options, name.strip(), shown))
    return True


def _format(options: Options, name: str, value: str) -> str:
    if "N" in options:
        return f"{name}\n"
    if "b" in options:
        return value
    return f"{value}\n" if "n" in options else f"{name} = {value}\n"
