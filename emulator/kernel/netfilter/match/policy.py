"""`-m policy`: what IPsec did, or will do, with the packet (xt_policy.c). There is no IPsec here: nothing, always."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.hook import Hook
from emulator.kernel.netfilter.match.base import Match
from emulator.kernel.netfilter.options import (
    format_network,
    format_protocol,
    parse_host_mask,
    parse_integer,
    parse_protocol,
)

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Option, Options
    from emulator.kernel.skb import Skb

_IN = frozenset({Hook.PREROUTING, Hook.INPUT, Hook.FORWARD})
_OUT = frozenset({Hook.FORWARD, Hook.OUTPUT, Hook.POSTROUTING})
_DEEPEST = 4  # XT_POLICY_MAX_ELEM
_ELEMENT_OPTIONS = ("--reqid", "--spi", "--proto", "--mode", "--tunnel-dst", "--tunnel-src")  # as they are printed
_PROTOCOLS = (50, 51, 108)  # ESP, AH, IPComp
_MODES = ("transport", "tunnel")

Value = int | str | tuple[int, int]


class Element(Struct, frozen=True):
    """One transformation: what is asked of it, each with whether it is inverted, in the order of printing."""

    tests: tuple[tuple[str, Value, bool], ...]

    def format(self, dashes: str, *, numeric: bool) -> str:
        """Print its tests."""
        words = []
        for name, value, inverted in self.tests:
            if isinstance(value, tuple):
                text = format_network(*value, host_length=False)
            elif name == "--spi":
                text = f"{value:#x}"
            elif name == "--proto" and not numeric:
                text = format_protocol(int(value))
            else:
                text = str(value)
            words.append(f"{'! ' if inverted else ''}{dashes}{name[2:]} {text}")
        return " ".join(words)


class Policy(Match, frozen=True):
    """`-m policy --dir in --pol ipsec --strict --proto esp --mode tunnel --next --proto ah`."""

    name = "policy"
    options: ClassVar[Mapping[str, int]] = {
        "--dir": 1,
        "--pol": 1,
        "--strict": 0,
        "--next": 0,
        **dict.fromkeys(_ELEMENT_OPTIONS, 1),
    }
    invertible = frozenset(_ELEMENT_OPTIONS)
    repeatable = frozenset({*_ELEMENT_OPTIONS, "--next"})

    incoming: bool
    none: bool = False
    strict: bool = False
    elements: tuple[Element, ...] = ()

    @property
    def hooks(self) -> frozenset[Hook]:
        return _IN if self.incoming else _OUT

    @classmethod
    def parse(cls, options: Options) -> Policy:
        direction, policy = options.get("--dir"), options.get("--pol")
        if direction is not None and direction.value not in ("in", "out"):
            raise RuleError(f'policy_match: invalid dir "{direction.value}"')
        if policy is not None and policy.value not in ("none", "ipsec"):
            raise RuleError(f'policy match: invalid policy "{policy.value}"')
        strict = options.has("--strict")
        elements = _read_elements(options.by_name.values())
        if len(elements) > 1 and not strict:
            raise RuleError('policy: option "--next" also requires "--strict".')
        if direction is None:
            raise RuleError("policy match: neither --dir in nor --dir out specified")
        none = policy is not None and policy.value == "none"
        if none:
            if strict:
                raise RuleError("policy match: policy none but --strict given")
            elements = []
        for place, element in enumerate(elements):
            _check_element(place, element, strict=strict)
        return cls(direction.value == "in", none, strict, tuple(elements))

    def format(self) -> str:
        words = [self._flags("--")]
        for place, element in enumerate(self.elements):
            words += ["--next"] if place else []
            words.append(element.format("--", numeric=False))
        return " ".join(word for word in words if word)

    def listing(self, names: Names) -> str:
        words = ["policy match", self._flags("")]
        for place, element in enumerate(self.elements):
            words += [f"[{place}]"] if len(self.elements) > 1 else []
            words.append(element.format("", numeric=names.numeric))
        return " ".join(word for word in words if word)

    def _flags(self, dashes: str) -> str:
        strict = f" {dashes}strict" if self.strict else ""
        return f"{dashes}dir {'in' if self.incoming else 'out'} {dashes}pol {'none' if self.none else 'ipsec'}{strict}"

    def seen(self, skb: Skb, context: Context) -> str:
        return "no IPsec"

    def matches(self, skb: Skb, context: Context) -> bool:
        return self.none


def _read_elements(given: Iterable[Option]) -> list[Element]:
    elements: list[dict[str, tuple[str, Value, bool]]] = [{}]
    for option in given:
        name = option.name
        if name == "--next":
            if len(elements) == _DEEPEST:
                raise RuleError("policy match: maximum policy depth reached")
            elements.append({})
        elif name in _ELEMENT_OPTIONS:
            if name in elements[-1]:
                raise RuleError(f"policy match: double {name} option")
            elements[-1][name] = (name, _read_value(name, option.value), option.inverted)
    return [Element(tuple(tests[name] for name in _ELEMENT_OPTIONS if name in tests)) for tests in elements]


def _read_value(name: str, text: str) -> Value:
    if name in ("--tunnel-src", "--tunnel-dst"):
        return parse_host_mask(text)
    if name == "--proto":
        protocol = parse_protocol(text)
        if protocol not in _PROTOCOLS:
            raise RuleError("policy match: protocol must be ah/esp/ipcomp")
        return protocol
    if name == "--mode":
        if text not in _MODES:
            raise RuleError(f'policy match: invalid mode "{text}"')
        return text
    return parse_integer(text, f"policy: {name}")


def _check_element(place: int, element: Element, *, strict: bool) -> None:
    if strict and not element.tests:
        raise RuleError(
            f"policy match: empty policy element {place}. --strict is in effect, but at least one of reqid, spi, "
            "tunnel-src, tunnel-dst, proto or mode is required."
        )
    tests = {name: (value, inverted) for name, value, inverted in element.tests}
    mode, inverted = tests.get("--mode", ("transport", False))
    if ("--tunnel-src" in tests or "--tunnel-dst" in tests) and (mode == "tunnel") is inverted:
        raise RuleError("policy match: --tunnel-src/--tunnel-dst is only valid in tunnel mode")
