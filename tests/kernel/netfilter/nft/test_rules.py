"""Rules of nft as text: what is read, how it is listed, what is refused; what was listed is read as the same again."""

from __future__ import annotations

import random
import re

import pytest

from emulator.kernel.kernel import Kernel
from emulator.kernel.netfilter.nft.engine import Nft
from emulator.kernel.netfilter.nft.error import NftError
from emulator.kernel.netns import Netns
from tests.kernel.netfilter.nft.rule_files import RuleLine, read_rules

RULES = read_rules()
SINGLE = re.compile(r"(?<!map )\{ ([^,{}*]+) \}")  # a set that merging left with one element: nft reads it as no set


def engine() -> Nft:
    return Netns(Kernel("machine", random.Random(1)), "test").netfilter.nft


def reread(listing: str) -> str:
    """Return what a listing is listed as once it was read again."""
    lines = listing.splitlines(keepends=True)
    concatenated = (" . ", "@", "elements =")
    return "".join(each if any(mark in each for mark in concatenated) else SINGLE.sub(r"\1", each) for each in lines)


def named(line: RuleLine) -> str:
    return f"{line.file}: {line.rule}"


@pytest.mark.parametrize("line", [line for line in RULES if line.verdict == "ok"], ids=named)
def test_a_rule_is_listed_and_read_again(line: RuleLine) -> None:
    nft = engine()
    nft.load(line.surroundings)
    nft.load(line.command)
    chain = nft.tables[line.family, "t"].chains["c"]
    assert [rule.format() for rule in chain.rules] == ([line.listed] if line.listed else [])
    listing = nft.list_ruleset()
    again = engine()
    again.load(listing)
    rules = again.tables[line.family, "t"].chains["c"].rules
    assert [rule.format() for rule in rules] == ([reread(line.listed)] if line.listed else [])
    listing = again.list_ruleset()
    third = engine()
    third.load(listing)
    assert third.list_ruleset() == listing


@pytest.mark.parametrize("line", [line for line in RULES if line.verdict == "ok"], ids=named)
def test_json_says_the_same(line: RuleLine) -> None:
    nft = engine()
    nft.load(line.surroundings)
    nft.load(line.command)
    again = engine()
    again.load_json(nft.list_json())
    assert again.tables[line.family, "t"].chains["c"].rules[0].format() == reread(line.listed)


@pytest.mark.parametrize("line", [line for line in RULES if line.verdict != "ok"], ids=named)
def test_a_rule_is_refused_and_nothing_stays(line: RuleLine) -> None:
    nft = engine()
    nft.load(line.surroundings)
    before = nft.list_ruleset(handles=True)
    with pytest.raises(NftError) as refused:
        nft.load(f"add table ip other\n{line.command}")
    assert refused.value.line == 2
    assert ("not supported here" in refused.value.message) or line.verdict == "fail"
    assert nft.list_ruleset(handles=True) == before
