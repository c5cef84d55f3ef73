"""The plugins `health` and `ready`: whether the server lives and whether its plugins know what they need, over HTTP.

Source: CoreDNS's plugin/health and plugin/ready.
"""

from __future__ import annotations

from emulator.apps.dns.corefile import Directive, duration
from emulator.packet.digits import is_natural

HEALTH_PORT = 8080
READY_PORT = 8181


def http_port(directive: Directive, default: int) -> int:
    """Return the port of `health [:PORT] { lameduck TIME }` or `ready [:PORT]`. CorefileError."""
    for line in directive.block:
        if line.name != "lameduck" or len(line.words) > 2:
            raise line.argument_error(line.name)
        lameduck(directive)
    if not directive.line.arguments:
        return default
    text = directive.line.arguments[0].rpartition(":")[2]
    if len(directive.line.arguments) > 1 or not is_natural(text) or not 0 < int(text) < 65536:
        raise directive.line.argument_error(directive.line.arguments[-1])
    return int(text)


def lameduck(directive: Directive | None) -> float:
    """Return for how long the server goes on after it was told to end, seconds (0: not). CorefileError."""
    if directive is None:
        return 0.0
    for line in directive.block:
        if line.name == "lameduck":
            return duration(line, line.arguments[0]) if line.arguments else 0.0
    return 0.0
