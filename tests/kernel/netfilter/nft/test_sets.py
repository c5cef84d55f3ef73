"""Sets find what their elements hold, whatever is added and removed; a transaction that fails leaves nothing behind."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.kernel.kernel import Kernel
from emulator.kernel.netfilter.nft.element import Element, Span
from emulator.kernel.netfilter.nft.engine import Nft
from emulator.kernel.netfilter.nft.error import NftError
from emulator.kernel.netfilter.nft.storage import ConcatenatedIntervals, Intervals, Overlap
from emulator.kernel.netns import Netns
from tests.kernel.netfilter.nft.rulesets import HOST, KUBE_PROXY, RULESETS

VALUES = st.integers(0, 300)
SPANS = st.tuples(VALUES, VALUES).map(lambda pair: Span(min(pair), max(pair)))


def engine() -> Nft:
    return Netns(Kernel("machine", random.Random(1)), "test").netfilter.nft


@given(st.lists(SPANS, max_size=12), st.lists(st.integers(0, 11), max_size=4))
def test_intervals(spans: list[Span], removed: list[int]) -> None:
    storage, model = Intervals(), []
    for span in spans:
        overlaps = any(span.low <= other.high and other.low <= span.high for other in model)
        try:
            storage.add(Element(span))
        except Overlap:
            assert overlaps
        else:
            assert not overlaps
            model.append(span)
    for index in removed:
        if index < len(model):
            storage.remove(model.pop(index))
    assert [element.key for element in storage] == sorted(model)
    for value in range(302):
        found = storage.find(value)
        assert (None if found is None else found.key) == next((s for s in model if s.low <= value <= s.high), None)


@given(st.lists(st.tuples(SPANS, SPANS), max_size=6, unique=True), st.lists(st.tuples(VALUES, VALUES), max_size=20))
def test_concatenated_intervals(keys: list[tuple[Span, Span]], asked: list[tuple[int, int]]) -> None:
    """Where several hold a value, the first that was added is found."""
    storage = ConcatenatedIntervals()
    for key in keys:
        storage.add(Element(key))
    for values in asked:
        holding = [key for key in keys if all(s.low <= v <= s.high for s, v in zip(key, values, strict=True))]
        found = storage.find(values)
        assert (None if found is None else found.key) == (holding[0] if holding else None)


FAILING = (
    "delete chain ip kube-proxy services\n",
    "add element ip kube-proxy service-ips { 172.30.0.41 . tcp . 80 : drop }\n",
    "create table ip kube-proxy\n",
    "add rule ip kube-proxy mark-for-masquerade jump services\n",
    "add chain ip kube-proxy x\nadd rule ip kube-proxy x accept drop\n",
)


@pytest.mark.parametrize("failing", FAILING)
def test_a_transaction_that_fails_leaves_all_as_it_was(failing: str) -> None:
    nft = engine()
    nft.load(KUBE_PROXY + HOST.replace("flush ruleset", ""))
    before, tracking = nft.list_ruleset(handles=True), nft.tracking
    changes = """
    flush chain ip kube-proxy nat-output
    add element ip kube-proxy cluster-ips { 172.30.0.200 }
    delete element ip kube-proxy nodeport-ips { 10.0.1.1 }
    flush map ip kube-proxy no-endpoint-services
    add element inet filter blocked { 192.0.2.0-192.0.3.255 }
    delete table ip nat
    add table ip nat
    flush chain inet filter forward
    delete chain inet filter forward
    """
    with pytest.raises(NftError):
        nft.load(changes + failing)
    assert nft.list_ruleset(handles=True) == before
    assert nft.tracking == tracking
    nft.load(changes, check=True)
    assert nft.list_ruleset(handles=True) == before
    nft.load("flush ruleset\n")
    assert nft.list_ruleset() == ""
    assert not nft.netfilter.conntrack.enabled


@pytest.mark.parametrize("name", sorted(RULESETS))
def test_a_listing_is_read_as_the_same(name: str) -> None:
    nft, again = engine(), engine()
    nft.load(RULESETS[name])
    again.load(nft.list_ruleset())
    assert again.list_ruleset() == nft.list_ruleset()


def test_a_jump_cycle_is_refused() -> None:
    nft = engine()
    nft.load("table ip t {\nchain a { }\nchain b { jump a\n}\nmap m { type mark : verdict; }\n}\n")
    with pytest.raises(NftError, match="Too many links"):
        nft.load("add rule ip t a jump b\n")
    nft.load("add rule ip t a meta mark vmap @m\n")
    with pytest.raises(NftError, match="Too many links"):
        nft.load("add element ip t m { 1 : jump b }\n")


@given(st.text('table ip{};chain rule add accept@$"\n.,:0/-= &|', max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    nft = engine()
    try:
        nft.load(text)
    except NftError:
        assert not nft.tables
