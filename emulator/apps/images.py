"""Which built-in program runs for a container's image (docs: the images in the README)."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import cast

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


def repository(image: str) -> str:
    """Return an image's name without registry, tag and digest: "docker.io/library/nginx:1.27" -> "library/nginx"."""
    name = image.partition("@")[0]
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        name = rest
    path, slash, last = name.rpartition("/")
    return path + slash + last.partition(":")[0]


def program_for(container: Container) -> Program:
    """Return the program of a container: by its image, else one that answers on its declared ports.

    A command that only waits (`sleep infinity`) idles whatever the image is.
    """
    name = repository(container.image)
    parts = name.split("/")
    module = PROGRAMS.get("/".join(parts[-2:])) or PROGRAMS.get(parts[-1]) or "generic"
    if container.command and container.command[0].rpartition("/")[2] in _IDLE_COMMANDS:
        module = "idle"
    return cast("Program", import_module(f"emulator.apps.programs.{module}").main)
