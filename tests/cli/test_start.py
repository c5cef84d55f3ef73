"""start, status and stop: what fails before anything runs, what runs, and that nothing stays behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from emulator.api.cluster_file import ClusterConfig, read_cluster_file
from emulator.cli import manifest_check
from emulator.cli.manifest_check import ManifestCheck
from emulator.errors import PodwireError
from tests.cli.conftest import Ask, command, environment, run, write_config
from tests.conftest import ended

SMALL = '[cluster]\nname = "NAME"\n'


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A place for clusters of this test's own, with a short path, since sockets lie in it."""
    directory = Path(os.environ["XDG_RUNTIME_DIR"]) / f"s{os.getpid()}"
    yield directory
    assert not directory.exists(), "a state directory was left behind"


def small(directory: Path, name: str = "small") -> str:
    path = directory / "small.toml"
    path.write_text(SMALL.replace("NAME", name))
    return str(path)


@pytest.mark.parametrize(
    ("config", "objects", "problems"),
    [
        ('[cluster]\nnam = "x"\npod_cidr = "1.2.3.0/33"\n', "", ["cluster.nam: unknown key", "cluster.pod_cidr: "]),
        ("not toml", "", ["not valid TOML"]),
        (
            '[cluster]\nmanifests = ["objects.yaml"]\n',
            "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 65536}], bogus: 1}\n",
            ["objects.yaml:4: spec.ports[0].port: Invalid value: 65536", "bogus"],
        ),
        (
            '[cluster]\nmanifests = ["objects.yaml"]\n',
            "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {nodeName: n9, containers: [{name: c, image: i}]}\n",
            ['objects.yaml:1: spec.nodeName: there is no node "n9"; the nodes are: node-1'],
        ),
    ],
)
def test_every_problem_is_told_and_nothing_is_started(
    tmp_path: Path, state: Path, config: str, objects: str, problems: list[str]
) -> None:
    path = write_config(tmp_path, config, objects)
    done = run("--state-dir", str(state), "start", str(path), "--detach")
    assert (done.status, done.out) == (1, "")
    assert all(line.startswith("error: ") for line in done.err.splitlines())
    assert all(problem in done.err for problem in problems), done.err


def test_a_file_that_does_not_exist(state: Path) -> None:
    done = run("--state-dir", str(state), "start", "/nonexistent.toml")
    assert (done.status, done.err) == (1, "error: /nonexistent.toml: cannot be read: No such file or directory\n")


def test_a_state_directory_that_cannot_be_made(tmp_path: Path) -> None:
    for place in ("/proc/podwire", str(tmp_path / "small.toml")):
        done = run("--state-dir", place, "start", small(tmp_path), "--detach")
        assert done.status == 1
        assert done.err.count("\n") == 1
        assert done.err.startswith(f"error: {place}: ")


def test_a_second_start_is_refused(ask: Ask, tmp_path: Path) -> None:
    for words in ([], ["--detach"]):
        done = run("start", small(tmp_path, ask.cluster), *words)
        assert done.status == 1
        assert done.err.startswith(f'error: cluster "{ask.cluster}" is running already (process ')
        assert done.err.count("\n") == 1
    assert ask("status", "--check").status == 0


def test_status_tells_a_newcomer_what_exists(ask: Ask) -> None:
    text = ask.ok("status")
    assert text.startswith(f"Cluster {ask.cluster} is ready: 2/2 nodes, ")
    for word in (
        "node-a",
        "zone-a",
        "10.244.0.0/24",
        "default/web",
        "80/TCP",
        "default/client",
        "kube-system/kube-dns",
    ):
        assert word in text
    assert f"  emulator --cluster {ask.cluster} exec client -- curl -s http://web/\n" in text


def test_status_as_json(ask: Ask) -> None:
    value = json.loads(ask.ok("status", "-o", "json"))
    assert value["overview"]["ready"] is True
    assert {process["name"] for process in value["supervisor"]["processes"]} == {
        "controller",
        "node-a",
        "node-b",
        "cloud",
    }


