"""The command line of conntrack 1.4.7: which options a command takes, and what is said when they do not fit.

As with the original, `-p` makes its protocol's own options known to what follows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from msgspec import Struct, field

from emulator.apps.options import UsageError

TABLES = ("expect", "conntrack", "dying", "unconfirmed")
PROTOCOLS: Mapping[str, int] = MappingProxyType(
    {"tcp": 6, "udp": 17, "udplite": 136, "sctp": 132, "dccp": 33, "icmp": 1, "icmpv6": 58, "gre": 47}
)
# Names of /etc/protocols that have no options of their own.
_OTHER_PROTOCOLS: Mapping[str, int] = MappingProxyType(
    {"ip": 0, "igmp": 2, "ipencap": 4, "egp": 8, "igp": 9, "esp": 50, "ah": 51, "eigrp": 88, "ospf": 89, "ospfigp": 89,
     "ipip": 94, "pim": 103, "vrrp": 112, "l2tp": 115, "fc": 133, "raw": 255}
)  # fmt: skip
_LONG: Mapping[str, str] = MappingProxyType(
    {
        "dump": "L", "create": "I", "add": "A", "delete": "D", "update": "U", "get": "G", "flush": "F", "event": "E",
        "counter": "C", "stats": "S", "version": "V", "help": "h", "orig-src": "s", "src": "s", "orig-dst": "d",
        "dst": "d", "reply-src": "r", "reply-dst": "q", "protonum": "p", "timeout": "t", "status": "u", "zero": "z",
        "event-mask": "e", "tuple-src": "[", "tuple-dst": "]", "mask-src": "{", "mask-dst": "}", "nat-range": "a",
        "mark": "m", "secmark": "c", "id": "i", "family": "f", "src-nat": "n", "dst-nat": "g", "output": "o",
        "buffer-size": "b", "any-nat": "j", "zone": "w", "label": "l", "label-add": "<", "label-del": ">",
        "orig-zone": "(", "reply-zone": ")",
    }
)  # fmt: skip
_NAMES = {letter: name for name, letter in _LONG.items()}  # what messages call an option by
COMMANDS = "LIADUGFECSVh"
_FLAGS = frozenset("z")
_MAY_HAVE_VALUE = frozenset("ngj>")  # a value as the next word, unless that is an option
# By command: options that it needs, and others that it takes. Of s d, or else r q, "ISG" need a pair.
_TAKES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "L": ("", "sdrqpuz{}mfngocbjwl()"),
        "I": ("pt", "sdrquamngwi<()"),
        "A": ("pt", "sdrquamngwi<()"),
        "U": ("", "sdrqptu{}mifngocbl<>"),
        "D": ("", "sdrqptu{}mifngowl()"),
        "G": ("p", "sdrqiol"),
        "F": ("", "f"),
        "E": ("", "sdrqpe{}mfngobjwlu()c"),
        "C": ("", ""),
        "S": ("", ""),
        "V": ("", ""),
        "h": ("", "p"),
    }
)
_PAIRED = frozenset("IAG")
_PORTS = ("orig-port-src", "sport", "orig-port-dst", "dport", "reply-port-src", "reply-port-dst", "mask-port-src",
          "mask-port-dst", "tuple-port-src", "tuple-port-dst")  # fmt: skip
_OF_PROTOCOL: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "tcp": (*_PORTS, "state"),
        "udp": _PORTS,
        "udplite": _PORTS,
        "sctp": (*_PORTS, "state", "orig-vtag", "reply-vtag"),
        "dccp": (*_PORTS, "state", "role"),
        "icmp": ("icmp-type", "icmp-code", "icmp-id"),
        "icmpv6": ("icmpv6-type", "icmpv6-code", "icmpv6-id"),
        "gre": ("orig-key-src", "srckey", "orig-key-dst", "dstkey", "reply-key-src", "reply-key-dst"),
    }
)
_SAME = {"orig-port-src": "sport", "orig-port-dst": "dport", "orig-key-src": "srckey", "orig-key-dst": "dstkey"}


Warn = Callable[[str], None]


class OperationError(Exception):
    """Something other than the command line is wrong: exit status 1 and no hint."""


class Request(Struct):
    """A command line. `options` has the letters that were given, `values` what came with them or with long names."""

    command: str = ""
    table: str = "conntrack"
    options: set[str] = field(default_factory=set)
    values: dict[str, str] = field(default_factory=dict)
    protocol: str = ""  # as `_OF_PROTOCOL` has it, or "other"
    number: int = 0
    outputs: list[str] = field(default_factory=list)

    def value(self, name: str) -> str | None:
        """Return the value of an option, or None."""
        return self.values.get(name)


class _Reader:
    """getopt_long over the words."""

    def __init__(self, words: tuple[str, ...], warn: Warn) -> None:
        self.words = words
        self.warn = warn
        self.at = 0
        self.request = Request()

    def read(self) -> Request:
        while self.at < len(self.words):
            word = self.words[self.at]
            self.at += 1
            if word == "--":
                break
            if word.startswith("--"):
                self._long(word)
            elif word.startswith("-") and len(word) > 1:
                self._cluster(word)
        return self.request

    def _long(self, word: str) -> None:
        name, equals, value = word[2:].partition("=")
        own = _OF_PROTOCOL.get(self.request.protocol, ())
        known = [each for each in (*_LONG, *own) if each.startswith(name)]
        exact = [each for each in known if each == name]
        found = exact or known
        meanings = {_LONG.get(each, _SAME.get(each, each)) for each in found}
        if len(meanings) != 1:
            raise UsageError(f"unknown option `{word}'")
        meaning = meanings.pop()
        if found[0] in own and found[0] not in _LONG:
            self.request.values[meaning] = value if equals else self._argument(word)
        else:
            self._take(meaning, value if equals else None, word)

    def _cluster(self, word: str) -> None:
        for place, letter in enumerate(word[1:], 2):
            if letter not in _NAMES or not letter.isalpha():
                raise UsageError(f"unknown option `{word}'")
            rest = word[place:] or None
            if letter in _FLAGS or letter in "hVS":
                self._take(letter, None, word)
                continue
            self._take(letter, rest, word)
            return

    def _argument(self, word: str) -> str:
        if self.at == len(self.words):
            raise UsageError(f"option `{word}' requires an argument")
        self.at += 1
        return self.words[self.at - 1]

    def _optional(self, attached: str | None) -> str | None:
        """As the original: a value that is attached to the option is not seen."""
        if attached is not None or self.at == len(self.words) or self.words[self.at][:1] in ("-", "!"):
            return None
        self.at += 1
        return self.words[self.at - 1]

    def _take(self, letter: str, value: str | None, word: str) -> None:
        request = self.request
        if letter in COMMANDS:
            self._command(letter, self._optional(value))
            return
        request.options.add(letter)
        if letter in _FLAGS:
            return
        if letter in _MAY_HAVE_VALUE:
            value = self._optional(value)
            if value is not None:
                request.values[letter] = value
            return
        value = self._argument(word) if value is None else value
        request.values[letter] = value
        if letter == "p":
            request.protocol, request.number = protocol_of(value)
        elif letter == "o":
            request.outputs += [value]
        elif letter == "a":
            self.warn("WARNING: ignoring -a, deprecated option.\n")
        elif letter in "l<":
            self.warn(NO_LABELS)
            raise UsageError(f"unknown label '{value.partition(',')[0]}'")

    def _command(self, letter: str, name: str | None) -> None:
        table = next((each for each in TABLES if name is not None and each.startswith(name)), None)
        if name is not None and table is None:
            raise UsageError(f"unknown type `{name}'")
        table = table or "conntrack"
        if letter != "L" and table in ("dying", "unconfirmed"):
            raise UsageError("Can't do that command with tables `dying' and `unconfirmed'")
        if letter in "UA" and table == "expect":
            raise UsageError(f"Can't do --{_NAMES[letter]} on expectations")
        if self.request.command:
            raise UsageError("Invalid commands combination")
        self.request.command, self.request.table = letter, table


NO_LABELS = "nfct_labelmap_new: No such file or directory\n"


def protocol_of(text: str) -> tuple[str, int]:
    """Return a protocol's name, "other" if it has no options of its own, and number. UsageError if unknown."""
    for name, number in PROTOCOLS.items():
        if text.lower() == name or text == str(number):
            return name, number
    if text in _OTHER_PROTOCOLS:
        return "other", _OTHER_PROTOCOLS[text]
    try:
        number = int(text, 0)
    except ValueError:
        number = -1
    if not 0 <= number <= 255:
        raise UsageError(f"`{text}' unsupported protocol")
    return next((name for name, known in PROTOCOLS.items() if known == number), "other"), number


