"""Manifests: what real projects write is taken; what is wrong is told whole, with its lines (faults 31 to 37)."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.api.manifest import (
    MAX_BYTES,
    ManifestObject,
    in_namespace,
    parse_manifest,
    read_manifest,
    read_manifests,
)
from emulator.api.yaml import compose as yaml_compose
from emulator.errors import ManifestError

DATA = Path(__file__).parent.parent / "data" / "manifests"
CONFIGS = Path(__file__).parent.parent.parent / "configs"

CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n"


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True, scope="module")
def _loader(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test runs with both of PyYAML's parsers, since the one in C is not in every installation."""
    if not hasattr(yaml, request.param):
        pytest.skip(f"this PyYAML has no {request.param}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml_compose, "_LOADER", getattr(yaml, request.param))
        yield


def problems(text: str | bytes) -> tuple[str, ...]:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(text, "x.yaml")
    assert all("\n" not in problem for problem in caught.value.problems)
    return caught.value.problems


@pytest.mark.parametrize(("name", "count"), [("guestbook.yaml", 6), ("online-boutique.yaml", 35)])
def test_manifests_of_real_projects_have_no_problem(name: str, count: int) -> None:
    objects = read_manifests([DATA / name])
    assert len(objects) == count
    assert {item.object["kind"] for item in objects} <= {"Deployment", "Service", "ServiceAccount"}


def test_own_manifests_have_no_problem() -> None:
    assert [item.object["kind"] for item in read_manifests([CONFIGS / "web.yaml"])] == ["Deployment", "Service", "Pod"]


def test_documents_know_their_lines_and_empty_ones_are_skipped() -> None:
    text = f"# a comment\n---\n---\n{CONFIG_MAP}---\n# nothing\n---\n{CONFIG_MAP}...\n"
    assert [item.place for item in parse_manifest(text, "x.yaml")] == ["x.yaml:4", "x.yaml:11"]


def test_json_is_yaml() -> None:
    data = {"a": "é\n\t/", "b": "\U0001f600", "c": "\\ud83d\\ude00", "d": "\x7f"}
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": data}
    for text in (json.dumps(obj), json.dumps(obj, indent="\t"), json.dumps(obj, indent=1).replace("/", "\\/")):
        (item,) = parse_manifest(text, "x.json")
        assert item.object == obj


def test_lists_are_unpacked_and_problems_inside_have_their_lines() -> None:
    text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Namespace\n  metadata: {name: a}\n"
    (item,) = parse_manifest(text, "x.yaml")
    assert item == ManifestObject({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}, "x.yaml", 4)
    assert problems(text.replace("name: a", "name: A"))[0].startswith("x.yaml:6: metadata.name: Invalid value")
    assert parse_manifest("apiVersion: v1\nkind: List\nitems: []\n", "x.yaml") == []


def test_null_means_not_given() -> None:
    (item,) = parse_manifest(f"{CONFIG_MAP}  creationTimestamp: null\n  labels:\ndata: ~\n", "x.yaml")
    assert item.object == {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}


def test_cluster_scoped_objects_lose_a_namespace() -> None:
    (item,) = parse_manifest("apiVersion: v1\nkind: Namespace\nmetadata: {name: a, namespace: b}\n", "x.yaml")
    assert item.object["metadata"] == {"name": "a"}


def test_anchors_and_merges_are_followed_and_not_shared() -> None:
    text = f"{CONFIG_MAP}  labels: &l {{a: b, c: d}}\n  annotations: *l\ndata:\n  <<: *l\n  c: own\n"
    (item,) = parse_manifest(text, "x.yaml")
    metadata = item.object["metadata"]
    assert metadata["labels"] == metadata["annotations"] == {"a": "b", "c": "d"}
    assert metadata["labels"] is not metadata["annotations"]
    assert item.object["data"] == {"a": "b", "c": "own"}


def alias_bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


def test_31_alias_bomb_meets_the_node_limit() -> None:
    (only,) = (problem for problem in problems(alias_bomb(20)) if "alias" in problem)
    assert only == "x.yaml:6: aliases stand for more than 100000 nodes; write them out"


def test_31_nodes_that_are_written_out_are_limited_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_compose, "MAX_NODES", 50)
    assert "x.yaml:1: more than 50 nodes; split the file" in problems(f"[{'x, ' * 60}]")


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: *a}", "a: &a\n  <<: *a\n"])
def test_31_an_alias_inside_of_what_it_names_is_refused(text: str) -> None:
    assert any("the alias *a stands inside what it names" in problem for problem in problems(text))


