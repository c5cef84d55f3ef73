"""Statements and expressions of libnftables' JSON as words of a script."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_PLAIN = ("accept", "drop", "continue", "return", "notrack")
_FLAG_WORDS = ("tcp flags", "ct state", "ct status")


def statement(value: Any) -> str:
    """Return one statement's words. ValueError for what is none, or not to be had here."""
    if isinstance(value, str) and not any(letter in value for letter in "\n;"):
        return value  # nft prints so what it has no JSON for
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError("a statement is an object with one member")
    word, values = next(iter(value.items()))
    if word in _PLAIN:
        return str(word)
    if word in ("jump", "goto"):
        return f"{word} {values['target']}"
    writer = _STATEMENTS.get(word)
    if writer is None:
        raise ValueError(f"{word} is not supported here")
    return writer(values)


def _match(values: Any) -> str:
    left, right, operator = expression(values["left"]), values["right"], values.get("op", "==")
    if left.startswith("fib ") and isinstance(right, bool):
        return f"{left} {'exists' if right else 'missing'}"
    if left.startswith(_FLAG_WORDS) and not _is_set(right):
        return _flag_match(values["left"], left, right, operator)
    sign = "" if operator in ("==", "in") else f"{operator} "
    return f"{left} {sign}{expression(right)}"


def _is_set(value: Any) -> bool:
    return (isinstance(value, str) and value.startswith("@")) or (isinstance(value, dict) and "set" in value)


def _flag_match(left_value: Any, left: str, right: Any, operator: str) -> str:
    right = right["|"] if isinstance(right, dict) else right
    flags = ",".join(map(str, right)) if isinstance(right, list) else str(right)
    if isinstance(left_value, dict) and "&" in left_value:
        inner, mask = left_value["&"]
        mask_words = "|".join(map(str, mask)) if isinstance(mask, list) else str(mask)
        return f"{expression(inner)} & ({mask_words}) {operator} ({flags.replace(',', '|')})"
    if operator == "in":
        return f"{left} {flags}"
    return f"{left} {operator} {flags}"


def _counter(values: Any) -> str:
    if values is None:
        return "counter"
    if isinstance(values, str):
        return f'counter name "{values}"'
    if "map" in values:
        return f"counter name {expression(values)}"
    return f"counter packets {int(values['packets'])} bytes {int(values['bytes'])}"


def _vmap(values: Any) -> str:
    return f"{expression(values['key'])} vmap {_set(values['data'])}"


def _mangle(values: Any) -> str:
    value = values["value"]
    return f"{expression(values['key'])} set {expression(value)}"


def _log(values: Any) -> str:
    words = ["log"]
    if values:
        if "prefix" in values:
            words.append(f'prefix "{_unquoted(values["prefix"])}"')
        words += [f"{key} {values[key]}" for key in ("group", "snaplen", "queue-threshold", "level") if key in values]
        flags = values.get("flags", [])
        words += [f"flags {flag}" for flag in ([flags] if isinstance(flags, str) else flags)]
    return " ".join(words)


def _unquoted(value: Any) -> str:
    if '"' in str(value) or "\n" in str(value):
        raise ValueError("a string with a quotation mark or newline")
    return str(value)


def _limit(values: Any) -> str:
    over = "over " if values.get("inv") else ""
    unit = values.get("rate_unit", "packets")
    size = "" if unit == "packets" else f" {unit} "
    text = f"limit rate {over}{int(values['rate'])}{size}/{values.get('per', 'second')}"
    burst = values.get("burst")
    if burst:
        text += f" burst {int(burst)} {values.get('burst_unit', 'packets')}"
    return text


def _reject(values: Any) -> str:
    if not values:
        return "reject"
    if values["type"] == "tcp reset":
        return "reject with tcp reset"
    return f"reject with {values['type']} {values['expr']}"


def _translation(word: str) -> Callable[[Any], str]:
    def write(values: Any) -> str:
        if not values:
            return word
        words = [word]
        if "family" in values:
            words.append(values["family"])
        target = expression(values["addr"]) if "addr" in values else ""
        if "port" in values:
            target += f":{expression(values['port'])}"
        if target:
            words += ["to", target]
        flags = values.get("flags", [])
        flags = [flags] if isinstance(flags, str) else flags
        return " ".join([*words, *([",".join(flags)] if flags else [])])

    return write