def read(words: tuple[str, ...], warn: Warn) -> Request:
    """Read a command line; `warn` gets lines for standard error. UsageError names what is wrong with it."""
    request = _Reader(words, warn).read()
    if "j" in request.options and request.options & {"n", "g"}:
        raise UsageError("cannot specify `--src-nat' or `--dst-nat' with `--any-nat'")
    if request.command and request.table != "expect":
        _check(request)
    return request


def _check(request: Request) -> None:
    needs, takes = _TAKES[request.command]
    for letter in _ORDER:
        if letter in needs and letter not in request.options:
            raise UsageError(f"You need to supply the `--{_NAMES[letter]}' option for this command")
        if letter in request.options and letter not in needs + takes:
            raise UsageError(f"Illegal option `--{_NAMES[letter]}' with this command")
    if request.command not in _PAIRED:
        return
    original, reply = request.options & {"s", "d"}, request.options & {"r", "q"}
    if len(original) < 2 and len(reply) < 2:
        if reply and not original:
            raise UsageError("you have to specify `--reply-src' and `--reply-dst'")
        raise UsageError("you have to specify `--src' and `--dst'")
    _check_protocol(request, reply=len(original) < 2)


_ORDER = "sdrqptuze[]{}amifngocbjwl<>()"


def _check_protocol(request: Request, *, reply: bool) -> None:
    """Whether the tuple is whole, for commands that name one entry."""
    values = request.values
    if request.protocol in ("tcp", "udp", "udplite", "sctp", "dccp"):
        if not ({"reply-port-src", "reply-port-dst"} if reply else {"sport", "dport"}) <= values.keys():
            raise UsageError("you have to specify `--sport' and `--dport'")
        if request.protocol in ("tcp", "sctp", "dccp") and request.command in "IA" and "state" not in values:
            raise UsageError("You need to supply the `--state' option for this command")
    elif request.protocol == "gre" and not reply and not {"srckey", "dstkey"} <= values.keys():
        raise UsageError("you have to specify `--srckey' and `--dstkey'")
    elif request.protocol == "icmp" and not {"icmp-type", "icmp-code", "icmp-id"} <= values.keys():
        missing = next(name for name in ("icmp-type", "icmp-code", "icmp-id") if name not in values)
        raise UsageError(f"You need to supply the `--{missing}' option for this command")


def parameters(text: str, known: Mapping[str, int], warn: Warn) -> int:
    """Read words joined by commas, each a known one or the beginning of one, in any case; return their bits."""
    bits = 0
    for word in text.split(","):
        bits |= parameter(word, text, known, warn)
    return bits


def parameter(word: str, text: str, known: Mapping[str, int], warn: Warn) -> int:
    """Read one such word of `text`."""
    if word:
        for name in ("SRC_NAT", "DST_NAT"):
            if name.startswith(word.upper()):
                warn(f"WARNING: ignoring {name}, use --{name.lower().replace('_', '-')} instead\n")
                return 0
        for name, bits in known.items():
            if name.upper().startswith(word.upper()):
                return bits
    raise UsageError(f"Bad parameter `{text[text.index(word) :] if word else ''}'")


def number(text: str | None) -> int:
    """Read a number as strtoul(text, NULL, 0) does: as much of the text as is one, else 0."""
    text = (text or "").strip()
    for end in range(len(text), 0, -1):
        try:
            return int(text[:end], 0) & 0xFFFFFFFF
        except ValueError:
            continue
    return 0
