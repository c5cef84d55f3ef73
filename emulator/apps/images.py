"""Which built-in program runs for a container's image. Without trio, since `emulator apply` reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from emulator.apps.commands import MODULES, is_built_in
from emulator.apps.known_images import BUSYBOX_IMAGES, PROGRAMS_OF_BUSYBOX
from emulator.apps.simple_command import ShellError, split

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
        "hey": "hey",
        "httpd": "httpd",
        "iperf3": "iperf3",
        "netshoot": "idle",
        "network-multitool": "nginx",
        "nginx": "nginx",
        "nginx-unprivileged": "nginx_unprivileged",
        "pause": "idle",
        "podwire/bench": "bench",  # the emulator's own, for `emulator bench`
        "podwire/load": "hey",  # a load generator
        "rockylinux": "idle",
        "traefik/whoami": "whoami",
        "ubuntu": "idle",
        "whoami": "whoami",
    }
)
_OWN_HOSTS = frozenset({"", "127.0.0.1", "localhost"})
STAND_INS = frozenset({"generic", "idle"})
"""Programs that know no ports of their own."""
_SHELLS = frozenset({"ash", "bash", "dash", "sh"})
_RUNNERS = frozenset({"env", "nohup", "timeout"})  # their arguments are a command
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
        "hey": frozenset({"hey", "load"}),
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


def module_for(image: str, command: Sequence[str], args: Sequence[str] = ()) -> str:
    """Return the module of programs/ that runs a container: its image's own, else `generic`, for its declared ports.

    A command that only waits (`sleep infinity`) idles whatever the image is, and one that is built in is run, as is a
    script whose programs there are.
    """
    parts = repository(image).split("/")
    module = PROGRAMS.get("/".join(parts[-2:])) or PROGRAMS.get(parts[-1]) or "generic"
    words = command_line(image, command, args) if command or module == "idle" else ()
    if not words:
        return module
    if words[0].rpartition("/")[2] in _IDLE_COMMANDS:
        return "idle"
    own = words[0].rpartition("/")[2] == module  # agnhost is a command too
    return "command" if can_run(image, words) and not own else module


def can_run(image: str, words: Sequence[str]) -> bool:
    """Whether a command of a container can be run: it is built in, or a script, of which all programs are.

    Of images whose programs are known (busybox, alpine) a script runs too where it calls one that they do not have: it
    is not found there either. A script that is a file is run where nothing stands in for its image.
    """
    name = words[0].rpartition("/")[2] if words else ""
    if name not in _SHELLS | _RUNNERS:
        return bool(words) and is_built_in(words[0])
    from emulator.apps.shell.needs import missing  # of manifests without scripts nobody needs it

    parts = repository(image).split("/")
    is_open = (PROGRAMS.get("/".join(parts[-2:])) or PROGRAMS.get(parts[-1])) == "idle"
    found = missing(words, _runnable())
    if parts[-1] in BUSYBOX_IMAGES:
        return len(words) > 1 and not PROGRAMS_OF_BUSYBOX & {name.rpartition("/")[2] for name in found.commands}
    return len(words) > 1 and not found.commands and (is_open or not found.is_open)


def _runnable() -> frozenset[str]:
    """The names of what a shell here can run."""
    from emulator.apps.shell.builtin_names import BUILTINS

    return BUILTINS | MODULES.keys()


def command_line(image: str, command: Sequence[str], args: Sequence[str]) -> tuple[str, ...]:
    """Return the words that a container of an image without a program of its own runs; images of curl begin with it.

    `sh -c` with a single command that only waits is that command.
    """
    words = (*command, *args)
    is_curl = repository(image).rpartition("/")[2] == "curl"
    return ("curl", *words) if is_curl and words and words[0].startswith("-") else without_shell(words)


def without_shell(words: Sequence[str]) -> tuple[str, ...]:
    """Return the command of `sh -c`, if it is a single one of those that wait, or agnhost's; else the words."""
    if len(words) == 3 and words[0].rpartition("/")[2] in _SHELLS and words[1] == "-c":
        with suppress(ShellError):
            inner = tuple(split(words[2]))
            if inner and inner[0].rpartition("/")[2] in _IDLE_COMMANDS | {"agnhost"}:
                return inner
    return tuple(words)


def program_for(container: Container) -> Program:
    """Return the program of a container, by its image and command."""
    module = module_for(container.image, container.command, container.args)
    if module == "idle" and container.ports and ignores(container.image, container.command, container.args):
        module = "generic"  # some program of the image, which is not run, has ports
    return cast("Program", import_module(f"emulator.apps.programs.{module}").main)


def ignores(image: str, command: Sequence[str], args: Sequence[str]) -> bool:
    """Whether a container's command line has no effect: its program stands in and reads nothing, or not all, of it."""
    module = module_for(image, command, args)
    words = command_line(image, command, args)
    if module == "command":
        return False
    if module == "idle":
        return bool(words) and words[0].rpartition("/")[2] not in _IDLE_COMMANDS
    if module == "agnhost":
        subcommand = [*command[1:], *args] if command else words
        return bool(subcommand) and subcommand[0] not in _AGNHOST
    if module in _READ_ARGS:
        return bool(command) and command[0].rpartition("/")[2] not in _READ_ARGS[module]
    return bool(words)


def is_stand_in(image: str, command: Sequence[str], args: Sequence[str]) -> bool:
    """Whether a container's program is none of its own: it answers, or waits, in place of one that is not run."""
    module = module_for(image, command, args)
    return module == "generic" or (module == "idle" and ignores(image, command, args))


def runs_to_its_end(image: str, command: Sequence[str], args: Sequence[str]) -> bool:
    """Whether a container's program is the real one and ends by itself, as that of an init container must."""
    words = command_line(image, command, args)
    module = module_for(image, command, args)
    return module == "command" or (module == "idle" and bool(words) and words[0].rpartition("/")[2] == "sleep")


def can_pass(image: str, command: Sequence[str], args: Sequence[str], probe: Mapping[str, object]) -> bool:
    """Whether a probe (as in a manifest) can find out something here; one that cannot is not run.

    A program that stands in has no files or commands of its own, and may not even listen; no program speaks gRPC.
    """
    module = module_for(image, command, args)
    if module == "idle" and ignores(image, command, args):
        return False
    if execution := probe.get("exec"):
        words = execution.get("command") if isinstance(execution, Mapping) else None
        return module != "generic" and isinstance(words, Sequence) and bool(words) and can_run(image, words)
    action = probe.get("httpGet") or probe.get("tcpSocket")
    if not isinstance(action, Mapping):
        return False
    # A real program may give its node an address; one that stands in has those of its pod only.
    return module != "generic" or action.get("host", "") in _OWN_HOSTS
