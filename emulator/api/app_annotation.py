"""The annotation `podwire/app: module:function`: a container runs a coroutine of the user's in place of its image.

`podwire/app` is for the pod's first container, `podwire/app.NAME` for the one of that name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

ANNOTATION = "podwire/app"
FORM = "module:function"

_NAME = re.compile(r"(?P<module>[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<function>[^\W\d]\w*)")


class AppName(NamedTuple):
    """A function, and the module that has it ("shop.web")."""

    module: str
    function: str

    def __str__(self) -> str:
        return f"{self.module}:{self.function}"


def parse_app_name(text: str) -> AppName | None:
    """Read "module:function"; None if it is not that."""
    found = _NAME.fullmatch(text.strip())
    return None if found is None else AppName(found["module"], found["function"])


def app_of(annotations: Mapping[str, str], containers: Sequence[str], container: str) -> str:
    """Return what the annotation says for one of a pod's `containers`; empty where its image runs."""
    own = annotations.get(f"{ANNOTATION}.{container}")
    if own is not None:
        return own
    return annotations.get(ANNOTATION, "") if containers[:1] == [container] else ""


def problems(annotations: Mapping[str, str], containers: Sequence[str]) -> dict[str, str]:
    """Return what is wrong with a pod's annotations, by their keys."""
    found = {}
    for key, value in annotations.items():
        if key != ANNOTATION and not key.startswith(f"{ANNOTATION}."):
            continue
        name = key.removeprefix(ANNOTATION).removeprefix(".")
        if key != ANNOTATION and name not in containers:
            found[key] = f"there is no container {name!r}; there are {', '.join(containers)}"
        elif parse_app_name(value) is None:
            found[key] = f'must be "{FORM}", such as "hello:main"'
    return found
