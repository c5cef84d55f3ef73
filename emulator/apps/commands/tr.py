"""tr: characters to others."""

from __future__ import annotations

import re
from collections.abc import Sequence

from emulator.apps.environment import Invocation
from emulator.apps.options import UsageError, parse
from emulator.apps.shell.escapes import unescape

_CLASSES = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "digit": "0-9", "lower": "a-z", "upper": "A-Z", "space": "\t-\r ",
    "blank": "\t ", "punct": "!-/:-@[-`{-~", "xdigit": "0-9A-Fa-f", "cntrl": "\0-\x1f\x7f", "print": " -~",
    "graph": "!-~",
}  # fmt: skip
_ITEM = re.compile(r"\[:([a-z]+):\]|\[(.)\*([0-9]*)\]|(\\.)-(.)|(.)-(\\?.)|(\\[0-7]{1,3}|\\.)|(.)", re.DOTALL)


async def main(invocation: Invocation) -> int:
    """Run `tr [-cds] SET1 [SET2]` over bytes. Exit status 0, or 1 for what it does not understand."""
    try:
        options = parse(invocation.argv[1:], "cCdst", mixed=False)
        sets = [_characters(text) for text in options.operands]
        deletes, squeezes = "d" in options, "s" in options
        if not sets or (len(sets) < 2 and not (deletes or squeezes)):
            raise UsageError("missing operand" if not sets else f"missing operand after ‘{options.operands[0]}’")
        if len(sets) > 2:
            raise UsageError(f"extra operand ‘{options.operands[2]}’")
    except UsageError as error:
        invocation.write_error(f"tr: {error}\nTry 'tr --help' for more information.\n")
        return 1
    first = sets[0]
    if "c" in options or "C" in options:
        first = [code for code in range(256) if code not in set(first)]
    second = sets[1] if len(sets) > 1 else []
    table = bytearray(range(256))
    if not deletes and second:
        for index, code in enumerate(first):
            table[code] = second[min(index, len(second) - 1)]
    squeezed = set(second or first) if squeezes else set()
    removed = bytes(first) if deletes else b""
    last = -1
    while data := await invocation.stdin.read():
        data = data.translate(bytes(table), removed)
        out = bytearray()
        for code in data if squeezed else b"":
            if code != last or code not in squeezed:
                out.append(code)
            last = code
        await invocation.copy(bytes(out) if squeezed else data)
    return 0


def _characters(text: str) -> list[int]:
    """Return the bytes of a set. UsageError."""
    found: list[int] = []
    for match in _ITEM.finditer(text):
        name, repeated, count, escaped_start, after_escaped, start, end, escaped, char = match.groups()
        if name is not None:
            if name not in _CLASSES:
                raise UsageError(f"invalid character class ‘{name}’")
            found += _characters(_CLASSES[name])
        elif repeated is not None:
            found += [_code(repeated)] * int(count or 256)
        elif start is not None or escaped_start is not None:
            low, high = _code(start or escaped_start), _code(end or after_escaped)
            if low > high:
                raise UsageError(f"range-endpoints of ‘{match[0]}’ are in reverse collating sequence order")
            found += range(low, high + 1)
        else:
            found += _bytes(escaped if escaped is not None else char)
    return found


def _bytes(text: str) -> Sequence[int]:
    plain = unescape(text, octal_needs_zero=False).text
    if plain == text and text.startswith("\\") and len(text) > 1:
        plain = text[1:]
    return plain.encode("utf-8", "surrogateescape")


def _code(text: str) -> int:
    return _bytes(text)[0]
