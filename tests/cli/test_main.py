"""What holds for all commands: unknown words, help, errors of one line, broken pipes, what is imported."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from emulator.api.messages import PROTOCOL_VERSION
from emulator.cli.main import MODULES, cli
from tests.cli.conftest import Ask, command, environment, run, run_here

HEAVY = {"emulator.api.objects", "trio", "textual", "yaml", "jsonschema_rs", "asyncio", "logging", "h11"}
ASKING = {
    "get": ["get", "pods"],
    "status": ["status"],
    "scale": ["scale", "deploy/web", "--replicas", "2"],
    "exec": ["exec", "client", "--", "hostname"],
    "logs": ["logs", "deploy/web"],
    "trace": ["trace", "client", "web"],
    "describe": ["describe", "pod", "client"],
    "delete": ["delete", "pod", "nobody", "--ignore-not-found"],
    "version": ["version"],
}


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["gett"], "Did you mean 'get'?"),
        (["get", "pods", "--namespce", "x"], "--namespace"),
        (["get", "podz"], 'did you mean "pods"?'),
        (["get"], "which kind"),
        (["scale", "deploy/web"], "--replicas"),
        (["exec", "client"], "COMMAND"),
        (["trace", "client", "web", "--tcp", "70000"], "70000"),
        (["get", "pods", "x", "-A"], "all-namespaces"),
        (["get", "pod/a", "b"], "KIND/NAME"),
    ],
)
def test_a_mistyped_command_gets_one_line_with_a_hint(words: list[str], hint: str) -> None:
    """Fault 42."""
    done = run_here(*words)
    assert done.status == 2
    assert done.out == ""
    assert done.err.count("\n") == 1
    assert done.err.startswith("error: ")
    assert hint in done.err


def test_an_unknown_node_gets_a_hint(ask: Ask) -> None:
    """Fault 42."""
    for words in (["exec", "node/node-x", "--", "ip", "addr"], ["trace", "client", "node/nod-a"]):
        done = ask(*words)
        assert done.status == 2
        assert "node-a, node-b" in done.err
        assert 'did you mean "node-' in done.err
        assert done.err.count("\n") == 1


def test_without_a_cluster_one_line_says_what_to_do(tmp_path: Path) -> None:
    for words in (["get", "pods"], ["status"], ["stop"], ["exec", "a", "--", "ls"], ["trace", "a", "b"]):
        done = run(*words, extra={"XDG_RUNTIME_DIR": "", "XDG_STATE_HOME": str(tmp_path)})
        assert (done.status, done.out) == (1, "")
        assert done.err == "error: no cluster is running; start one with: emulator start CONFIG\n"


def test_a_named_cluster_that_does_not_run_is_named() -> None:
    done = run("get", "pods", "--cluster", "nowhere")
    assert done.status == 1
    assert done.err == 'error: no cluster "nowhere" is running; start one with: emulator start CONFIG\n'


@pytest.mark.parametrize("name", MODULES)
def test_every_command_has_help_with_examples(name: str) -> None:
    result = CliRunner().invoke(cli(), [name, "--help"])
    assert result.exit_code == 0
    assert "Examples:" in result.output or "Commands:" in result.output
    assert f"emulator {name}" in result.output


def test_the_overview_names_every_command_and_imports_none() -> None:
    code = "import sys; from emulator.cli.main import run; run(['--help']); print([*sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True)
    assert all(name in done.stdout for name in MODULES)
    assert "emulator.cli.get" not in done.stderr


@pytest.mark.parametrize("name", ASKING)
def test_commands_that_ask_import_nothing_heavy(cluster: str, name: str) -> None:
    words = ["--cluster", cluster, *ASKING[name]]
    code = f"import sys; from emulator.cli.main import run; s = run({words!r}); sys.stderr.write(' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; sys.exit(s)"],
        capture_output=True,
        text=True,
        env=environment(),
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not HEAVY & set(done.stderr.split())


def test_a_reader_that_goes_away_is_no_failure(ask: Ask) -> None:
    """EPIPE (fault 40)."""
    process = subprocess.Popen(
        command("--cluster", ask.cluster, "get", "all", "-A", "-o", "json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert (process.wait(30), errors) == (0, b"")


@pytest.mark.parametrize("words", [["get", "pods"], ["exec", "client", "--", "hostname"]])
def test_a_closed_output_is_no_failure(ask: Ask, words: list[str]) -> None:
    line = " ".join(command("--cluster", ask.cluster, *words)) + " >&-"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, env=environment(), check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_colour_only_on_a_terminal(ask: Ask) -> None:
    assert "\x1b" not in ask.ok("status")
    assert "\x1b" not in ask.ok("trace", "client", "web")
    assert "\x1b" not in ask("get", "pod", "nobody").err


def test_control_characters_in_words_are_escaped(ask: Ask) -> None:
    done = ask("get", "pod", "a\x1b[31m\nb")
    assert done.status == 1
    assert "\x1b" not in done.err
    assert "\\x1b[31m" in done.err


def test_options_come_from_the_environment(cluster: str) -> None:
    extra = {"PODWIRE_CLUSTER": cluster, "PODWIRE_NAMESPACE": "kube-system", "PODWIRE_GET_OUTPUT": "name"}
    done = run("get", "services", extra=extra)
    assert (done.status, done.out) == (0, "service/kube-dns\n")


def test_version_without_a_cluster() -> None:
    done = run("version", "--client", "-o", "json")
    assert done.status == 0
    assert f'"protocol": {PROTOCOL_VERSION}' in done.out


def test_a_file_that_is_not_there() -> None:
    done = run_here("apply", "-f", "/nonexistent/file.yaml")
    assert done.status == 1
    assert done.err == "error: /nonexistent/file.yaml: cannot be read: No such file or directory\n"


def test_ctrl_c_while_modules_are_imported_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    path = f"{tmp_path}:{Path(__file__).parents[2]}"
    command = [sys.executable, "-m", "emulator", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")
