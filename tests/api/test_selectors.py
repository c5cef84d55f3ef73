"""Selectors: kubectl's forms, objects' forms, and what they select."""

from __future__ import annotations

import pytest

from emulator.api.objects import LabelSelector, view
from emulator.api.selectors import (
    EVERYTHING,
    SelectorError,
    from_label_selector,
    from_labels,
    parse_selector,
)

LABELS = {"app": "web", "tier": "front", "generation": "7", "example.com/x": ""}


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("", True),
        ("app=web", True),
        ("app==web", True),
        ("app = web , tier=front", True),
        ("app=db", False),
        ("app!=db", True),
        ("app!=web", False),
        ("missing!=web", True),
        ("app", True),
        ("missing", False),
        ("!missing", True),
        ("! app", False),
        ("app in (web, db)", True),
        ("app in(web)", True),
        ("missing in (web)", False),
        ("app notin (web,db)", False),
        ("missing notin (web)", True),
        ("app=web,tier in (front,back),!missing,generation>5,generation<8", True),
        ("generation>7", False),
        ("app>1", False),
        ("example.com/x=", True),
        ("example.com/x in ()", True),
        ("in=web", False),
    ],
)
def test_label_selectors(text: str, selected: bool) -> None:
    assert parse_selector(text).matches(LABELS) is selected


@pytest.mark.parametrize(
    "text",
    [
        "=",
        "app=web,",
        ",app",
        "app=web tier=front",
        "app in",
        "app in (a",
        "a=b=c",
        "a=b c",
        "!a=b",
        "a>b",
        "-a=b",
        "a/=b",
    ],
)
def test_label_selectors_that_are_refused(text: str) -> None:
    with pytest.raises(SelectorError):
        parse_selector(text)


def test_selectors_of_objects() -> None:
    selector = {
        "matchLabels": {"app": "web"},
        "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["front", "back"]},
            {"key": "old", "operator": "DoesNotExist"},
        ],
    }
    parsed = from_label_selector(view(selector, LabelSelector))
    assert parsed.matches(LABELS)
    assert not parsed.matches({**LABELS, "old": ""})
    assert not parsed.matches({"app": "web"})
    assert from_label_selector(LabelSelector()) == EVERYTHING
    with pytest.raises(SelectorError, match='"Near" is not a valid label selector operator'):
        from_label_selector(view({"matchExpressions": [{"key": "a", "operator": "Near"}]}, LabelSelector))


def test_plain_selectors() -> None:
    assert from_labels({"app": "web", "tier": "front"}).matches(LABELS)
    assert not from_labels({"app": "web", "tier": "back"}).matches(LABELS)
