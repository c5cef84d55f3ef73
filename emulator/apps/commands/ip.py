"""ip of iproute2 6.1.0: global options, then the object that the rest of the line is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import cast

from emulator.apps.commands.ip_context import Context, IpError
from emulator.apps.environment import Invocation
from emulator.errors import WireError
from emulator.kernel.routing.route import RouteError

VERSION = "ip utility, iproute2-6.1.0, libbpf 1.1.2\n"
USAGE = """Usage: ip [ OPTIONS ] OBJECT { COMMAND | help }
       ip [ -force ] -batch filename
where  OBJECT := { address | addrlabel | amt | fou | help | ila | ioam | l2tp |
                   link | macsec | maddress | monitor | mptcp | mroute | mrule |
                   neighbor | neighbour | netconf | netns | nexthop | ntable |
                   ntbl | route | rule | sr | tap | tcpmetrics |
                   token | tunnel | tuntap | vrf | xfrm }
       OPTIONS := { -V[ersion] | -s[tatistics] | -d[etails] | -r[esolve] |
                    -h[uman-readable] | -iec | -j[son] | -p[retty] |
                    -f[amily] { inet | inet6 | mpls | bridge | link } |
                    -4 | -6 | -M | -B | -0 |
                    -l[oops] { maximum-addr-flush-attempts } | -br[ief] |
                    -o[neline] | -t[imestamp] | -ts[hort] | -b[atch] [filename] |
                    -rc[vbuf] [size] | -n[etns] name | -N[umeric] | -a[ll] |
                    -c[olor]}
"""
# In iproute2's order: an abbreviation means the first that it begins.
OBJECTS: Mapping[str, str] = MappingProxyType(
    {
        "address": "ip_address",
        "route": "ip_route",
        "rule": "ip_rule",
        "neighbor": "ip_neigh",
        "neighbour": "ip_neigh",
        "link": "ip_link",
        "netns": "ip_netns",
    }
)
_OPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "-0": "link-family",
        "-4": "inet",
        "-6": "inet6",
        "-N": "numeric",
        "-Numeric": "numeric",
        "-V": "version",
        "-Version": "version",
        "-brief": "brief",
        "-color": "color",
        "-details": "details",
        "-help": "help",
        "-json": "json",
        "-oneline": "oneline",
        "-pretty": "pretty",
        "-statistics": "statistics",
    }
)
USAGE_STATUS = 255


async def main(invocation: Invocation) -> int:
    """Run `ip`. Exit status 0, 1 for an argument it cannot use, 2 for what the kernel refuses, 255 for usage."""
    words = list(invocation.argv[1:])
    options: set[str] = set()
    while words and words[0].startswith("-"):
        word = words.pop(0)
        option = _option(word)
        if option is None:
            invocation.write_error(f'Option "{word}" is unknown, try "ip -help".\n')
            return USAGE_STATUS
        if option == "statistics" and option in options:
            option = "statistics-errors"  # `-s -s`
        options.add(option)
    if "version" in options:
        invocation.write(VERSION)
        return 0
    if not words or words[0] == "help" or "help" in options:
        invocation.write_error(USAGE)
        return USAGE_STATUS
    return _run(invocation, options, words)


def _option(word: str) -> str | None:
    """Find a global option; `--json` is as good as `-json`, and `-j` as both."""
    name = word.removeprefix("-") if word.startswith("--") else word
    name, equals, when = name.partition("=")
    if equals and (when not in {"always", "auto", "never"} or not "-color".startswith(name)):
        return None  # colours are for terminals, and this is none
    if name in {"-o", "-d", "-s", "-j", "-p", "-h", "-c"} or len(name) > 2:
        return next((option for known, option in _OPTIONS.items() if known.startswith(name)), None)
    return _OPTIONS.get(name)


def _run(invocation: Invocation, options: set[str], words: list[str]) -> int:
    name = next((known for known in OBJECTS if known.startswith(words[0])), None)
    if name is None:
        invocation.write_error(f'Object "{words[0]}" is unknown, try "ip help".\n')
        return 1
    run = cast("Callable[[Context, list[str]], None]", import_module(f"emulator.apps.commands.{OBJECTS[name]}").run)
    try:
        run(Context(invocation, frozenset(options)), words[1:])
    except IpError as error:
        invocation.write_error(f"{error}\n" if str(error) else "")
        return error.status
    except RouteError as error:
        invocation.write_error(f"{error}\n")
        return 2
    except WireError as error:
        invocation.write_error(f"Error: {error}\n")
        return 1
    return 0
