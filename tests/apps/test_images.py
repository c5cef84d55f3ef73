"""Which program an image runs."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from emulator.apps.images import PROGRAMS, can_pass, can_run, ignores, module_for, repository, runs_to_its_end


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
        ("busybox", "sh -c uptime", "idle", True),
        ("busybox", "nslookup web", "command", False),
        ("curlimages/curl:8.16.0", "-s http://web/", "command", False),
        ("redis:7", "/usr/bin/curl http://web/", "command", False),
        ("agnhost", "/agnhost netexec --http-port 80", "agnhost", False),
        ("agnhost", "/agnhost dns-suffix", "agnhost", False),
        ("agnhost", "/agnhost guestbook", "agnhost", True),
        ("hashicorp/http-echo", "/http-echo -text=x", "http_echo", False),
        ("hashicorp/http-echo", "sh -c uptime", "http_echo", True),
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


@pytest.mark.parametrize(
    ("image", "line", "runs"),
    [
        ("busybox", "sleep 5", True),
        ("busybox", "nslookup web", True),
        ("busybox", "sh -c uptime", False),
        ("busybox", "", False),
        ("nginx", "", False),
    ],
)
def test_what_an_init_container_can_run(image: str, line: str, runs: bool) -> None:
    assert runs_to_its_end(image, line.split(), ()) == runs
    assert runs_to_its_end(image, (), line.split()) == runs


@pytest.mark.parametrize(
    ("image", "line", "probe", "passes"),
    [
        ("nginx", "", {"httpGet": {"port": 80}}, True),
        ("redis:7", "", {"tcpSocket": {"port": 6379}}, True),
        ("redis:7", "", {"exec": {"command": ["redis-cli", "ping"]}}, False),
        ("redis:7", "", {"exec": {"command": ["cat", "/tmp/ready"]}}, False),
        ("redis:7", "", {"httpGet": {"port": 443, "scheme": "HTTPS"}}, True),
        ("nginx", "", {"exec": {"command": ["curl", "-f", "http://localhost/"]}}, True),
        ("nginx", "", {"exec": {"command": ["sh", "-c", "curl -f http://localhost/"]}}, True),
        ("nginx", "", {"exec": {"command": ["sh", "-c", "curl http://localhost/ | grep x"]}}, True),
        ("nginx", "", {"exec": {"command": ["sh", "-c", "nginx -t && curl http://localhost/"]}}, False),
        ("busybox", "sh -c httpd", {"tcpSocket": {"port": 80}}, False),
        ("busybox", "sleep infinity", {"exec": {"command": ["true"]}}, True),
        ("nginx", "", {"grpc": {"port": 80}}, False),
        ("node-cache", "", {"httpGet": {"port": 80, "host": "127.0.0.1"}}, True),
        ("node-cache", "", {"httpGet": {"port": 80, "host": "169.254.20.10"}}, False),
        ("coredns", "", {"tcpSocket": {"port": 53, "host": "169.254.20.10"}}, True),
    ],
)
def test_which_probes_can_find_out_something(image: str, line: str, probe: Mapping[str, object], passes: bool) -> None:
    assert can_pass(image, line.split(), (), probe) == passes


def test_a_shell_with_a_single_command_is_that_command() -> None:
    assert module_for("busybox", ("sh", "-c", "exec sleep 5")) == "idle"
    assert runs_to_its_end("busybox", ("/bin/sh", "-c", "nslookup web"), ())
    assert not ignores("busybox", ("sh", "-c", "nslookup web"), ())
    assert not ignores("busybox", ("sh", "-c", "until nslookup web; do sleep 2; done"), ())


@pytest.mark.parametrize(
    ("image", "words", "runs"),
    [
        ("busybox:1.36", ("sh", "-c", "until nslookup web; do echo waiting; sleep 2; done"), True),
        ("busybox:1.36", ("sh", "-c", "my-program --flag"), True),  # 127, as in the real image
        ("busybox:1.36", ("sh", "-c", "httpd -f"), False),  # which the real image has
        ("busybox:1.36", ("sh", "/scripts/run.sh"), True),
        ("busybox:1.36", ("sh",), False),
        ("alpine", ("sh", "-c", "apk add curl && curl http://web"), False),
        ("redis:7", ("sh", "-c", "redis-cli ping | grep PONG"), False),
        ("redis:7", ("sh", "-c", "while ! nc -z db 80; do sleep 1; done"), True),
        ("redis:7", ("sh", "-c", 'exec "$@"', "sh", "redis-server"), False),  # known only when it runs
        ("redis:7", ("sh", "/scripts/run.sh"), False),
        ("redis:7", ("/bin/bash", "-exc", "f() { echo $1; }; f x"), True),
        ("redis:7", ("bash", "-c", "timeout 5 redis-cli ping"), False),
        ("redis:7", ("timeout", "5", "redis-cli", "ping"), False),
        ("redis:7", ("timeout", "5", "nc", "-z", "db", "80"), True),
        ("redis:7", ("bash", "-c", "x=$(redis-cli info)"), False),
        ("redis:7", ("bash", "-c", "cat <<E\n$(redis-cli info)\nE"), False),
        ("redis:7", ("bash", "-c", "for i in $(redis-cli keys); do :; done"), False),
        ("redis:7", ("bash", "-c", "bash -c 'redis-cli ping'"), False),
        ("redis:7", ("bash", "-c", "if"), True),  # a syntax error is one everywhere
        ("debian", ("bash", "-c", "apt-get update"), False),
        ("debian", ("bash", "-c", "$COMMAND"), True),
        ("nginx", ("redis-cli",), False),
        ("nginx", (), False),
    ],
)
def test_which_commands_can_be_run(image: str, words: tuple[str, ...], runs: bool) -> None:
    assert can_run(image, words) == runs