def _dynamic(values: Any) -> str:
    words = [element(values["elem"])]
    words += [statement(each) for each in values.get("stmt", [])]
    if "data" in values:
        words.append(f": {expression(values['data'])}")
    return f"{values['op']} {values.get('set', values.get('map'))} {{ {' '.join(words)} }}"


_STATEMENTS: Mapping[str, Callable[[Any], str]] = {
    "match": _match,
    "counter": _counter,
    "vmap": _vmap,
    "mangle": _mangle,
    "log": _log,
    "limit": _limit,
    "reject": _reject,
    "dnat": _translation("dnat"),
    "snat": _translation("snat"),
    "masquerade": _translation("masquerade"),
    "redirect": _translation("redirect"),
    "set": _dynamic,
    "map": _dynamic,
}


def expression(value: Any) -> str:
    """Return one expression's words."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return value if value.startswith("@") or (value.isascii() and _is_word(value)) else f'"{_unquoted(value)}"'
    if isinstance(value, list):
        return ",".join(map(expression, value))
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError(f"not an expression: {value!r}")
    word, values = next(iter(value.items()))
    if word in ("&", "|", "^"):
        left, right = values
        mask = f"({'|'.join(map(str, right))})" if isinstance(right, list) else expression(right)
        return f"{expression(left)} {word} {mask}"
    writer = _EXPRESSIONS.get(word)
    if writer is None:
        raise ValueError(f"{word} is not supported here")
    return writer(values)


def _is_word(value: str) -> bool:
    return bool(value) and all(letter.isalnum() or letter in "_.:-/" for letter in value)


def _payload(values: Any) -> str:
    if "base" in values:
        raise ValueError("raw payload is not supported here")
    return f"{values['protocol']} {values['field']}"


def _ct(values: Any) -> str:
    return f"ct {values['dir']} {values['key']}" if "dir" in values else f"ct {values['key']}"


def _fib(values: Any) -> str:
    flags = values.get("flags", [])
    return f"fib {' . '.join([flags] if isinstance(flags, str) else flags)} {values['result']}"


def _numgen(values: Any) -> str:
    offset = f" offset {values['offset']}" if values.get("offset") else ""
    return f"numgen {values['mode']} mod {values['mod']}{offset}"


def _jhash(values: Any) -> str:
    text = f"jhash {expression(values['expr'])} mod {values['mod']}"
    text += f" seed {values['seed']}" if "seed" in values else ""
    return text + (f" offset {values['offset']}" if values.get("offset") else "")


def _range(values: Any) -> str:
    low, high = values
    return f"{expression(low)}-{expression(high)}"


def _set(value: Any) -> str:
    if isinstance(value, str):
        return value
    found = value["set"] if isinstance(value, dict) else value
    return f"{{ {', '.join(map(element, found))} }}"


_EXPRESSIONS: Mapping[str, Callable[[Any], str]] = {
    "payload": _payload,
    "meta": lambda values: f"meta {values['key']}",
    "ct": _ct,
    "fib": _fib,
    "numgen": _numgen,
    "jhash": _jhash,
    "range": _range,
    "prefix": lambda values: f"{expression(values['addr'])}/{int(values['len'])}",
    "concat": lambda values: " . ".join(map(expression, values)),
    "set": _set,
    "map": lambda values: f"{expression(values['key'])} map {_set(values['data'])}",
    "elem": lambda values: element({"elem": values}),
}


def element(value: Any) -> str:
    """Return the words of an element: of a map a pair of key and data."""
    if isinstance(value, list):
        key, data = value
        return f"{element(key)} : {_data(data)}"
    if isinstance(value, dict) and "elem" in value:
        values = value["elem"]
        words = [element(values["val"])]
        if "counter" in values:
            words.append(_counter(values["counter"]))
        words += [f"{key} {int(values[key])}s" for key in ("timeout", "expires") if key in values]
        if "comment" in values:
            words.append(f'comment "{_unquoted(values["comment"])}"')
        return " ".join(words)
    if isinstance(value, str) and (value == "*" or value.endswith("*")):
        return value if value == "*" else f'"{_unquoted(value)}"'
    return expression(value)


def _data(value: Any) -> str:
    if isinstance(value, dict) and next(iter(value)) in (*_PLAIN, "jump", "goto"):
        return statement(value)
    return expression(value)
