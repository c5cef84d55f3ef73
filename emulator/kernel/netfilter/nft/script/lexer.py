"""The words of an nft script and where they stand (scanner.l of nft). Places are computed only for an error."""

from __future__ import annotations

import re
from bisect import bisect_right

from emulator.kernel.netfilter.nft.error import NftError

WORD, NUMBER, QUOTED, MARK, JUNK, NEWLINE, END = range(7)  # the first three are constants, the last two end statements

_TOKEN = re.compile(
    r"""
    (?:[ \t\r]|\\\n|\#[^\n]*)*+
  ( (?![0-9a-fA-F]{1,4}:)[A-Za-z_][\w/\-.]*\*?  # most tokens are words or stand alone: these come first
  | [{}(),;.@$=*+/](?!=)|\n|\Z
  | \d{1,3}(?:\.\d{1,3}){3}
  | "[^"\n]*"
  | [0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}(?![0-9a-fA-F:])  # an Ethernet address
  | (?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}  # one of IPv6
  | (?:[0-9a-fA-F]{1,4}:){1,6}(?::[0-9a-fA-F]{1,4}){1,6}
  | (?:[0-9a-fA-F]{1,4}:){1,7}:
  | ::(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){0,6})?
  | (?:\d+(?:ms|[dhms]))+(?![\w])  # a time
  | 0[xX][0-9a-fA-F]+(?![\w])|\d+(?![\w])
  | [A-Za-z_][\w/\-.]*\*?|\d\w*
  | ==|!=|<=|>=|<<|>>|[-<>&|^!{}()\[\]:;,./+@$=*]
  | .
  )
    """,
    re.VERBOSE,
)
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|\d+")
_WORD = re.compile(r"::|[A-Za-z_\d]")
_MARKS = frozenset(["==", "!=", "<=", ">=", "<<", ">>", *"-<>&|^!{}()[]:;,./+@$=*"])
_STRETCH = 1 << 16  # characters that are cut into tokens at once


class _Kinds(dict[str, int]):
    """The kinds of the tokens that a script has; most occur again and again."""

    def __missing__(self, token: str) -> int:
        if token in _MARKS:
            kind = MARK
        elif token == "\n":
            kind = NEWLINE
        elif token[0] == '"' and len(token) > 1:
            kind = QUOTED
        elif _NUMBER.fullmatch(token):
            kind = NUMBER
        else:
            kind = WORD if _WORD.match(token) else JUNK
        self[token] = kind
        return kind


