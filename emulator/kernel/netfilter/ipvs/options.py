"""The options of `ipvsadm` 1.31: what there is, and which go with which command (ipvsadm.c, commands_v_options)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from emulator.kernel.netfilter.ipvs.error import REFUSED, USAGE, IpvsError


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Commands by option, with their names in messages.
COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "-A": "add-service", "--add-service": "add-service", "-E": "edit-service", "--edit-service": "edit-service",
        "-D": "delete-service", "--delete-service": "delete-service", "-C": "flush", "--clear": "flush",
        "-L": "list", "-l": "list", "--list": "list", "-Z": "zero", "--zero": "zero",
        "-a": "add-server", "--add-server": "add-server", "-e": "edit-server", "--edit-server": "edit-server",
        "-d": "delete-server", "--delete-server": "delete-server", "--set": "set", "-R": "restore",
        "--restore": "restore", "-S": "save", "--save": "save", "-h": "help", "--help": "help", "-v": "version",
        "--version": "version", "--start-daemon": "start-daemon", "--stop-daemon": "stop-daemon",
    }
)  # fmt: skip
# Other options by option, with the long name; several of them may be one thing to say (`KINDS`).
OPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "-t": "tcp-service", "-u": "udp-service", "-f": "fwmark-service", "-s": "scheduler", "-p": "persistent",
        "-M": "netmask", "-r": "real-server", "-m": "masquerading", "-i": "ipip", "-g": "gatewaying", "-w": "weight",
        "-x": "u-threshold", "-y": "l-threshold", "-n": "numeric", "-c": "connection", "-X": "exact", "-6": "ipv6",
        "-o": "ops", "-b": "sched-flags",
    }
    | {
        f"--{name}": name
        for name in _words(
            "tcp-service udp-service sctp-service fwmark-service scheduler persistent netmask real-server masquerading "
            "ipip gatewaying weight u-threshold l-threshold numeric connection mcast-interface syncid timeout daemon "
            "stats rate thresholds persistent-conn nosort sort exact ipv6 ops pe sched-flags mcast-group mcast-port "
            "mcast-ttl sync-maxlen tun-info tun-type tun-port tun-nocsum tun-csum tun-remcsum"
        )
    }
)  # fmt: skip
VALUED = frozenset(
    _words(
        "tcp-service udp-service sctp-service fwmark-service scheduler persistent netmask real-server weight "
        "u-threshold l-threshold mcast-interface syncid pe sched-flags mcast-group mcast-port mcast-ttl sync-maxlen "
        "tun-type tun-port start-daemon stop-daemon"
    )
)
KINDS: Mapping[str, str] = MappingProxyType(
    {
        "tcp-service": "service-address", "udp-service": "service-address", "sctp-service": "service-address",
        "fwmark-service": "service-address", "masquerading": "forwarding-method", "ipip": "forwarding-method",
        "gatewaying": "forwarding-method", "mcast-interface": "mcast-interface",
    }
)  # fmt: skip
_UNCOUNTED = frozenset({"sort", "ipv6"})  # may be said with any command
# In the order in which they are checked.
_ORDER = _words(
    "numeric connection service-address scheduler persistent netmask real-server forwarding-method weight u-threshold "
    "l-threshold mcast-interface timeout daemon stats rate thresholds persistent-conn nosort syncid exact ops pe "
    "sched-flags mcast-group mcast-port mcast-ttl sync-maxlen tun-info tun-type tun-port tun-nocsum tun-csum "
    "tun-remcsum"
)
_SERVICE = frozenset({"service-address"})
_SERVER = frozenset({"service-address", "real-server"})
_REQUIRED: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "add-service": _SERVICE, "edit-service": _SERVICE, "delete-service": _SERVICE, "add-server": _SERVER,
        "edit-server": _SERVER, "delete-server": _SERVER,
    }
)  # fmt: skip
_SERVICE_OPTIONS = frozenset({"scheduler", "persistent", "netmask", "ops", "pe", "sched-flags"})
_TUNNEL = frozenset({"tun-type", "tun-port", "tun-nocsum", "tun-csum", "tun-remcsum"})
_SERVER_OPTIONS = _TUNNEL | {"forwarding-method", "weight", "u-threshold", "l-threshold"}
_DAEMON = frozenset({"mcast-interface", "syncid", "mcast-group", "mcast-port", "mcast-ttl", "sync-maxlen"})
_OPTIONAL: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "add-service": _SERVICE_OPTIONS, "edit-service": _SERVICE_OPTIONS,
        "list": frozenset(
            {"numeric", "stats", "rate", "thresholds", "persistent-conn", "nosort", "syncid", "exact", "tun-info"}
        ),
        "add-server": _SERVER_OPTIONS, "edit-server": _SERVER_OPTIONS, "start-daemon": _DAEMON,
        "stop-daemon": frozenset({"syncid"}), "save": frozenset({"numeric"}), "zero": _SERVICE,
    }
)  # fmt: skip
_NONE: frozenset[str] = frozenset()
_EXCLUSIVE = frozenset({"connection", "service-address", "timeout", "daemon"})  # one of them, of a list
TRY_HELP = "Try `ipvsadm -h' or 'ipvsadm --help' for more information."


def read(words: list[str]) -> Iterator[tuple[str, str | None]]:
    """Yield options with their values as popt(3) reads them, such as ("tcp-service", "10.0.0.1:80").

    A word that is no option comes as ("", word). The first pair is the command, with its name.
    """
    place, first = 0, True
    while place < len(words):
        word = words[place]
        place += 1
        if len(word) < 2 or word[0] != "-":
            yield "", word
            continue
        given: str | None = None
        if len(word) == 2 and word != "--":
            letters = [word]
        elif word.startswith("--"):
            word, equals, value = word.partition("=")
            letters, given = [word], value if equals else None
        else:
            letters = [f"-{letter}" for letter in word[1:]]
        while letters:
            option = letters.pop(0)
            name = COMMANDS.get(option) if first else OPTIONS.get(option)
            if name is None:
                raise IpvsError(_bad(option, first=first), USAGE if option in COMMANDS and not first else REFUSED)
            first = False
            if name not in VALUED:
                yield name, None
                continue
            if letters:  # -t10.0.0.1:80
                given = "".join(letter[1:] for letter in letters).removeprefix("=")
                letters = []
            elif given is None:
                optional = name == "persistent"
                if place < len(words) and not (optional and words[place].startswith("-")):
                    given = words[place]
                    place += 1
                elif not optional:
                    raise IpvsError(f"{option}: missing argument")
            yield name, given


def _bad(option: str, *, first: bool) -> str:
    if first:
        return TRY_HELP
    return f"invalid option `{option}'" if option in COMMANDS else f"{option}: unknown option"


def check(command: str, said: set[str]) -> None:
    """Refuse options that do not go with a command, and the lack of those that it needs (`generic_opt_check`)."""
    required, optional = _REQUIRED.get(command, _NONE), _OPTIONAL.get(command, _NONE)
    if command != "list" and required <= said and said <= required | optional:
        return
    exclusive = ""
    for kind in _ORDER:
        if kind not in said:
            if kind in required:
                raise IpvsError(f"You need to supply the '{kind}' option for the '{command}' command", USAGE)
        elif command == "list" and kind in _EXCLUSIVE:
            if exclusive:
                conflict = f"The option '{kind}' conflicts with the '{exclusive}' option in the '{command}' command"
                raise IpvsError(conflict, USAGE)
            exclusive = kind
        elif kind not in required and kind not in optional:
            raise IpvsError(f"Illegal '{kind}' option with the '{command}' command", USAGE)


def note(said: set[str], name: str) -> None:
    """Note that an option was said; not twice."""
    if name in _UNCOUNTED:
        return
    kind = KINDS.get(name, name)
    if kind in said:
        raise IpvsError(f"multiple '{kind}' options specified", USAGE)
    said.add(kind)