def test_31_an_unknown_alias_is_refused() -> None:
    assert "x.yaml:3: unknown alias *a" in problems("a: &a 1\n---\nb: *a\n")


@pytest.mark.parametrize("text", ["[" * 3000, "{a: " * 3000, "- " * 3000, "[" * 3000 + "]" * 3000])
def test_32_deep_nesting_is_one_line(text: str) -> None:
    assert problems(text) == ("x.yaml:1: nested deeper than 100 levels",)


def test_32_aliases_do_not_nest_deeper() -> None:
    text = f"a: &a {'[' * 80}{']' * 80}\nb: {'[' * 30}*a{']' * 30}\n"
    assert "x.yaml:2: nested deeper than 100 levels" in problems(text)


def test_33_duplicate_keys_are_refused_with_both_lines() -> None:
    text = f"{CONFIG_MAP}data:\n  a: one\n  b: two\n  a: three\nkind: Secret\n"
    assert problems(text) == (
        'x.yaml:8: duplicate key "a"; it is on line 6 already',
        'x.yaml:9: duplicate key "kind"; it is on line 2 already',
    )


@pytest.mark.parametrize(
    ("value", "reading"),
    [
        ("no", "reads as a boolean"),
        ("yes", "reads as a boolean"),
        ("on", "reads as a boolean"),
        ("Off", "reads as a boolean"),
        ("y", "reads as a boolean"),
        ("true", "reads as a boolean"),
        ("8080", "reads as a number"),
        ("1e3", "reads as a number"),
        ("0x1F", "reads as a number"),
        ("12:34:56:10:20:30", "reads as a number of base 60"),
        ("22:22", "reads as a number of base 60"),
        ("0123", "reads as an octal number"),
        ("08", "reads as an octal number"),
        ("0b11", "reads as a binary number"),
        ("1_000", "reads as a number in YAML 1.1"),
        (".inf", "is a number that JSON does not have"),
        ("99999999999999999999", "is an integer of more than 64 bits"),
    ],
)
def test_34_traps_are_asked_to_be_quoted(value: str, reading: str) -> None:
    (only,) = problems(f"{CONFIG_MAP}data:\n  a: {value}\n")
    assert only.startswith("x.yaml:6: ")
    assert f"{value} {reading}" in only
    assert only.endswith(f'quote it: "{value}"')
    (item,) = parse_manifest(f'{CONFIG_MAP}data:\n  a: "{value}"\n', "x.yaml")
    assert item.object["data"] == {"a": value}


@pytest.mark.parametrize("value", ["02:42:ac:11:00:02", "1.2.3", "v1", "2024-01-01", "1.0.0-rc1", "nope", "60:99"])
def test_34_text_that_every_reader_takes_for_text_needs_no_quotes(value: str) -> None:
    (item,) = parse_manifest(f"{CONFIG_MAP}data:\n  a: {value}\n", "x.yaml")
    assert item.object["data"] == {"a": value}


@pytest.mark.parametrize("key", ["on", "no", "true", "True", "~", "1e3", "0x10", "010"])
def test_34_keys_are_traps_too(key: str) -> None:
    assert any(f'quote it: "{key}"' in problem for problem in problems(f"{CONFIG_MAP}data:\n  {key}: x\n"))


def test_34_what_real_manifests_write_is_taken_as_kubectl_takes_it() -> None:
    text = """
apiVersion: v1
kind: Pod
metadata: {name: x}
spec:
  hostNetwork: yes
  enableServiceLinks: off
  volumes: [{name: v, configMap: {name: c, defaultMode: 0644}}]
  containers: [{name: a, image: b}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: tcp-services}
data: {9000: "default/web:80"}
"""
    pod, config_map = (item.object for item in parse_manifest(text, "x.yaml"))
    assert pod["spec"]["hostNetwork"] is True
    assert pod["spec"]["enableServiceLinks"] is False
    assert pod["spec"]["volumes"][0]["configMap"]["defaultMode"] == 0o644
    assert config_map["data"] == {"9000": "default/web:80"}


def test_35_all_problems_of_all_files_are_told_and_nothing_is_applied(tmp_path: Path) -> None:
    service = """apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  bogus: 1
  type: LoadBalancer
  ports:
  - port: 65536
  loadBalancerSourceRanges:
  - 10.0.0.0/33
"""
    good = tmp_path / "good.yaml"
    bad = tmp_path / "bad.yaml"
    good.write_text(CONFIG_MAP)
    bad.write_text(f"{CONFIG_MAP}---\n{service}")
    missing = tmp_path / "missing.yaml"
    with pytest.raises(ManifestError) as caught:
        read_manifests([good, missing, bad])
    assert caught.value.problems == (
        f"{missing}: cannot be read: No such file or directory",
        f'{bad}:11: unknown field "spec.bogus"',
        f"{bad}:14: spec.ports[0].port: Invalid value: 65536: must be between 1 and 65535, inclusive",
        f'{bad}:16: spec.loadBalancerSourceRanges[0]: Invalid value: "10.0.0.0/33": '
        "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
    )


