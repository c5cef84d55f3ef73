"""The command line of iperf3: what it asks for, in numbers, and iperf3's words for what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from emulator.apps.environment import Network
from emulator.apps.iperf3.protocol import (
    MAXIMUM_BLOCK,
    MAXIMUM_STREAMS,
    MAXIMUM_TIME,
    MAXIMUM_UDP_BLOCK,
    MINIMUM_UDP_BLOCK,
    PORT,
    TCP_BLOCK,
    UDP_RATE,
    Parameters,
)
from emulator.apps.iperf3.server import Iperf3Server
from emulator.apps.options import Options, UsageError, parse, port_number

_SHORT = "46b:B:c:C:DfhJ1i:k:l:M:Nn:p:P:RsS:t:T:uvVw:Zf:"
_LONG = (
    "bidir", "bind=", "bitrate=", "bandwidth=", "blockcount=", "bytes=", "client=", "congestion=", "connect-timeout=",
    "daemon", "forceflush", "format=", "get-server-output", "help", "interval=", "json", "length=", "no-delay", "omit=",
    "one-off", "parallel=", "port=", "reverse", "server", "set-mss=", "time=", "title=", "tos=", "udp",
    "udp-counters-64bit", "verbose", "version", "version4", "window=", "zerocopy",
)  # fmt: skip
_ALIASES = {
    "bind": "B", "bitrate": "b", "bandwidth": "b", "blockcount": "k", "bytes": "n", "client": "c", "format": "f",
    "help": "h", "interval": "i", "json": "J", "length": "l", "parallel": "P", "port": "p", "reverse": "R",
    "server": "s", "time": "t", "udp": "u", "version": "v", "one-off": "1",
}  # fmt: skip
_ABSENT = frozenset("CMST") | {
    "bidir",
    "congestion",
    "get-server-output",
    "omit",
    "set-mss",
    "title",
    "tos",
    "udp-counters-64bit",
}
_SHORTEST_INTERVAL, _LONGEST_INTERVAL = 0.1, 60.0  # seconds


def read(words: Sequence[str]) -> Options:
    """Read a command line. UsageError."""
    options = parse(words, _SHORT, _LONG, aliases=_ALIASES)
    if options.operands:
        raise UsageError("")
    return options


def is_server(options: Options) -> bool:
    """Whether a server is asked for, rather than a client. UsageError where both are, or neither."""
    if ("s" in options) == ("c" in options):
        both = "cannot be both server and client" if "s" in options else "must either be a client (-c) or server (-s)"
        raise UsageError(both)
    if "s" not in options:
        return False
    if any(name in options for name in ("b", "k", "l", "n", "P", "R", "t", "u")):
        raise UsageError("some option you are trying to set is client only")
    return True


def server_of(
    options: Options, network: Network, write: Callable[[str], None], wall_clock: Callable[[], float]
) -> Iperf3Server:
    """Make the server that the options ask for. UsageError."""
    return Iperf3Server(
        network,
        write,
        wall_clock,
        port=port_of(options),
        address=options.get("B", "0.0.0.0"),
        every=interval_of(options),
        unit=unit_of(options),
    )


def parameters_of(options: Options) -> Parameters:
    """Read what is to be measured. UsageError."""
    absent = next((name for name, _ in options if name in _ABSENT), "")
    if absent:
        raise UsageError(f"option {'--' if len(absent) > 1 else '-'}{absent} is not there in this iperf3")
    udp = "u" in options
    if sum(name in options for name in "tnk") > 1:
        raise UsageError("only one test end condition (-t, -n, -k) may be specified")
    length = int(_scaled(options.get("l", "0"), 1024))
    if udp and length and not MINIMUM_UDP_BLOCK <= length <= MAXIMUM_UDP_BLOCK:
        limits = f"minimum = {MINIMUM_UDP_BLOCK} bytes, maximum = {MAXIMUM_UDP_BLOCK} bytes"
        raise UsageError(f"block size invalid ({limits})")
    if length > MAXIMUM_BLOCK:
        raise UsageError(f"block size too large (maximum = {MAXIMUM_BLOCK} bytes)")
    parallel, seconds = _whole(options, "P", 1), _whole(options, "t", 10)
    if not 1 <= parallel <= MAXIMUM_STREAMS:
        raise UsageError(f"number of parallel streams too large (maximum = {MAXIMUM_STREAMS})")
    if not 0 < seconds <= MAXIMUM_TIME:
        raise UsageError(f"test duration valid values are 0 to {MAXIMUM_TIME} seconds")
    return Parameters(
        udp=udp,
        time=seconds,
        size=int(_scaled(options.get("n", "0"), 1024)),
        blocks=int(_scaled(options.get("k", "0"), 1024)),
        parallel=parallel,
        length=length or (0 if udp else TCP_BLOCK),
        bitrate=int(_scaled(options.get("b", str(UDP_RATE) if udp else "0").partition("/")[0], 1000)),
        reverse="R" in options,
    )


def _scaled(text: str, step: int) -> float:
    """Read a number with K, M, G or T behind it."""
    scale = " KMGT".find(text[-1:].upper()) if text[-1:].isalpha() else 0
    try:
        if scale < 0:
            raise ValueError(text)
        return float(text[:-1] if scale else text) * float(step**scale)
    except ValueError:
        raise UsageError(f"not a number: {text}") from None


def _whole(options: Options, name: str, default: int) -> int:
    try:
        return int(float(options.get(name, str(default))))
    except ValueError:
        raise UsageError(f"not a number: {options.get(name)}") from None


def interval_of(options: Options) -> float:
    """Read the seconds between reports. UsageError."""
    try:
        every = float(options.get("i", "1"))
    except ValueError:
        raise UsageError(f"not a number: {options.get('i')}") from None
    if every and not _SHORTEST_INTERVAL <= every <= _LONGEST_INTERVAL:
        limits = f"min = {_SHORTEST_INTERVAL:g}, max = {_LONGEST_INTERVAL:g} seconds"
        raise UsageError(f"invalid report interval ({limits})")
    return every


def unit_of(options: Options) -> str:
    """Read the unit of rates, "" for whatever fits. UsageError."""
    unit = options.get("f")
    if unit and (len(unit) > 1 or unit not in "kmgtKMGT"):
        raise UsageError("bad format specifier (valid formats are in the set [kmgtKMGT])")
    return unit


def port_of(options: Options) -> int:
    """Read the server's port. UsageError."""
    try:
        return port_number(options.get("p", str(PORT)))
    except ValueError:
        raise UsageError(f"bad port: {options.get('p')}") from None


def patience_of(options: Options) -> float:
    """Read how long to wait for the control connection, in seconds. UsageError."""
    try:
        return float(options.get("connect-timeout", "inf")) / 1000
    except ValueError:
        raise UsageError(f"not a number: {options.get('connect-timeout')}") from None
