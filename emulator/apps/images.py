"""Which built-in program runs for a container's image. Without trio, since `emulator apply` reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from emulator.apps.environment import Container, Program

# The last part of an image's name, or its last two, to the module of programs/ that runs it.
PROGRAMS: Mapping[str, str] = MappingProxyType(
    {
        "agnhost": "agnhost",
        "alpine": "idle",
        "alpine/curl": "idle",
        "busybox": "idle",
        "centos": "idle",
        "coredns": "coredns",
        "curl": "idle",
        "curlimages/curl": "idle",
        "debian": "idle",
        "dnsutils": "idle",
        "fedora": "idle",
        "hashicorp/http-echo": "http_echo",
        "http-echo": "http_echo",
        "httpd": "httpd",
        "iperf3": "iperf3",
        "netshoot": "idle",
        "network-multitool": "nginx",
        "nginx": "nginx",
        "nginx-unprivileged": "nginx_unprivileged",
        "pause": "idle",
        "podwire/bench": "bench",  # the emulator's own, for `emulator bench`
        "rockylinux": "idle",
        "traefik/whoami": "whoami",
        "ubuntu": "idle",
        "whoami": "whoami",
    }
)
_IDLE_COMMANDS = frozenset({"sleep", "tail", "pause"})
# agnhost's subcommands that there are.
_AGNHOST = frozenset(
    {
        "connect",
        "dns-server-list",
        "dns-suffix",
        "etc-hosts",
        "liveness",
        "logs-generator",
        "netexec",
        "pause",
        "porter",
        "serve-hostname",
        "test-webserver",
    }
)
# Programs that read their arguments, and the names of the executable that stand for them.
_READ_ARGS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "bench": frozenset({"bench"}),
        "http_echo": frozenset({"http-echo"}),
        "iperf3": frozenset({"iperf3"}),
        "whoami": frozenset({"whoami"}),
    }
)


def repository(image: str) -> str:
    """Return an image's name without registry, tag and digest: "docker.io/library/nginx:1.27" -> "library/nginx"."""
    name = image.partition("@")[0]
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        name = rest
    path, slash, last = name.rpartition("/")
    return path + slash + last.partition(":")[0]


def module_for(image: str, command: Sequence[str]) -> str:
    """Return the module of programs/ that runs an image: its own, else `generic`, which answers on declared ports.

    A command that only waits (`sleep infinity`) idles whatever the image is.
    """
    if command and command[0].rpartition("/")[2] in _IDLE_COMMANDS:
        return "idle"
    parts = repository(image).split("/")
    return PROGRAMS.get("/".join(parts[-2:])) or PROGRAMS.get(parts[-1]) or "generic"


def program_for(container: Container) -> Program:
    """Return the program of a container, by its image and command."""
    module = module_for(container.image, container.command)
    return cast("Program", import_module(f"emulator.apps.programs.{module}").main)


def ignores(image: str, command: Sequence[str], args: Sequence[str]) -> bool:
    """Whether a container's command line has no effect: its program stands in and reads nothing, or not all, of it."""
    module = module_for(image, command)
    words = [*command, *args]
    if module == "idle":
        return bool(words) and words[0].rpartition("/")[2] not in _IDLE_COMMANDS
    if module == "agnhost":
        subcommand = [*command[1:], *args] if command else words
        return bool(subcommand) and subcommand[0] not in _AGNHOST
    if module in _READ_ARGS:
        return bool(command) and command[0].rpartition("/")[2] not in _READ_ARGS[module]
    return bool(words)
