"""Lists in pages: however they are cut and whatever changes meanwhile, together they are the list of the first page."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.api import messages
from emulator.api.messages import ControlError, ErrorCode, ListParams, Object
from emulator.api.store.history import Reference
from emulator.api.store.store import Store
from emulator.runtime.controller import pages
from emulator.runtime.controller.pages import key_of, list_page, result_of
from tests.runtime.lab import config_map, lab

MANY = 20_000


def store(history: int = 1_000) -> Store:
    return Store(random=random.Random(1), clock=lambda: 1_000.0, history=history)


def config(name: str, namespace: str = "default", value: str = "") -> Object:
    metadata = {"name": name, "namespace": namespace, "resourceVersion": "1", "uid": f"{namespace}/{name}"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"v": value}}


def everything(_obj: Object) -> bool:
    return True


def all_pages(
    held: Store, params: ListParams, between: Callable[[], None] = lambda: None, selects: pages.Selects = everything
) -> list[list[Object]]:
    found = []
    while True:
        result = result_of(list_page(held, "ConfigMap", params, selects), params)
        found.append(result.items)
        if not result.continue_:
            return found
        params = msgspec.structs.replace(params, continue_=result.continue_)
        between()


def test_twenty_thousand_objects_come_in_pages_in_order() -> None:
    held = store()
    held.load([config(f"c-{number:05}", f"ns-{number % 3}") for number in range(MANY)], 1)
    found = all_pages(held, ListParams(kind="ConfigMap", limit=500))
    assert [len(page) for page in found] == [500] * (MANY // 500)
    keys = [key_of(obj) for page in found for obj in page]
    assert keys == sorted(keys)
    assert len({*keys}) == MANY


SPACES = ("default", "other")
CHANGE = st.tuples(st.sampled_from(["put", "delete"]), st.sampled_from("abcdefgh"), st.sampled_from(SPACES))


def namespace_object(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "uid": name, "resourceVersion": "1"}}


@settings(max_examples=60)
@given(
    st.lists(CHANGE, max_size=12),
    st.lists(st.lists(CHANGE, max_size=4), max_size=12),
    st.integers(1, 5),
    st.sampled_from([None, "default"]),
)
def test_pages_together_are_the_list_as_it_was_at_the_first(
    before: list[tuple[str, str, str]], during: list[list[tuple[str, str, str]]], limit: int, namespace: str | None
) -> None:
    held = store()
    held.load([*map(namespace_object, SPACES)], 1)

    def change(changes: list[tuple[str, str, str]]) -> None:
        for what, name, space in changes:
            reference = Reference("ConfigMap", space, name)
            there = held.get(*reference) is not None
            if what == "delete":
                if there:
                    held.delete(reference)
            elif there:
                held.patch(reference, {"data": {"v": str(held.revision)}})
            else:
                held.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": space}})

    change(before)
    expected = sorted(held.list("ConfigMap", namespace), key=key_of)
    left = iter(during)
    params = ListParams(kind="ConfigMap", namespace=namespace, limit=limit)
    found = all_pages(held, params, lambda: change(next(left, [])))
    assert [obj for page in found for obj in page] == expected


def test_what_is_left_is_counted_unless_something_selects() -> None:
    held = store()
    held.load([config(f"c-{number}") for number in range(7)], 1)
    for params, remaining in (
        (ListParams(kind="cm", limit=3), 4),
        (ListParams(kind="cm", limit=3, label_selector="!a"), None),
    ):
        assert result_of(list_page(held, "ConfigMap", params, everything), params).remaining == remaining
    whole = result_of(list_page(held, "ConfigMap", ListParams(kind="cm", limit=7), everything), ListParams(kind="cm"))
    assert (whole.continue_, whole.remaining) == ("", 0)


def test_a_page_of_large_objects_is_cut_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE_BYTES", 20_000)
    held = store()
    held.load(
        [config(f"c-{number}", value="x" * 6_000) for number in range(9)] + [config("large", value="x" * 30_000)], 1
    )
    found = all_pages(held, ListParams(kind="ConfigMap", limit=500))
    assert sum(map(len, found)) == 10
    assert max(map(len, found)) < 4


@pytest.mark.parametrize("token", ["x", "bm8", "eyJyZXZpc2lvbiI6MX0", "é", "{}"])
def test_tokens_that_are_none_are_refused(token: str) -> None:
    with pytest.raises(ControlError, match="continue key is not valid"):
        list_page(store(), "ConfigMap", ListParams(kind="cm", limit=1, continue_=token), everything)


def test_a_token_of_long_ago_is_expired() -> None:
    held = store(history=2)
    held.load([namespace_object("default")], 1)
    for name in "abc":
        held.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}})
    params = ListParams(kind="cm", limit=1)
    token = list_page(held, "ConfigMap", params, everything).token
    for number in range(4):
        held.patch(Reference("ConfigMap", "default", "a"), {"data": {"v": str(number)}})
    with pytest.raises(ControlError) as caught:
        list_page(held, "ConfigMap", msgspec.structs.replace(params, continue_=token), everything)
    assert caught.value.code is ErrorCode.EXPIRED


async def test_a_list_that_no_frame_holds_comes_in_pages(autojump_clock: object) -> None:
    async with lab() as cluster, cluster.client() as client:
        objects = [{**config_map(f"big-{number}"), "data": {"v": "x" * 900_000}} for number in range(20)]
        for obj in objects:
            await client.call(messages.CREATE, messages.CreateParams(object=obj))
        with pytest.raises(ControlError, match="limit"):
            await client.call(messages.LIST, ListParams(kind="cm", namespace="default"))
        params, found = ListParams(kind="cm", namespace="default", limit=500), 0
        while True:
            page = await client.call(messages.LIST, params)
            found += len(page.items)
            if not page.continue_:
                break
            params = msgspec.structs.replace(params, continue_=page.continue_)
        assert found == 20
