import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.api.store.merge import merge_patch, three_way

values = st.recursive(
    st.integers(0, 3) | st.text("ab", max_size=1) | st.lists(st.integers(0, 2), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
maps = st.dictionaries(st.sampled_from("abc"), values, max_size=3)


@pytest.mark.parametrize(  # the examples of RFC 7386, appendix A, whose target and patch are maps
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch(target, patch, result):
    assert merge_patch(target, patch) == result


@given(maps, maps)
def test_three_way_sets_all_that_is_wanted_and_does_so_once(original, current):
    wanted = {"a": {"b": 1}, "c": [1, 2]}
    result = three_way(original, wanted, current)
    assert result["c"] == [1, 2]
    assert result["a"]["b"] == 1
    assert three_way(wanted, wanted, result) == result


@given(maps, maps)
def test_three_way_without_others_gives_what_is_wanted(original, modified):
    assert three_way(original, modified, original) == modified


def container(name, **fields):
    return {"name": name, **fields}


def test_lists_merge_by_their_keys():
    original = {"containers": [container("a", image="1"), container("b", image="1")]}
    modified = {"containers": [container("c", image="1"), container("a", image="2")]}
    current = {
        "containers": [
            container("a", image="1", tty=False),
            container("b", image="1", tty=False),
            container("injected", image="9"),
        ]
    }
    assert three_way(original, modified, current) == {
        "containers": [
            container("c", image="1"),
            container("a", image="2", tty=False),
            container("injected", image="9"),
        ]
    }


def test_ports_differ_by_protocol_too():
    current = {
        "ports": [{"port": 53, "protocol": "TCP", "nodePort": 1}, {"port": 53, "protocol": "UDP", "nodePort": 2}]
    }
    modified = {"ports": [{"port": 53, "protocol": "UDP", "name": "dns"}, {"port": 53, "name": "dns-tcp"}]}
    assert three_way({}, modified, current) == {
        "ports": [
            {"port": 53, "protocol": "UDP", "name": "dns", "nodePort": 2},
            {"port": 53, "protocol": "TCP", "name": "dns-tcp", "nodePort": 1},
        ]
    }


@pytest.mark.parametrize("name", ["args", "endpoints"])
def test_other_lists_are_atomic(name):
    assert three_way({}, {name: ["x"]}, {name: ["a", "b"]}) == {name: ["x"]}


def test_a_list_with_elements_that_have_no_key_is_replaced():
    assert three_way({}, {"containers": [{}]}, {"containers": [container("a")]}) == {"containers": [{}]}