def test_the_foreground_prints_the_page_and_ctrl_c_ends_all(tmp_path: Path, state: Path) -> None:
    process = subprocess.Popen(
        command("--state-dir", str(state), "start", small(tmp_path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("  emulator") and line.endswith(" stop\n"):
            break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert errors.endswith('cluster "small" has ended\n')


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_before_all_is_ready_leaves_nothing(tmp_path: Path, state: Path, number: signal.Signals) -> None:
    for words in ([], ["--detach"]):
        process = subprocess.Popen(
            command("--state-dir", str(state), "start", small(tmp_path), *words),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        assert process.stderr is not None
        assert process.stderr.readline().startswith('starting cluster "small"')
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
        assert process.returncode in (0, 130)
        assert "Traceback" not in errors


def test_a_stuck_supervisor_is_ended_by_signals(tmp_path: Path, state: Path) -> None:
    done = run("--state-dir", str(state), "start", small(tmp_path), "--detach", "-o", "json")
    supervisor = json.loads(done.out)["supervisor"]["pid"]
    os.kill(supervisor, signal.SIGSTOP)
    done = run("--state-dir", str(state), "stop", "--timeout", "0.3")
    assert done.status == 0, done.err
    assert done.out.endswith("was ended by signals\n")
    assert ended(supervisor, time.monotonic() + 5)


def test_stop_removes_what_is_left_where_all_were_killed(tmp_path: Path, state: Path) -> None:
    here = ["--state-dir", str(state)]
    assert run(*here, "start", small(tmp_path), "--detach", "-q").status == 0
    supervisor = json.loads(run(*here, "status", "-o", "json").out)["supervisor"]
    children = Path(f"/proc/{supervisor['pid']}/task/{supervisor['pid']}/children").read_text()
    pids = [*map(int, children.split()), supervisor["pid"]]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            os.kill(pid, number)
    for process in supervisor["processes"]:
        assert ended(process["pid"], time.monotonic() + 5)
    assert run(*here, "status").status == 1
    assert state.exists()
    done = run(*here, "stop")
    assert (done.status, done.out) == (0, 'cluster "small" has ended\n')
    assert not state.exists()


@pytest.mark.parametrize("closed", ["<&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_are_no_failure(tmp_path: Path, state: Path, closed: str) -> None:
    line = " ".join(command("--state-dir", str(state), "start", small(tmp_path), "--detach", "-q"))
    done = subprocess.run(["sh", "-c", f"{line} {closed}"], env=environment(), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    ended = run("--state-dir", str(state), "stop")
    assert (ended.status, ended.out) == (0, 'cluster "small" has ended\n')


def test_stop_works_without_the_controller(tmp_path: Path, state: Path) -> None:
    done = run("--state-dir", str(state), "start", small(tmp_path), "--detach", "-o", "json")
    processes = {entry["name"]: entry["pid"] for entry in json.loads(done.out)["supervisor"]["processes"]}
    os.kill(processes["controller"], signal.SIGSTOP)
    done = run("--state-dir", str(state), "stop")
    assert (done.status, done.out) == (0, 'cluster "small" has ended\n')


def test_a_mistake_is_told_before_the_node_is_imported(tmp_path: Path) -> None:
    """Meanwhile the supervisor alone is imported, which takes no longer than the check."""
    path = write_config(tmp_path, '[cluster]\nmanifests = ["objects.yaml"]\n', "kind: [")
    code = (
        f"import sys; from emulator.cli.main import run; status = run(['start', {str(path)!r}]); "
        "loaded = [name in sys.modules for name in ('emulator.kernel.netns', 'emulator.api.manifest')]; "
        "sys.exit(10 * status + any(loaded))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, check=False)
    assert done.returncode == 10
    assert done.stderr.startswith(b"error: ")


def test_a_check_that_fails_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd) -> None:
    path = write_config(tmp_path, '[cluster]\nmanifests = ["objects.yaml"]\n', "kind: Pod")

    def failing(config: ClusterConfig, *, quiet: bool) -> NoReturn:
        raise RuntimeError("broken")

    monkeypatch.setattr(manifest_check, "check_manifests", failing)
    with pytest.raises(PodwireError, match="last words"):
        ManifestCheck(read_cluster_file(path), quiet=True).result()
    assert "RuntimeError: broken" in capfd.readouterr().err
