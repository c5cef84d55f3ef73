"""The words of an nft script and where they stand (scanner.l of nft). Places are computed only for an error."""

from __future__ import annotations

import re
from bisect import bisect_right

from emulator.kernel.netfilter.nft.error import NftError

WORD, NUMBER, QUOTED, MARK, NEWLINE, END = range(6)

_TOKEN = re.compile(
    r"""
    (?:[ \t\r]|\\\n)*+
    (?:(?P<blank>\#[^\n]*|\Z)
  | (?P<newline>\n)
  | "(?P<quoted>[^"\n]*)"
  | (?P<address>[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}(?![0-9a-fA-F:])
      | (?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}
      | (?:[0-9a-fA-F]{1,4}:){1,6}(?::[0-9a-fA-F]{1,4}){1,6}
      | (?:[0-9a-fA-F]{1,4}:){1,7}:
      | ::(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){0,6})?
      | \d{1,3}(?:\.\d{1,3}){3})
  | (?P<time>(?:\d+(?:ms|[dhms]))+(?![\w]))
  | (?P<number>0[xX][0-9a-fA-F]+(?![\w])|\d+(?![\w]))
  | (?P<word>[A-Za-z_][\w/\-.]*\*?|\d\w*)
  | (?P<mark>==|!=|<=|>=|<<|>>|[-<>&|^!{}()\[\]:;,./+@$=*]))
    """,
    re.VERBOSE,
)
_KINDS = {
    "newline": NEWLINE, "quoted": QUOTED, "address": WORD, "time": WORD, "number": NUMBER, "word": WORD, "mark": MARK,
}  # fmt: skip


class Tokens:
    """A script as three lists of equal length, with an end that is never passed; `at` is where the reader is."""

    __slots__ = ("_line_starts", "at", "file", "kinds", "starts", "text", "words")

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.at = 0
        self._line_starts: list[int] = []
        self.kinds: list[int] = []
        self.words: list[str] = []
        self.starts: list[int] = []
        self._scan()

    def _scan(self) -> None:
        position = 0
        match = _TOKEN.match
        text, kinds, words, starts = self.text, self.kinds, self.words, self.starts
        end = len(text)
        while position < end:
            found = match(text, position)
            if found is None:
                junk = len(text) - len(text[position:].lstrip(" \t\r"))
                raise self.error("syntax error, unexpected junk", junk, junk + 1)
            group = found.lastgroup or "mark"
            if group != "blank":
                kind = _KINDS[group]
                kinds.append(kind)
                words.append(found[group])
                starts.append(found.start(group) - (kind == QUOTED))
            position = found.end()
        for kind, word in ((NEWLINE, "\n"), (END, "")):
            kinds.append(kind)
            words.append(word)
            starts.append(end)

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
        word = self.words[self.at]
        if self.kinds[self.at] != END:
            self.at += 1
        return word

    def accept(self, *words: str) -> bool:
        """Step over the next tokens if they are these, unquoted."""
        for ahead, word in enumerate(words):
            index = self.at + ahead
            if index >= len(self.words) or self.words[index] != word or self.kinds[index] == QUOTED:
                return False
        self.at += len(words)
        return True

    def expect(self, word: str) -> None:
        """Step over a token that must be there."""
        if not self.accept(word):
            raise self.unexpected(f"'{word}'" if word in "{}" else word)

    def name(self) -> str:
        """Take a name: a word or a quoted string."""
        if self.kind not in (WORD, QUOTED):
            raise self.unexpected("string")
        return self.take()

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
        while self.kinds[self.at] == NEWLINE or (self.kinds[self.at] == MARK and self.words[self.at] == ";"):
            self.at += 1

    def at_separator(self) -> bool:
        """Whether a statement ends here."""
        return self.kind in (NEWLINE, END) or (self.kind == MARK and self.word == ";")

    def expect_separator(self) -> None:
        """Step over the end of a statement."""
        if not self.at_separator():
            raise self.unexpected("newline or semicolon")
        self.take()


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
