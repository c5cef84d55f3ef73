"""Which program an image runs."""

from __future__ import annotations

import pytest

from emulator.apps.images import PROGRAMS, repository


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("nginx", "nginx"),
        ("nginx:1.27", "nginx"),
        ("docker.io/library/nginx:1.27@sha256:00", "library/nginx"),
        ("localhost:5000/team/app:v1", "team/app"),
        ("localhost/app", "app"),
        ("registry.k8s.io/e2e-test-images/agnhost:2.53", "e2e-test-images/agnhost"),
        (
            "us-central1-docker.pkg.dev/google-samples/microservices-demo/frontend:v0.10",
            "google-samples/microservices-demo/frontend",
        ),
    ],
)
def test_names_without_registry_tag_and_digest(image: str, name: str) -> None:
    assert repository(image) == name


def test_every_program_exists() -> None:
    from importlib import import_module

    for module in set(PROGRAMS.values()):
        assert callable(import_module(f"emulator.apps.programs.{module}").main)
