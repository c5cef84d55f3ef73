"""Which program an image runs."""

from __future__ import annotations

import pytest

from emulator.apps.images import PROGRAMS, ignores, module_for, repository


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


@pytest.mark.parametrize(
    ("image", "line", "module", "ignored"),
    [
        ("nginx", "", "nginx", False),
        ("nginx", "nginx -g x", "nginx", True),
        ("redis:7", "", "generic", False),
        ("redis:7", "redis-server --port 7000", "generic", True),
        ("redis:7", "sleep infinity", "idle", False),
        ("busybox", "/bin/sleep 3600", "idle", False),
        ("busybox", "sh -c date", "idle", True),
        ("agnhost", "/agnhost netexec --http-port 80", "agnhost", False),
        ("agnhost", "/agnhost dns-suffix", "agnhost", False),
        ("agnhost", "/agnhost guestbook", "agnhost", True),
        ("hashicorp/http-echo", "/http-echo -text=x", "http_echo", False),
        ("hashicorp/http-echo", "sh -c date", "http_echo", True),
    ],
)
def test_a_command_line_that_has_no_effect_is_known(image: str, line: str, module: str, ignored: bool) -> None:
    command = line.split()
    assert module_for(image, command) == module
    assert ignores(image, command, ()) == ignored


def test_arguments_of_programs_that_read_them() -> None:
    assert not ignores("hashicorp/http-echo", (), ("-text=x",))
    assert not ignores("agnhost", (), ("netexec",))
    assert ignores("mysql:8", (), ("--default-authentication-plugin=x",))
