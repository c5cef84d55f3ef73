"""The tables of nft rules against the real nft: what one takes and lists, as text and as JSON, both do."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
from collections.abc import Iterator
from itertools import groupby

import pytest

from emulator.kernel.kernel import Kernel
from emulator.kernel.netfilter.nft.engine import Nft
from emulator.kernel.netfilter.nft.error import NftError
from emulator.kernel.netfilter.nft.table import NftChain
from emulator.kernel.netns import Netns
from tests.kernel.netfilter.nft.rule_files import RuleLine, read_rules
from tests.kernel.netfilter.nft.rulesets import RULESETS

pytestmark = pytest.mark.kernel

RULES = read_rules()
FILES = [list(lines) for _, lines in groupby(RULES, lambda line: line.file)]
EXPIRES = re.compile(r" expires [\dhms]+")


class RealNft:
    """nft in a namespace."""

    def __init__(self, name: str) -> None:
        self._enter = ["ip", "netns", "exec", name, "nft"]

    def run(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self._enter, *words], input=stdin, capture_output=True, text=True, check=False)

    def load(self, text: str) -> None:
        done = self.run("-f", "-", stdin=text)
        assert done.returncode == 0, done.stderr

    def list(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def real() -> Iterator[RealNft]:
    name = f"pwo-nft-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    yield RealNft(name)
    subprocess.run(["ip", "netns", "del", name], check=True)


def engine() -> Nft:
    return Netns(Kernel("machine", random.Random(1)), "test").netfilter.nft


@pytest.mark.parametrize("lines", FILES, ids=lambda lines: lines[0].file)
def test_rules_are_listed_alike(real: RealNft, lines: list[RuleLine]) -> None:
    """Each rule is in a base chain of its own, so that what stands in one does not tell of the next."""
    valid = [line for line in lines if line.verdict == "ok"]
    first = valid[0]
    chains = "".join(f"add chain {first.family} t c{n} {{ {first.base} }}\n" for n in range(len(valid)))
    rules = "".join(f"add rule {first.family} t c{n} {line.rule}\n" for n, line in enumerate(valid))
    script = first.surroundings + chains + rules
    real.load("flush ruleset\n" + script)
    nft = engine()
    nft.load(script)
    listed, wanted = nft.list_ruleset().splitlines(), real.list("list", "ruleset").splitlines()
    assert listed == wanted, [pair for pair in zip(listed, wanted, strict=False) if pair[0] != pair[1]]


@pytest.mark.parametrize("lines", FILES, ids=lambda lines: lines[0].file)
def test_json_is_alike(real: RealNft, lines: list[RuleLine]) -> None:
    valid = [line for line in lines if line.verdict == "ok"]
    script = valid[0].surroundings + "".join(line.command for line in valid)
    real.load("flush ruleset\n" + script)
    nft = engine()
    nft.load(script)
    ours, theirs = (
        [entry["rule"]["expr"] for entry in json.loads(text)["nftables"] if "rule" in entry]
        for text in (nft.list_json(), real.list("-j", "list", "ruleset"))
    )
    differ = [pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1]]
    assert not differ, differ


@pytest.mark.parametrize("line", [line for line in RULES if line.verdict == "fail"], ids=lambda line: line.rule)
def test_bad_rules_are_refused_by_both(real: RealNft, line: RuleLine) -> None:
    real.load("flush ruleset\n" + line.surroundings)
    assert real.run("-c", "-f", "-", stdin=line.command).returncode != 0


@pytest.mark.parametrize("name", sorted(RULESETS))
def test_rule_sets_are_listed_alike(real: RealNft, name: str) -> None:
    script = RULESETS[name]
    # A fresh namespace, because tables are numbered through its life.
    fresh = f"pwo-nft-{os.getpid()}-{name}"
    subprocess.run(["ip", "netns", "add", fresh], check=True)
    try:
        other = RealNft(fresh)
        other.load(script)
        nft = engine()
        nft.load(script)
        assert EXPIRES.sub("", nft.list_ruleset(handles=True)) == EXPIRES.sub("", other.list("-a", "list", "ruleset"))
        assert nft.list_ruleset(stateless=True) == other.list("-s", "list", "ruleset")
        for words in ("tables", "chains", "sets", "maps", "counters"):
            ours = EXPIRES.sub("", nft.load(f"list {words}\n"))
            assert ours == EXPIRES.sub("", other.list("list", words)), words
        ours_json, real_json = (
            re.sub(r'"expires": \d+', "", text) for text in (nft.list_json(), other.list("-j", "list", "ruleset"))
        )
        assert ours_json.strip() == real_json.strip()
        listing = other.list("list", "ruleset")
        again = engine()
        again.load(listing)
        assert EXPIRES.sub("", again.list_ruleset()) == EXPIRES.sub("", listing)
        from_json = engine()
        from_json.load_json(other.list("-j", "list", "ruleset"))
        rules = [[rule.format() for rule in chain.rules] for chain in _chains(from_json)]
        assert rules == [[rule.format() for rule in chain.rules] for chain in _chains(nft)]
    finally:
        subprocess.run(["ip", "netns", "del", fresh], check=True)


AGAIN = (
    "flags dynamic,timeout ; timeout 20s ;",
    "flags dynamic,timeout ;",
    "flags dynamic ;",
    "flags timeout ; timeout 20s ;",
    "flags dynamic,timeout ; timeout 10s ; size 100 ;",
    "flags dynamic,timeout ; timeout 10s ; gc-interval 5s ;",
    "flags dynamic,timeout ; timeout 10s ; size 7 ; gc-interval 9s ;",
)
"""How a set that is there is declared once more, one after the other."""


def test_a_set_that_is_there_takes_times_and_size_of_its_new_declaration(real: RealNft) -> None:
    first = "flush ruleset\nadd table ip t\nadd set ip t s { type ipv4_addr ; flags dynamic,timeout ; timeout 10s ; }\n"
    nft = engine()
    nft.load(first)
    real.load(first)
    for words in AGAIN:
        command = f"add set ip t s {{ type ipv4_addr ; {words} }}\n"
        done = real.run("-f", "-", stdin=command)
        if done.returncode:
            assert "File exists" in done.stderr, words
            with pytest.raises(NftError, match="File exists"):
                nft.load(command)
        else:
            nft.load(command)
        assert nft.list_ruleset() == real.list("list", "ruleset"), words
    undone = f"add set ip t s {{ type ipv4_addr ; {AGAIN[0]} }}\nadd rule ip t missing accept\n"
    assert real.run("-f", "-", stdin=undone).returncode == 1
    with pytest.raises(NftError):
        nft.load(undone)
    assert nft.list_ruleset() == real.list("list", "ruleset")


def _chains(nft: Nft) -> list[NftChain]:
    return [chain for table in nft.tables.values() for chain in table.chains.values()]
