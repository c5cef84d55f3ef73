"""The command line of curl 7.88.1: its own way of reading options, with its own words for what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from msgspec import Struct, field

from emulator.apps.environment import Input
from emulator.apps.options import UsageError
from emulator.packet.digits import is_natural

# Short letter -> long name, and the long names that take a value.
SHORT: Mapping[str, str] = MappingProxyType(
    {
        "0": "http1.0",
        "4": "ipv4",
        "A": "user-agent",
        "D": "dump-header",
        "F": "form",
        "G": "get",
        "H": "header",
        "I": "head",
        "L": "location",
        "N": "no-buffer",
        "O": "remote-name",
        "S": "show-error",
        "T": "upload-file",
        "V": "version",
        "X": "request",
        "b": "cookie",
        "d": "data",
        "e": "referer",
        "f": "fail",
        "g": "globoff",
        "h": "help",
        "i": "include",
        "k": "insecure",
        "m": "max-time",
        "o": "output",
        "q": "disable",  # of a configuration file, which pods have not
        "r": "range",
        "s": "silent",
        "u": "user",
        "v": "verbose",
        "w": "write-out",
    }
)
SWITCHES = frozenset(
    {
        "compressed",
        "disable",
        "fail",
        "fail-early",
        "fail-with-body",
        "get",
        "globoff",
        "head",
        "help",
        "http1.0",
        "http1.1",
        "http2",
        "include",
        "insecure",
        "ipv4",
        "keepalive",
        "location",
        "no-buffer",
        "no-keepalive",
        "no-progress-meter",
        "remote-name",
        "retry-all-errors",
        "retry-connrefused",
        "show-error",
        "silent",
        "tcp-nodelay",
        "verbose",
        "version",
    }
)
VALUED = frozenset(
    {
        "cacert",
        "connect-timeout",
        "connect-to",
        "cookie",
        "data",
        "data-ascii",
        "data-binary",
        "data-raw",
        "data-urlencode",
        "dump-header",
        "form",
        "form-string",
        "header",
        "interface",
        "json",
        "local-port",
        "max-redirs",
        "max-time",
        "noproxy",
        "oauth2-bearer",
        "output",
        "range",
        "referer",
        "request",
        "resolve",
        "retry",
        "retry-delay",
        "retry-max-time",
        "upload-file",
        "url",
        "user",
        "user-agent",
        "write-out",
    }
)
_NUMERIC = frozenset({"connect-timeout", "max-time", "max-redirs", "retry", "retry-delay", "retry-max-time"})
_LOCAL_PORT = re.compile(r"[0-9]{1,5}(-[0-9]{1,5})?")
MORE = "try 'curl --help' or 'curl --manual' for more information"


class CurlOptions(Struct):
    """What a command line asks for. Times are seconds, 0 is no limit."""

    urls: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    data: list[bytes] = field(default_factory=list)
    form: list[tuple[str, str]] = field(default_factory=list)
    switches: set[str] = field(default_factory=set)
    values: dict[str, str] = field(default_factory=dict)
    resolve: dict[tuple[str, int], str] = field(default_factory=dict)
    connect_to: list[tuple[str, str, str, str]] = field(default_factory=list)  # host, port, and what they become
    json: bool = False

    def number(self, name: str, default: float = 0.0) -> float:
        """Return a numeric option."""
        return float(self.values.get(name, default))

    @property
    def method(self) -> str:
        """The request's method."""
        if "request" in self.values:
            return self.values["request"]
        if "head" in self.switches:
            return "HEAD"
        if "upload-file" in self.values:
            return "PUT"
        return "POST" if self.form or (self.data and "get" not in self.switches) else "GET"


async def read(arguments: Sequence[str], stdin: Input) -> CurlOptions:
    """Read a command line; `-d @-` takes the data from standard input. UsageError with curl's words."""
    options = CurlOptions()
    for said, name, value in _words(arguments):
        if name == "url":
            options.urls.append(value)
        elif name == "remote-name":
            options.outputs.append("-O")
        elif name in SWITCHES:
            options.switches.add(name)
        elif name.startswith("data") or name == "json":
            await _take_data(options, said, name, value, stdin)
        else:
            _take(options, said, name, value)
    return options


def _words(arguments: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield (the option as it was said, its long name, its value); a plain word is a URL."""
    words = iter(arguments)
    for word in words:
        if word == "--":
            yield from (("", "url", url) for url in words)
        elif word.startswith("--"):
            name = word[2:]
            if name in VALUED:
                yield word, name, _following(words, word)
            elif name in SWITCHES:
                yield word, name, ""
            else:
                raise UsageError(f"option {word}: is unknown")
        elif word.startswith("-") and len(word) > 1:
            yield from _cluster(word, words)
        else:
            yield "", "url", word


def _cluster(word: str, words: Iterator[str]) -> Iterator[tuple[str, str, str]]:
    """Read "-sSo/dev/null": letters, of which the first that takes a value takes the rest, or the next word."""
    for index, letter in enumerate(word[1:], 1):
        name = SHORT.get(letter)
        if name is None:
            raise UsageError(f"option {word}: is unknown")
        if name in VALUED:
            rest = word[index + 1 :]
            yield f"-{letter}", name, rest or _following(words, word)
            return
        yield f"-{letter}", name, ""


def _following(words: Iterator[str], said: str) -> str:
    value = next(words, None)
    if value is None:
        raise UsageError(f"option {said}: requires parameter")
    return value


def _take(options: CurlOptions, said: str, name: str, value: str) -> None:
    match name:
        case "output":
            options.outputs.append(value)
        case "header":
            options.headers.append(value)
        case "resolve":
            host, port, address = (*value.lstrip("+").split(":"), "", "")[:3]
            if not is_natural(port) or not address:
                raise UsageError(f"option {said}: is badly used here")
            options.resolve[host.lower(), int(port)] = address
        case "form" | "form-string":
            field_name, equals, text = value.partition("=")
            if not equals or (name == "form" and text[:1] in {"@", "<"}):  # a pod has no files to send
                raise UsageError(f"option {said}: is badly used here")
            options.form.append((field_name, text))
        case "connect-to":
            parts = value.split(":")
            if len(parts) != 4:
                raise UsageError(f"option {said}: is badly used here")
            options.connect_to.append((parts[0], parts[1], parts[2], parts[3]))
        case "local-port":
            if not _LOCAL_PORT.fullmatch(value):
                raise UsageError(f"option {said}: is badly used here")
            options.values[name] = value
        case _:
            if name in _NUMERIC and not _is_number(value):
                raise UsageError(f"option {said}: expected a proper numerical parameter")
            options.values[name] = value


async def _take_data(options: CurlOptions, said: str, name: str, value: str, stdin: Input) -> None:
    data = value.encode("utf-8", "surrogateescape")
    if name == "data-urlencode":
        from urllib.parse import quote

        key, equals, text = value.partition("=")
        data = ((f"{key}=" if equals and key else "") + quote(text if equals else key, safe="-._~")).encode()
    elif name != "data-raw" and value.startswith("@"):
        if value != "@-":
            raise UsageError(f"option {said}: error encountered when reading a file")
        data = b""
        while part := await stdin.read():
            data += part
        if name in {"data", "data-ascii"}:  # as curl, which takes a text file's lines as one
            data = data.replace(b"\r", b"").replace(b"\n", b"")
    options.json = options.json or name == "json"
    options.data.append(data)


def _is_number(text: str) -> bool:
    try:
        return float(text) >= 0
    except ValueError:
        return False
