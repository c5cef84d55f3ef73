"""`define NAME = …` and `$NAME`: variables are put in place of their names before anything is read."""

from __future__ import annotations

from emulator.kernel.netfilter.nft.script.lexer import END, MARK, NEWLINE, WORD, Tokens

_DEFINING = ("define", "redefine")
_LONGEST = 1_000_000  # tokens; variables within variables could grow without end


def expand(tokens: Tokens) -> None:
    """Take definitions out of the tokens, and put the values in."""
    if "$" not in tokens.words and not any(word in tokens.words for word in (*_DEFINING, "undefine", "include")):
        return
    _Expansion(tokens).run()


class _Expansion:
    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._values: dict[str, list[tuple[int, str, int]]] = {}
        self._out: list[tuple[int, str, int]] = []

    def run(self) -> None:
        tokens = self._tokens
        begins = True
        while tokens.kind != END:
            if begins and tokens.kind == WORD and tokens.word in _DEFINING:
                self._define()
            elif begins and tokens.kind == WORD and tokens.word == "undefine":
                tokens.take()
                self._values.pop(tokens.name(), None)
            elif begins and tokens.kind == WORD and tokens.word == "include":
                raise tokens.error_at("include is not supported here", tokens.at)
            else:
                begins = tokens.kind == NEWLINE or (tokens.kind == MARK and tokens.word in (";", "{"))
                self._out += self._one()
        self._out += [(NEWLINE, "\n", len(tokens.text)), (END, "", len(tokens.text))]
        tokens.replace(self._out)

    def _one(self) -> list[tuple[int, str, int]]:
        """Take one token, or the value of a variable."""
        tokens = self._tokens
        at = tokens.at
        if not (tokens.kind == MARK and tokens.word == "$"):
            tokens.take()
            return [(tokens.kinds[at], tokens.words[at], tokens.starts[at])]
        tokens.take()
        name_at, name = tokens.at, tokens.name()
        if name not in self._values:
            raise tokens.error_at(f"unknown identifier '{name}'", name_at)
        if len(self._out) > _LONGEST:
            raise tokens.error_at("the script is too long once variables are put in", name_at)
        return self._values[name]

    def _define(self) -> None:
        tokens = self._tokens
        again = tokens.take() == "redefine"
        name_at, name = tokens.at, tokens.name()
        if name in self._values and not again:
            raise tokens.error_at(f"redefinition of symbol '{name}'", name_at)
        tokens.expect("=")
        value: list[tuple[int, str, int]] = []
        depth = 0
        while tokens.kind != END and (depth or not tokens.at_separator()):
            if tokens.kind == MARK:
                depth += (tokens.word == "{") - (tokens.word == "}")
            value += self._one()
            if len(value) > _LONGEST:
                raise tokens.error_at("the value is too long", name_at)
        self._values[name] = value
