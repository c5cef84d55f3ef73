"""Rules of one form are what they would be if each had been read by itself."""

import random

import pytest

from emulator.kernel.kernel import Kernel
from emulator.kernel.netfilter.nft.engine import Nft
from emulator.kernel.netfilter.nft.error import NftError
from emulator.kernel.netns import Netns

TABLE = """
add table ip t
add set ip t hosts { type ipv4_addr; }
add map ip t ways { type ipv4_addr : verdict; }
add chain ip t base { type filter hook input priority 0; }
add chain ip t c
add chain ip t one
add chain ip t two
add chain ip t jump
"""

PAIRS = [
    ("ip saddr 10.0.0.1 jump one", "ip saddr 10.0.0.2 jump two"),
    ("ip daddr 10.0.0.1 ip saddr != 10.1.0.0/24 jump one", "ip daddr 10.0.0.2 ip saddr != 10.1.0.0/24 jump two"),
    ("ip daddr 10.0.0.1 ip saddr 10.0.0.2 accept", "ip daddr 10.0.0.3 ip saddr 10.0.0.4 accept"),  # listed turned round
    ("ip daddr 10.0.0.1 ip saddr 10.0.0.1 accept", "ip daddr 10.0.0.3 ip saddr 10.0.0.4 accept"),
    ("ip saddr 10.0.0.0/24 drop", "ip saddr 10.0.1.0/24 drop"),
    ("ip saddr 10.0.0.1 drop", "ip saddr 10.0.1.0/24 drop"),
    ("ip saddr 10.0.0.1-10.0.0.9 drop", "ip saddr 10.0.0.1-10.0.0.2 drop"),
    ("ip saddr { 10.0.0.1, 10.0.0.2 } drop", "ip saddr { 10.0.0.3, 10.0.0.4 } drop"),
    ("ip saddr { 10.0.0.1 } drop", "ip saddr { 10.0.0.3 } drop"),
    ("meta l4proto tcp dnat to 10.0.0.1:80", "meta l4proto tcp dnat to 10.0.0.2:80"),
    ("meta l4proto tcp dnat to 10.0.0.1:80", "meta l4proto tcp dnat to 10.0.0.2:81"),
    ("numgen random mod 2 vmap { 0 : goto one , 1 : goto two }",
     "numgen random mod 2 vmap { 0 : goto two , 1 : goto one }"),
    ("numgen random mod 2 vmap { 0 : goto one , * : jump two }",
     "numgen random mod 2 vmap { 0 : goto two , * : jump one }"),
    ("numgen random mod 2 vmap { 0 : drop , 1 : goto two }", "numgen random mod 2 vmap { 0 : drop , 1 : goto one }"),
    ("ip daddr vmap { 10.0.0.1 : goto one }", "ip daddr vmap { 10.0.0.2 : goto two }"),
    ("ip saddr 10.0.0.1 counter jump one", "ip saddr 10.0.0.2 counter jump two"),
    ("ip saddr 10.0.0.1 counter packets 5 bytes 6", "ip saddr 10.0.0.2 counter packets 5 bytes 6"),
    ('ip saddr 10.0.0.1 jump one comment "x"', 'ip saddr 10.0.0.2 jump two comment "x"'),
    ("ip saddr @hosts jump one", "ip saddr @hosts jump two"),
    ("jump jump", "jump one"),
    ("ip saddr 10.0.0.1 jump one", "ip saddr 10.0.0.256 jump two"),
    ("ip saddr 10.0.0.1 jump one", "ip saddr 10.0.0.2 jump three"),
    ("ip saddr 10.0.0.1 jump one", "ip saddr 10.0.0.2 jump base"),
    ("ip saddr 10.0.0.1 jump one", "ip saddr 10.0.0.2 jump c"),  # to itself
    ("ip saddr 10.0.0.1 jump one", "ip saddr 10.0.0.2 jump two accept"),
    ("ip saddr 10.0.0.1 jump one", "ip saddr 10.0 jump two"),
    ("ip saddr 10.0.0.1 jump one", 'ip saddr 10.0.0.2 jump "two"'),
    ("ip saddr 10.0.0.1 jump one", "ip saddr 10.0.0.2 jump two; add rule ip t c drop"),
]  # fmt: skip


def _nft() -> Nft:
    nft = Netns(Kernel("machine", random.Random(1)), "root").netfilter.nft
    nft.load(TABLE)
    return nft


def _line(rule: str) -> str:
    return f"add rule ip t c {rule}\n"


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_a_rule_of_a_known_form_is_as_one_that_is_read(first: str, second: str) -> None:
    together, apart = _nft(), _nft()
    apart.load(_line(first))
    told = expected = ""
    try:
        apart.load(f"\n{_line(second)}")
    except NftError as error:
        expected = error.told()
    try:
        together.load(_line(first) + _line(second))
    except NftError as error:
        told = error.told()
    assert told == expected
    if not told:
        assert together.list_ruleset() == apart.list_ruleset()
        assert together.list_json() == apart.list_json()
        uses = [[chain.uses for chain in nft.tables["ip", "t"].chains.values()] for nft in (together, apart)]
        assert uses[0] == uses[1]


def test_a_form_does_not_outlive_what_it_names() -> None:
    lines = [_line("ip saddr @hosts jump one"), "flush chain ip t c\n", "delete set ip t hosts\n"]
    with pytest.raises(NftError, match="No such file"):
        _nft().load("".join([*lines, _line("ip saddr @hosts jump two")]))


def test_what_a_rule_remembers_is_its_own() -> None:
    nft = _nft()
    nft.load(_line("ip saddr 10.0.0.1 counter jump one") + _line("ip saddr 10.0.0.2 counter jump two"))
    first, second = nft.tables["ip", "t"].chains["c"].rules
    assert first.states[1] is not second.states[1]
    assert first.statements[1] is second.statements[1]


def test_maps_of_rules_of_one_form_are_their_own() -> None:
    nft = _nft()
    nft.load("".join(_line(f"numgen random mod 1 vmap {{ 0 : goto {chain} }}") for chain in ("one", "two")))
    (first,), (second,) = (rule.statements[0].sets() for rule in nft.tables["ip", "t"].chains["c"].rules)
    assert first is not second
    assert first.handle != second.handle
