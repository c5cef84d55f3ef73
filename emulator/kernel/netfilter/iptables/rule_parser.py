"""Reading a rule from the words that follow `-A CHAIN`, as iptables does; whatever is not known is named."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import TYPE_CHECKING, cast

from emulator.kernel.netfilter.error import OtherFamilyError, RuleError, Unknown, UnknownError
from emulator.kernel.netfilter.iptables.rule import Interface, Network, RuleSpec
from emulator.kernel.netfilter.match import MATCHES
from emulator.kernel.netfilter.options import (
    Option,
    Options,
    expand,
    format_protocol,
    parse_network,
    parse_protocol,
)
from emulator.kernel.netfilter.target import TARGETS
from emulator.packet.digits import is_natural

if TYPE_CHECKING:
    from emulator.kernel.netfilter.match.base import Match
    from emulator.kernel.netfilter.target.base import Target

Values = dict[object, "Match | Target"]  # by kind, protocol and options

LONG_OPTIONS = {
    "--source": "-s",
    "--src": "-s",
    "--destination": "-d",
    "--dst": "-d",
    "--in-interface": "-i",
    "--out-interface": "-o",
    "--protocol": "-p",
    "--match": "-m",
    "--jump": "-j",
    "--goto": "-g",
    "--fragments": "-f",
    "--set-counters": "-c",
    "--ipv4": "-4",
    "--ipv6": "-6",
}
_JOINED = ("-s", "-d", "-p", "-i", "-o")
_INTERFACE_LENGTH = 15
_MERGED = frozenset({"tcp", "udp", "sctp", "icmp"})
_IMPLICIT = _MERGED | {"dccp", "esp", "ah", "ipcomp"}  # loaded by `-p` when one of their options is met


class _Extension:
    """A match or target that the rule loads, and its options so far."""

    __slots__ = ("given", "kind")

    def __init__(self, kind: type[Match | Target]) -> None:
        self.kind = kind
        self.given: dict[str, Option] = {}


class RuleParser:
    """Parses one rule; `parse` may be called once. `chains` are those of the table that the rule may jump to.

    `values` keeps what options were read to: rules that come together mostly use the same matches and targets again.
    """

    __slots__ = (
        "_at",
        "_chains",
        "_destinations",
        "_fragment",
        "_goto",
        "_in",
        "_jump",
        "_matches",
        "_out",
        "_protocol",
        "_protocol_inverted",
        "_sources",
        "_target",
        "_values",
        "_words",
        "counters",
    )

    def __init__(self, words: Sequence[str], chains: Container[str], values: Values) -> None:
        self._words = words
        self._chains = chains
        self._values = values
        self._at = 0
        self._sources: tuple[str, bool] | None = None  # as written, and whether inverted
        self._destinations: tuple[str, bool] | None = None
        self._in: Interface | None = None
        self._out: Interface | None = None
        self._protocol = 0
        self._protocol_inverted = False
        self._fragment: bool | None = None
        self._matches: list[_Extension] = []
        self._target: _Extension | None = None
        self._jump = ""
        self._goto = False
        self.counters: tuple[int, int] | None = None  # of `-c`

    def parse(self) -> list[RuleSpec]:
        """Return the rule, or several if -s or -d has a list of addresses."""
        inverted = False
        while self._at < len(self._words):  # which grow where a value is in the word of its option
            word = self._words[self._at]
            self._at += 1
            handler = _HANDLERS.get(word)
            if handler is not None:
                handler(self, word, inverted)
            elif word == "!":
                if inverted:
                    raise RuleError("multiple consecutive ! not allowed")
                inverted = True
                continue
            else:
                self._take_other(word, inverted)
            inverted = False
        if inverted:
            raise RuleError("nothing appropriate following !")
        return self._finish()

    def _next(self, word: str) -> str:
        if self._at >= len(self._words):
            raise RuleError(f'option "{word}" requires an argument')
        value = self._words[self._at]
        self._at += 1
        return value

    def _take_other(self, word: str, inverted: bool) -> None:
        flag = LONG_OPTIONS.get(word)
        if flag is not None:
            _HANDLERS[flag](self, flag, inverted)
        elif word[:2] == "--":
            self._take_option(word, inverted)
        else:
            if word[:1] != "-":
                raise RuleError(f"Bad argument `{word}'")
            if joined(word):
                self._words = [*self._words[: self._at], word, *self._words[self._at :]]
                _HANDLERS[word[:2]](self, word[:2], inverted)
                return
            if word in ("-t", "--table"):
                raise RuleError("The -t option cannot be used in iptables-restore.")
            raise UnknownError(Unknown("option", word), f'unknown option "{word}"')

    # Options of the rule itself

    def _take_family(self, flag: str, inverted: bool) -> None:
        if flag == "-6":
            raise OtherFamilyError

    def _take_source(self, flag: str, inverted: bool) -> None:
        self._sources = self._addresses(self._next(flag), flag, inverted, self._sources is not None)

    def _take_destination(self, flag: str, inverted: bool) -> None:
        self._destinations = self._addresses(self._next(flag), flag, inverted, self._destinations is not None)

    @staticmethod
    def _addresses(text: str, flag: str, inverted: bool, again: bool) -> tuple[str, bool]:
        if again:
            raise RuleError(f"multiple {flag} flags not allowed")
        return text, inverted

    @staticmethod
    def _networks(written: tuple[str, bool] | None, flag: str) -> list[Network]:
        """Read addresses, as iptables does when all words are read."""
        if written is None:
            return []
        text, inverted = written
        parts = text.split(",")
        if inverted and len(parts) > 1:
            raise RuleError(f"! not allowed with multiple addresses in {flag}")
        networks = [Network(*parse_network(part), inverted) for part in parts]
        if inverted and not networks[0].mask:
            raise RuleError(f"! {flag} {text} would never match")
        return networks

    def _take_in(self, flag: str, inverted: bool) -> None:
        self._in = self._interface(self._next(flag), inverted)

    def _take_out(self, flag: str, inverted: bool) -> None:
        self._out = self._interface(self._next(flag), inverted)

    @staticmethod
    def _interface(name: str, inverted: bool) -> Interface | None:
        if not name or len(name) > _INTERFACE_LENGTH:
            raise RuleError(f"interface name `{name}' must be shorter than IFNAMSIZ ({_INTERFACE_LENGTH})")
        return None if name == "+" and not inverted else Interface(name, inverted)

    def _take_protocol(self, flag: str, inverted: bool) -> None:
        self._protocol = parse_protocol(self._next(flag))
        self._protocol_inverted = inverted
        if not self._protocol and inverted:
            raise RuleError("rule would never match protocol")

    def _take_fragment(self, flag: str, inverted: bool) -> None:
        self._fragment = not inverted

    def _take_counters(self, flag: str, inverted: bool) -> None:
        _refuse_not(flag, inverted)
        packets = self._next(flag)
        if self._at >= len(self._words) or self._words[self._at][:1] in ("-", "!"):
            raise RuleError("-c requires packet and byte counter")
        octets = self._next(flag)
        if not is_natural(packets) or not is_natural(octets):
            raise RuleError(f"-c {'byte' if is_natural(packets) else 'packet'} counter not numeric")
        self.counters = int(packets), int(octets)

    # Matches and targets

    def _take_match(self, flag: str, inverted: bool) -> None:
        _refuse_not(flag, inverted)
        name = self._next(flag)
        kind = MATCHES.get(name)
        if kind is None:
            raise unknown_match(name)
        self._matches.append(_Extension(kind))

    def _take_target(self, flag: str, inverted: bool) -> None:
        _refuse_not(flag, inverted)
        if self._target is not None or self._jump:
            raise RuleError(f"multiple {flag} flags not allowed")
        name = self._next(flag)
        kind = TARGETS.get(name)
        if kind is None or flag == "-g":
            if not name or name[0] in "-!" or len(name) > 28:
                raise RuleError(f"Invalid target name `{name}'")
            self._jump = name
            self._goto = flag == "-g"
        else:
            self._target = _Extension(kind)

    def _option_names(self) -> Iterator[str]:
        """Yield the options of what is loaded."""
        for extension in self._matches:
            yield from extension.kind.options
        if self._target is not None:
            yield from self._target.kind.options

    def _take_option(self, name: str, inverted: bool) -> None:
        extension = self._owner(name)
        if extension is None:  # written short, or with its value behind a =
            flag = LONG_OPTIONS.get(expand(name, (*LONG_OPTIONS, *self._option_names())))
            if flag is not None:
                _HANDLERS[flag](self, flag, inverted)
                return
            name, equals, value = name.partition("=")
            protocol = format_protocol(self._protocol)
            implied = MATCHES[protocol].options if protocol in _IMPLICIT else ()
            name = expand(name, (*self._option_names(), *implied))
            extension = self._owner(name)
            if equals:
                self._words = [*self._words[: self._at], value, *self._words[self._at :]]
        if extension is None:
            if self._jump and self._jump not in self._chains:
                raise UnknownError(
                    Unknown("target", self._jump),
                    f'unknown option "{name}": target {self._jump} is not supported; '
                    f"known are {', '.join(sorted(TARGETS))}",
                )
            raise UnknownError(Unknown("option", name), f'unknown option "{name}"')
        key = name
        if name in extension.given:
            if name not in extension.kind.repeatable:
                raise RuleError(f'{extension.kind.name}: option "{name}" can only be used once')
            key = f"{name} {len(extension.given)}"
        if inverted and name not in extension.kind.invertible:
            raise RuleError(f'{extension.kind.name}: option "{name}" cannot be inverted.')
        count = extension.kind.options[name]
        if count == 1:  # as most have
            values: tuple[str, ...] = (self._next(name),)
        else:
            values = tuple([self._next(name) for _ in range(count)])
        if count > 1 and values[-1][:1] in ("-", "!"):
            raise RuleError(f"{name} requires two args.")
        extension.given[key] = Option(name, values, inverted)

    def _owner(self, name: str) -> _Extension | None:
        target = self._target
        if target is not None and name in target.kind.options:
            return target
        for extension in reversed(self._matches):
            if name in extension.kind.options:
                return extension
        protocol = format_protocol(self._protocol)
        kind = MATCHES[protocol] if protocol in _IMPLICIT else None
        if kind is None or name not in kind.options or any(match.kind is kind for match in self._matches):
            return None
        implicit = _Extension(kind)
        self._matches.append(implicit)
        return implicit

    # The whole

    def _finish(self) -> list[RuleSpec]:
        matches = tuple([cast("Match", self._read(found)) for found in self._merged()])
        target = None
        if self._target is not None:
            target = cast("Target", self._read(self._target))
        sources, destinations = self._networks(self._sources, "-s"), self._networks(self._destinations, "-d")
        return [
            RuleSpec(
                source,
                destination,
                self._in,
                self._out,
                self._protocol,
                self._protocol_inverted,
                self._fragment,
                matches,
                target,
                self._jump,
                self._goto,
            )
            for source in _one_or_none(sources)
            for destination in _one_or_none(destinations)
        ]

    def _merged(self) -> list[_Extension]:
        """Fold `-m udp --sport 1 -m udp --dport 2` into one match, as iptables prints it."""
        if len(self._matches) < 2:
            return self._matches
        merged: list[_Extension] = []
        for extension in self._matches:
            ports = extension.kind.name in _MERGED
            same = next((known for known in merged if ports and known.kind is extension.kind), None)
            if same is None:
                merged.append(extension)
            else:
                same.given.update(extension.given)
        return merged

    def _read(self, extension: _Extension) -> Match | Target:
        """Let a match or target read its options, or take what the same options made before: it is a value."""
        kind = extension.kind
        key = (kind, self._protocol, self._protocol_inverted, *extension.given.values())
        known = self._values.get(key)
        if known is None:
            options = Options(kind.name, extension.given, self._protocol, self._protocol_inverted)
            known = self._values[key] = kind.parse(options)
        return known


def unknown_match(name: str) -> UnknownError:
    """Return the error of a match that is not here."""
    known = ", ".join(sorted(MATCHES))
    return UnknownError(Unknown("match", name), f"Couldn't load match `{name}': not supported; known are {known}")


def joined(word: str) -> bool:
    """Whether a word is a short option with its value right behind it, `-s10.0.0.1`.

    iptables 1.8.9 then takes the whole word for the value, `-s` and all: no address is called so, but `-dport` is read.
    """
    return len(word) > 2 and word[:2] in _JOINED


def _one_or_none(networks: list[Network]) -> list[Network | None]:
    """Return what there is to test; 0.0.0.0/0 is nothing."""
    return [network if network.mask else None for network in networks] or [None]


def _refuse_not(flag: str, inverted: bool) -> None:
    if inverted:
        raise RuleError(f"unexpected ! flag before {flag}")


_HANDLERS = {
    "-4": RuleParser._take_family,
    "-6": RuleParser._take_family,
    "-s": RuleParser._take_source,
    "-d": RuleParser._take_destination,
    "-i": RuleParser._take_in,
    "-o": RuleParser._take_out,
    "-p": RuleParser._take_protocol,
    "-f": RuleParser._take_fragment,
    "-c": RuleParser._take_counters,
    "-m": RuleParser._take_match,
    "-j": RuleParser._take_target,
    "-g": RuleParser._take_target,
}


def parse_rule(
    words: Sequence[str], chains: Container[str], values: Values | None = None
) -> tuple[list[RuleSpec], tuple[int, int] | None]:
    """Return the rules that the words make, and the counters that `-c` gave them.

    Whoever parses many hands the same `values` in each time.
    """
    parser = RuleParser(words, chains, {} if values is None else values)
    return parser.parse(), parser.counters
