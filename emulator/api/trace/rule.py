"""Rules of a trace in words: what they test, what they say of themselves, and why they did not match.

Tables of nftables have a family before their name (`ip kube-proxy`), those of iptables have not (`nat`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_COMMENT = re.compile(r'-m comment --comment (?:"(?P<quoted>[^"]*)"|(?P<bare>\S+)) ?')
_TARGET = re.compile(r"(?:^| )-[jg] \S+")
_NFT_COMMENT = re.compile(r'(?:^| )comment "(?P<quoted>[^"]*)"$')
_NFT_VERDICT = re.compile(r"(?:^| )(?:(?:jump|goto) \S+|accept|drop|return|reject)$")
_NFT_CHOICES = re.compile(r" vmap \{ .* \}$")
_ELEMENT_COMMENT = re.compile(r' comment "(?P<quoted>[^"]*)"')
_HEADERS = frozenset({"destination", "source", "protocol", "input link", "output link", "fragment"})

Detail = Mapping[str, str]


def is_nft(detail: Detail) -> bool:
    """Whether a step is about a rule of nftables."""
    return " " in detail.get("table", "")


def rule_text(detail: Detail) -> str:
    """Return place and verdict of a rule that matched, then its comment, which says most, then what else it tests."""
    chain = detail.get("chain", "")
    place = f"{chain}:{detail.get('number', '')} → {detail.get('verdict', '')}"
    comment = rule_comment(detail)
    if is_nft(detail):
        tests = _NFT_VERDICT.sub("", _NFT_COMMENT.sub("", detail.get("rule", "")))
        if detail.get("found"):
            tests = f"{_NFT_CHOICES.sub(' vmap', tests)}  found: {_found(detail)}"
    else:
        rule = detail.get("rule", "").removeprefix(f"-A {chain} ")
        tests = " ".join(_TARGET.sub("", _COMMENT.sub("", rule)).split())
    logged = f"log: {detail['logged']}" if detail.get("logged") else ""
    return "  ".join(filter(None, (place, f'"{comment}"' if comment else "", tests, logged)))


def _found(detail: Detail) -> str:
    """Return the element; the verdict that a map gave stands at the rule already."""
    found = detail.get("found", "")
    return found.partition(" : ")[0] if " vmap " in detail.get("rule", "") else found


def rule_comment(detail: Detail) -> str:
    """Return the comment of a rule; empty if it has none."""
    rule = detail.get("rule", "")
    if is_nft(detail):
        own = _NFT_COMMENT.search(rule)
        return "" if own is None else own["quoted"]
    found = _COMMENT.search(rule)
    return "" if found is None else found["quoted"] or found["bare"] or ""


def element_comment(detail: Detail) -> str:
    """Return what a named map of nftables says of the element that a rule found there; empty if it says nothing."""
    comment = _ELEMENT_COMMENT.search(detail.get("found", ""))
    name = detail.get("rule", "").rpartition(" vmap @")[2]
    return f"{comment['quoted']} is in {name}" if comment is not None and name else ""


def miss_text(detail: Detail) -> str:
    """Return why a rule did not match, or several (`last`): what the packet has and what they want."""
    test, seen, wanted = detail.get("test", ""), detail.get("seen", ""), detail.get("wanted", "")
    first, last = detail.get("number", ""), detail.get("last", "")
    if seen and (test in _HEADERS or is_nft(detail)):
        has = f"{test} is {seen}"
    elif wanted and is_nft(detail):
        has = f"there is no {test}"
    else:
        has = seen or f"{test} does not hold"
    place = f"{detail.get('chain', '')}:{first}{f'-{last}' if last else ''}"
    wants = f", {'want' if last else 'wants'} {wanted}" if wanted else ""
    return f"{place} no match: {has}{wants}"
