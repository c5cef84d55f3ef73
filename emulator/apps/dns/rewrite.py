"""The plugin `rewrite`, its rules for names: another name is looked up, and answered for under the one asked for.

Source: CoreDNS's plugin/rewrite (name.go).
"""

from __future__ import annotations

import re

from msgspec import Struct
from msgspec.structs import replace

from emulator.apps.dns.corefile import Directive
from emulator.apps.dns.request import Handler, Request, full_name
from emulator.packet import dns
from emulator.packet.dns_record import Question

_KINDS = frozenset({"exact", "prefix", "suffix", "substring", "regex"})


class NameRule(Struct, frozen=True):
    """One rule: `old` is compared as `kind` says and becomes `new`; after `proceed` others are looked at too."""

    kind: str
    old: str
    new: str
    proceed: bool = False

    def apply(self, name: str) -> str | None:
        """Return the other name of a lower-case name, or None where the rule does not match."""
        if self.kind == "exact":
            return full_name(self.new) if name == full_name(self.old) else None
        if self.kind == "prefix":
            return self.new + name.removeprefix(self.old) if name.startswith(self.old) else None
        if self.kind == "suffix":
            old, new = full_name(self.old), full_name(self.new)
            return name.removesuffix(old) + new if name.endswith(old) else None
        if self.kind == "substring":
            return name.replace(self.old, self.new) if self.old in name else None
        match = re.search(self.old, name)
        if match is None:
            return None
        return full_name(re.sub(r"\{(\d+)\}", lambda number: match.group(int(number[1])) or "", self.new))


def name_rule(directive: Directive) -> NameRule:
    """Read `rewrite [continue|stop] name [exact|prefix|suffix|substring|regex] FROM TO`. CorefileError."""
    words = list(directive.line.arguments)
    proceed = words[:1] == ["continue"]
    if words[:1] in (["continue"], ["stop"]):
        words.pop(0)
    if words[:1] != ["name"] or directive.block:
        raise directive.line.wrong("of rewrite, rules for names are there: rewrite name FROM TO")
    words.pop(0)
    kind = words.pop(0) if len(words) > 2 and words[0] in _KINDS else "exact"
    if words[2:] == ["answer", "auto"]:
        words = words[:2]
    if len(words) != 2:
        raise directive.line.argument_error()
    if kind == "regex":
        try:
            groups = re.compile(words[0]).groups
        except re.error as error:
            raise directive.line.wrong(f"invalid regex pattern in a name rule: {words[0]} ({error})") from None
        if any(int(number) > groups for number in re.findall(r"\{(\d+)\}", words[1])):
            raise directive.line.wrong(f"the rewrite regex rule has fewer groups than {words[1]} uses")
    return NameRule(kind, words[0].lower(), words[1], proceed)


class Rewrite:
    """Asks the next plugin for another name where a rule says so."""

    def __init__(self, rules: tuple[NameRule, ...], following: Handler) -> None:
        self._rules = rules
        self._next = following

    async def serve(self, request: Request) -> dns.Message:
        """Answer under the name that was asked for."""
        name = request.name
        for rule in self._rules:
            other = rule.apply(name)
            if other is not None:
                name = other
                if not rule.proceed:
                    break
        if name == request.name:
            return await self._next.serve(request)
        asked = request.question
        query = replace(request.query, questions=(Question(name, asked.type, asked.rclass),))
        message = await self._next.serve(Request(query, request.edns, request.over_tcp, request.client))
        answers = tuple(
            replace(record, name=asked.name) if record.name.lower() == name else record for record in message.answers
        )
        return replace(message, questions=request.query.questions, answers=answers)