def test_37_text_that_is_not_utf8_is_refused_with_its_line() -> None:
    assert problems(b"a: b\nc: \xff\n") == ("x.yaml:2: not UTF-8 (byte 0xff); save the file as UTF-8",)


def test_37_a_byte_order_mark_is_no_problem() -> None:
    assert len(parse_manifest(b"\xef\xbb\xbf" + CONFIG_MAP.encode(), "x.yaml")) == 1


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n---\n"])
def test_37_empty_files_are_refused(text: str) -> None:
    assert problems(text) == ("x.yaml: no objects in it; it is empty or has only comments",)


class Endless(io.RawIOBase):
    """A stream without an end that counts what is taken from it."""

    taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        self.taken += len(buffer)
        buffer[:] = b"#" * len(buffer)
        return len(buffer)


def test_37_large_files_are_refused_before_they_are_read_whole() -> None:
    endless = Endless()
    with pytest.raises(ManifestError, match=r"x\.yaml: larger than 16 MiB; split the file"):
        read_manifest(io.BufferedReader(endless), "x.yaml")
    assert endless.taken < 2 * MAX_BYTES


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("!!python/object/apply:os.system ['true']", "!!python/object/apply:os.system"),
        ("a: !!str 1", "!!str"),
        ("a: !Ref b", "!Ref"),
        ("a: !!binary aGk=", "!!binary"),
        ("!!map {a: b}", "!!map"),
    ],
)
def test_37_tags_are_refused(text: str, tag: str) -> None:
    assert problems(text)[0].startswith(f"x.yaml:1: the tag {tag} is not allowed")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: b: c", "x.yaml:1: not valid YAML: mapping values are not allowed"),
        ("a: [1\n", "x.yaml:2: not valid YAML"),
        ("a: b\n\tc: d", "x.yaml:2: not valid YAML"),
        ("a: \x1b[31m", "x.yaml:1: not valid YAML"),
        ("? [a]\n: b", "x.yaml:1: a key must be text"),
        ('a: "\\ud800"', "x.yaml:1: "),
        ("- a", "x.yaml:1: expected an object with apiVersion and kind, got a list"),
        ("text", "x.yaml:1: expected an object with apiVersion and kind, got a string"),
    ],
)
def test_text_that_is_no_manifest(text: str, said: str) -> None:
    assert problems(text)[0].startswith(said)


def test_control_characters_never_reach_the_terminal() -> None:
    for problem in problems('apiVersion: v1\nkind: "Po\\e[31md"\nmetadata: {"a\\nb": 1}\n'):
        assert problem.isprintable()


def test_directories_are_read_file_by_file(tmp_path: Path) -> None:
    (tmp_path / "b.yml").write_text(CONFIG_MAP)
    (tmp_path / "a.json").write_text('{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}')
    (tmp_path / "notes.txt").write_text("not a manifest")
    assert [item.object["kind"] for item in read_manifests([tmp_path])] == ["Namespace", "ConfigMap"]


def test_namespaces_are_filled_in() -> None:
    text = f"{CONFIG_MAP}---\n{CONFIG_MAP}  namespace: own\n---\n" + CONFIG_MAP.replace("ConfigMap", "Namespace")
    objects = parse_manifest(text, "x.yaml")
    placed = [item.object["metadata"].get("namespace") for item in in_namespace(objects, None)]
    assert placed == ["default", "own", None]
    assert "namespace" not in objects[0].object["metadata"]
    with pytest.raises(ManifestError, match="You must pass '--namespace=own'"):
        in_namespace(objects, "other")


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(alphabet="{}[]&*a:-,!<>|'\"#%@ \n\t?0~", max_size=60)))
def test_any_text_gives_objects_or_problems(text: str | bytes) -> None:
    said: tuple[str, ...] = ()
    try:
        objects = parse_manifest(text, "x.yaml")
    except ManifestError as error:
        objects, said = [], error.problems
    assert objects == []  # nothing this short is a whole object
    assert said
    assert all(problem.startswith("x.yaml:") and "\n" not in problem for problem in said)