class Tokens:
    """A script as lists of equal length, with an end that is never passed; `at` is where the reader is."""

    __slots__ = ("_line_starts", "_starts", "at", "file", "kinds", "text", "words")

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.at = 0
        self._line_starts: list[int] = []
        self._starts: list[int] = []
        self.words = _words(text)
        self.kinds = self._kinds()

    def _kinds(self) -> list[int]:
        """Return the tokens' kinds, and take the quotes off strings. NftError where a token is none."""
        words = self.words
        kinds = list(map(_Kinds().__getitem__, words))
        if '"' in self.text:
            for index in [index for index, kind in enumerate(kinds) if kind == QUOTED]:
                words[index] = words[index][1:-1]
        if JUNK in kinds:
            junk = self.starts[kinds.index(JUNK)]
            raise self.error("syntax error, unexpected junk", junk, junk + 1)
        words += ["\n", ""]
        kinds += [NEWLINE, END]
        return kinds

    @property
    def starts(self) -> list[int]:
        """Where the tokens begin in the text; a string with its quote."""
        if not self._starts:
            self._starts = [found.start(1) for found in _TOKEN.finditer(self.text) if found[1]]
            self._starts += [len(self.text)] * 2
        return self._starts

    def replace(self, tokens: list[tuple[int, str, int]]) -> None:
        """Take other tokens, each with its kind, its word and where it begins, and go back to the first."""
        self.kinds = [kind for kind, _, _ in tokens]
        self.words = [word for _, word, _ in tokens]
        self._starts = [start for _, _, start in tokens]
        self.at = 0

    # Places

    def end_of(self, index: int) -> int:
        """Return where a token ends in the text."""
        quotes = 2 if self.kinds[index] == QUOTED else 0
        return self.starts[index] + len(self.words[index]) + quotes

    def error(self, message: str, start: int, end: int) -> NftError:
        """Return an error about a stretch of the text."""
        if not self._line_starts:
            self._line_starts = [0] + [found.end() for found in re.finditer("\n", self.text)]
        number = bisect_right(self._line_starts, start)
        begin = self._line_starts[number - 1]
        line_end = self.text.find("\n", begin)
        text = self.text[begin : None if line_end < 0 else line_end]
        last = max(start - begin + 1, min(end - begin, len(text) + 1))
        return NftError(message, line=number, first=start - begin + 1, last=last, text=text, file=self.file)

    def error_at(self, message: str, first: int, last: int | None = None) -> NftError:
        """Return an error about the tokens from `first` to `last`."""
        return self.error(message, self.starts[first], self.end_of(first if last is None else last))

    def unexpected(self, expected: str = "") -> NftError:
        """Return the error that the next token has no place here."""
        kind, word = self.kinds[self.at], self.words[self.at]
        if kind == NEWLINE:
            name = "newline"
        elif kind == END:
            name = "end of file"
        elif kind == QUOTED:
            name = "quoted string"
        elif kind == NUMBER:
            name = "number"
        elif kind == MARK:
            name = f"'{word}'" if word in "{}" else word
        else:
            name = word if word in KEYWORDS else "string"
        wanted = f", expecting {expected}" if expected else ""
        return self.error_at(f"syntax error, unexpected {name}{wanted}", self.at)

    # Reading

    @property
    def word(self) -> str:
        """The next token's text; a newline's is a newline, the end's is empty, a quoted string's has no quotes."""
        return self.words[self.at]

    @property
    def kind(self) -> int:
        """The next token's kind."""
        return self.kinds[self.at]

    def peek(self, ahead: int = 1) -> str:
        """Return the text of a token further on."""
        index = self.at + ahead
        return self.words[index] if index < len(self.words) else ""

    def take(self) -> str:
        """Step over the next token, and return it."""
        at = self.at
        if self.kinds[at] != END:
            self.at = at + 1
        return self.words[at]

    def accept(self, word: str) -> bool:
        """Step over the next token if it is this one, unquoted."""
        at = self.at
        if self.words[at] != word or self.kinds[at] == QUOTED:
            return False
        self.at = at + 1
        return True

    def expect(self, word: str) -> None:
        """Step over a token that must be there."""
        if not self.accept(word):
            raise self.unexpected(f"'{word}'" if word in "{}" else word)

    def name(self) -> str:
        """Take a name: a word or a quoted string."""
        at = self.at
        if self.kinds[at] not in (WORD, QUOTED):
            raise self.unexpected("string")
        self.at = at + 1
        return self.words[at]

    def quoted(self) -> str:
        """Take a string, as comments and prefixes are."""
        if self.kind not in (WORD, QUOTED):
            raise self.unexpected("quoted string or string")
        return self.take()

    def number(self) -> int:
        """Take a number."""
        if self.kind != NUMBER:
            raise self.unexpected("number")
        word = self.take()
        return int(word, 16) if word[:2] in ("0x", "0X") else int(word)

    def skip_newlines(self) -> None:
        """Step over newlines."""
        while self.kinds[self.at] == NEWLINE:
            self.at += 1

    def skip_separators(self) -> None:
        """Step over newlines and semicolons."""
        kinds, words, at = self.kinds, self.words, self.at
        while kinds[at] == NEWLINE or (kinds[at] == MARK and words[at] == ";"):
            at += 1
        self.at = at

    def at_separator(self) -> bool:
        """Whether a statement ends here."""
        kind = self.kinds[self.at]
        return kind >= NEWLINE or (kind == MARK and self.words[self.at] == ";")

    def expect_separator(self) -> None:
        """Step over the end of a statement."""
        if not self.at_separator():
            raise self.unexpected("newline or semicolon")
        self.take()


def _words(text: str) -> list[str]:
    """Cut a text into tokens. Equal ones are one string, so that what keeps them shares it."""
    words: list[str] = []
    known: dict[str, str] = {}
    begin = 0
    while begin < len(text):
        end = text.find("\n", begin + _STRETCH) + 1 or len(text)
        words += [known.setdefault(word, word) for word in _TOKEN.findall(text, begin, end) if word]
        begin = end
    return words


KEYWORDS = frozenset(
    [
        "add",
        "create",
        "insert",
        "delete",
        "destroy",
        "replace",
        "flush",
        "list",
        "reset",
        "rename",
        "table",
        "chain",
        "rule",
        "set",
        "map",
        "element",
        "elements",
        "counter",
        "quota",
        "limit",
        "flowtable",
        "type",
        "typeof",
        "hook",
        "priority",
        "policy",
        "flags",
        "timeout",
        "size",
        "comment",
        "accept",
        "drop",
        "continue",
        "return",
        "jump",
        "goto",
        "queue",
        "log",
        "prefix",
        "level",
        "group",
        "reject",
        "with",
        "dnat",
        "snat",
        "masquerade",
        "redirect",
        "to",
        "random",
        "fully-random",
        "persistent",
        "ip",
        "ip6",
        "inet",
        "arp",
        "bridge",
        "netdev",
        "tcp",
        "udp",
        "sctp",
        "th",
        "icmp",
        "icmpv6",
        "ether",
        "vlan",
        "meta",
        "ct",
        "fib",
        "numgen",
        "jhash",
        "symhash",
        "rt",
        "socket",
        "mark",
        "iif",
        "oif",
        "iifname",
        "oifname",
        "vmap",
        "notrack",
        "update",
        "position",
        "handle",
        "index",
        "ruleset",
    ]
)
