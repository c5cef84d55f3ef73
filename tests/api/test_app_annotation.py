"""`podwire/app: module:function`: which container it is for, and what is wrong with it."""

import pytest

from emulator.api.app_annotation import AppName, app_of, parse_app_name, problems
from emulator.api.manifest import parse_manifest
from emulator.cli.stand_ins import stand_in_notes
from emulator.errors import ManifestError

BOTH = {"podwire/app": "web:main", "podwire/app.log": "tools.log:ship"}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("hello:main", AppName("hello", "main")),
        (" shop.web:serve_all ", AppName("shop.web", "serve_all")),
        ("hello", None),
        ("hello:", None),
        (":main", None),
        ("hello.py:main:x", None),
        ("../hello:main", None),
        ("hello:main()", None),
        ("1hello:main", None),
        ("hello..web:main", None),
        ("", None),
    ],
)
def test_form(text: str, name: AppName | None) -> None:
    assert parse_app_name(text) == name
    if name is not None:
        assert str(name) == text.strip()


@pytest.mark.parametrize(
    ("container", "app"),
    [("web", "web:main"), ("log", "tools.log:ship"), ("other", "")],
)
def test_the_plain_annotation_is_for_the_first_container(container: str, app: str) -> None:
    assert app_of(BOTH, ["web", "log", "other"], container) == app


def test_a_containers_own_annotation_wins() -> None:
    assert app_of({**BOTH, "podwire/app.web": "mine:main"}, ["web", "log"], "web") == "mine:main"


def test_problems_are_told_by_key() -> None:
    assert problems({"podwire/app": "x:y", "podwire/app.web": "x:y", "podwire/apps": "x", "other": "x"}, ["web"]) == {}
    found = problems({"podwire/app": "x", "podwire/app.db": "x:y"}, ["web"])
    assert found == {
        "podwire/app": 'must be "module:function", such as "hello:main"',
        "podwire/app.db": "there is no container 'db'; there are web",
    }


POD = """
apiVersion: v1
kind: Pod
metadata:
  name: hello
  annotations:
    podwire/app: APP
spec:
  containers:
  - name: main
    image: example.com/mine
    command: [run]
  - name: other
    image: example.com/other
"""


def test_a_manifest_with_a_malformed_one_is_refused_with_its_line() -> None:
    with pytest.raises(ManifestError, match=r"pod.yaml:7: .*podwire/app.*module:function"):
        parse_manifest(POD.replace("APP", "hello.py"), "pod.yaml")


def test_nothing_stands_in_for_a_container_that_runs_an_app() -> None:
    (item,) = parse_manifest(POD.replace("APP", "hello:main"), "pod.yaml")
    (note,) = stand_in_notes([item.object])
    assert "example.com/other" in note
    assert "example.com/mine" not in note
    assert "container main" not in note
