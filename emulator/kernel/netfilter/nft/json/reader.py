"""Reads the JSON of libnftables by writing it as a script: what nft says of a script it says of its JSON too."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import cast

from emulator.kernel.netfilter.nft.error import NftError
from emulator.kernel.netfilter.nft.json.statement import element, statement

_VERBS = ("add", "create", "insert", "delete", "destroy", "replace", "flush")
Values = Mapping[str, object]
_LARGEST = 256_000_000  # characters
_DEEPEST = 64


def script(text: str) -> str:
    """Return the script that a document means. NftError if it is none of libnftables'."""
    if len(text) > _LARGEST:
        raise NftError("the JSON is larger than 256 MB")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NftError(f"not JSON: {error}") from None
    entries = document.get("nftables") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise NftError("Schema Error: missing 'nftables' array")
    lines: list[str] = []
    late: list[str] = []  # elements of listings: their chains come behind the sets there
    for number, entry in enumerate(entries):
        try:
            _entry(entry, lines, late)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise NftError(f"nftables[{number}]: {type(error).__name__}: {error}") from None
    return "\n".join([*lines, *late]) + "\n"


def _entry(entry: object, lines: list[str], late: list[str]) -> None:
    if not isinstance(entry, dict) or len(entry) != 1:
        raise ValueError("an object with one member is needed here")
    word, value = next(iter(entry.items()))
    if word == "metainfo":
        return
    if word in _VERBS:
        if not isinstance(value, dict) or len(value) != 1:
            raise ValueError(f"{word} needs an object with one member")
        what, values = next(iter(value.items()))
        if word == "flush" and what == "ruleset":
            lines.append("flush ruleset")
            return
        _command(word, what, values, lines, lines)
        return
    _command("add", word, value, lines, late)


def _command(verb: str, what: str, values: Values, lines: list[str], late: list[str]) -> None:
    writer = _WRITERS.get(what)
    if writer is None:
        raise ValueError(f"{what} is not supported here")
    if verb in ("delete", "destroy", "flush") and what != "element":
        tail = f" handle {_number(values['handle'])}" if what == "rule" else ""
        name = values.get("chain" if what == "rule" else "name")
        table = values.get("table")
        names = [_name(each) for each in ((table, name) if what != "table" else (name,)) if each is not None]
        lines.append(f"{verb} {what} {_name(values['family'])} {' '.join(names)}{tail}")
        return
    writer(verb, values, lines, late)


def _name(value: object) -> str:
    text = str(value)
    if any(letter in text for letter in '"\n;{}'):
        raise ValueError(f"not a name: {text!r}")
    return text


def quoted(value: object) -> str:
    """Return a string in quotes."""
    text = str(value)
    if '"' in text or "\n" in text:
        raise ValueError(f"a string with a quotation mark or newline: {text!r}")
    return f'"{text}"'


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"not a number: {value!r}")
    return value


def _table(verb: str, values: Values, lines: list[str], late: list[str]) -> None:
    flags = values.get("flags")
    more = []
    if flags in ("dormant", "dorm", ["dormant"]):
        more.append("flags dormant; ")
    if values.get("comment"):
        more.append(f"comment {quoted(values['comment'])}; ")
    block = f" {{ {''.join(more)}}}" if more else ""
    lines.append(f"{verb} table {_name(values['family'])} {_name(values['name'])}{block}")


def _chain(verb: str, values: Values, lines: list[str], late: list[str]) -> None:
    line = f"{verb} chain {_place(values)} {_name(values['name'])}"
    parts = []
    if "hook" in values:
        kind, hook = _name(values["type"]), _name(values["hook"])
        parts.append(f"type {kind} hook {hook} priority {_number(values['prio'])}; ")
        parts.append(f"policy {_name(values.get('policy', 'accept'))}; ")
    if values.get("comment"):
        parts.append(f"comment {quoted(values['comment'])}; ")
    lines.append(f"{line} {{ {''.join(parts)}}}" if parts else line)


def _place(values: Values) -> str:
    return f"{_name(values['family'])} {_name(values['table'])}"


def _rule(verb: str, values: Values, lines: list[str], late: list[str]) -> None:
    where = ""
    if verb == "replace":
        where = f"handle {_number(values['handle'])} "
    elif "index" in values:
        where = f"index {_number(values['index'])} "
    words = [statement(each) for each in cast("Sequence[object]", values["expr"])]
    if values.get("comment"):
        words.append(f"comment {quoted(values['comment'])}")
    late.append(f"{verb} rule {_place(values)} {_name(values['chain'])} {where}{' '.join(words)}")


def _set(verb: str, values: Values, lines: list[str], late: list[str], word: str = "set") -> None:
    kinds = values["type"]
    type_words = " . ".join(map(_name, kinds)) if isinstance(kinds, list) else _name(kinds)
    if word == "map":
        data = values["map"]
        type_words += f" : {' . '.join(map(_name, data)) if isinstance(data, list) else _name(data)}"
    parts = [f"type {type_words}; "]
    flags = values.get("flags")
    if flags:
        parts.append(f"flags {','.join(map(_name, flags)) if isinstance(flags, list) else _name(flags)}; ")
    for name, key in (("timeout", "timeout"), ("gc-interval", "gc-interval"), ("size", "size")):
        if key in values:
            parts.append(f"{name} {_number(values[key])}{'' if name == 'size' else 's'}; ")
    if values.get("policy"):
        parts.append(f"policy {_name(values['policy'])}; ")
    if values.get("auto-merge"):
        parts.append("auto-merge; ")
    if values.get("stmt"):
        parts.append("counter; ")
    if values.get("comment"):
        parts.append(f"comment {quoted(values['comment'])}; ")
    lines.append(f"{verb} {word} {_place(values)} {_name(values['name'])} {{ {''.join(parts)}}}")
    if values.get("elem"):
        _elements("add", values, lines, late)


def _map(verb: str, values: Values, lines: list[str], late: list[str]) -> None:
    _set(verb, values, lines, late, "map")


def _elements(verb: str, values: Values, lines: list[str], late: list[str]) -> None:
    found = values["elem"]
    each = found if isinstance(found, Iterable) and not isinstance(found, str | dict) else [found]
    late.append(f"{verb} element {_place(values)} {_name(values['name'])} {{ {', '.join(map(element, each))} }}")


def _counter(verb: str, values: Values, lines: list[str], late: list[str]) -> None:
    parts = []
    if "packets" in values:
        parts.append(f"packets {_number(values['packets'])} bytes {_number(values['bytes'])}; ")
    if values.get("comment"):
        parts.append(f"comment {quoted(values['comment'])}; ")
    lines.append(f"{verb} counter {_place(values)} {_name(values['name'])} {{ {''.join(parts)}}}")


_WRITERS: Mapping[str, Callable[[str, Values, list[str], list[str]], None]] = {
    "table": _table,
    "chain": _chain,
    "rule": _rule,
    "set": _set,
    "map": _map,
    "element": _elements,
    "counter": _counter,
}
