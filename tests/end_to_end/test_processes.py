"""Real processes are killed and stopped: what must come back comes back, what must go leaves nothing."""

import json
import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from .conftest import Running, is_alive, pause, wait_until

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(120)]


def test_first_steps_of_a_newcomer(running: Running) -> None:
    assert {running.ask() for _ in range(20)} == running.pods()
    vip = json.loads(running.run("get", "service", "web", "-o", "json").stdout)["spec"]["clusterIP"]
    assert {running.ask(f"http://{vip}/") for _ in range(20)} == running.pods()
    status = running.run("status")
    assert status.returncode == 0
    assert "3/3 nodes" in status.stdout


def test_ps_tells_the_processes_apart(running: Running) -> None:
    pids = {"launcher": running.launcher(), **running.pids()}
    titles = {name: Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0") for name, pid in pids.items()}
    assert titles == {name: f"podwire: {name} (3node)" for name in pids}


def test_killed_node_comes_back_and_the_others_forward_meanwhile(running: Running) -> None:
    client_node = running.node_of("client")
    victim = next(name for name in running.pids() if name.startswith("node-") and name != client_node)
    listing = running.run("get", "pods", "-o", "wide").stdout
    beside = next(line for line in listing.splitlines() if line.startswith("web-") and victim not in line)
    address = beside.split()[5]
    answers: list[str] = []
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            answers.append(running.ask(f"http://{address}/"))

    before = running.pids()
    thread = threading.Thread(target=load)
    thread.start()
    os.kill(before[victim], signal.SIGKILL)
    wait_until(lambda: running.pids()[victim] not in (0, before[victim]))
    wait_until(lambda: "3/3 nodes, 6/6 pods" in running.run("status").stdout)
    stop.set()
    thread.join()
    assert set(answers) == {beside.split()[0]}
    assert running.run("get", "pods", "-o", "wide").stdout.count("Running") == listing.count("Running")
    wait_until(lambda: {running.ask() for _ in range(15)} == running.pods())
    process = next(process for process in running.status().processes if process.name == victim)
    assert (process.restarts, process.last_exit) == (1, "killed by SIGKILL")


def test_killed_controller_has_lost_nothing_and_pods_never_noticed(running: Running) -> None:
    before = running.run("get", "all", "-o", "name").stdout
    node, pods = running.node_of("client"), running.pods()
    pid = running.pids()["controller"]
    pause(pid)
    answers = {running.exec_at(node, "client", "curl", "-sS", "http://web/").partition("\n")[0] for _ in range(15)}
    assert answers == {f"Hostname: {name}" for name in pods}
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: running.pids()["controller"] not in (0, pid))
    wait_until(lambda: "3/3 nodes, 6/6 pods" in running.run("status").stdout)
    assert running.run("get", "all", "-o", "name").stdout == before
    assert {running.ask() for _ in range(15)} == running.pods()
    assert running.run("scale", "deployment", "web", "--replicas=1").returncode == 0
    wait_until(lambda: len(running.pods()) == 1)


def test_killed_launcher_is_replaced_with_all_its_processes(running: Running) -> None:
    before = [*running.pids().values()]
    launcher = running.launcher()
    os.kill(launcher, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, before)))
    wait_until(lambda: all(running.pids().values()))
    wait_until(lambda: "3/3 nodes, 6/6 pods" in running.run("status").stdout)
    wait_until(lambda: {running.ask() for _ in range(15)} == running.pods())


def test_killed_supervisor_leaves_nothing(running: Running) -> None:
    pids = [*running.pids().values(), running.launcher()]
    running.process.kill()
    running.process.wait()
    running.assert_nothing_is_left(pids)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_all_of_it(running: Running, number: signal.Signals) -> None:
    pids = [*running.pids().values(), running.launcher()]
    running.process.send_signal(number)
    assert running.process.wait(10) == 0
    running.assert_nothing_is_left(pids, within=0.5)


def test_stop_returns_when_all_is_gone(running: Running) -> None:
    children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text()
    pids = [*running.pids().values(), *map(int, children.split()), running.process.pid]
    assert len(pids) == 8  # controller, three nodes, cloud; launcher, keeper; supervisor
    assert running.run("stop").returncode == 0
    assert [pid for pid in pids if is_alive(pid)] == []
    assert not running.directory.exists()
    assert running.process.wait(10) == 0


def test_second_interrupt_does_not_wait_for_a_process_that_hangs(running: Running) -> None:
    """Fault 40."""
    pids = [*running.pids().values(), running.launcher()]
    pause(running.pids()["node-b"])
    running.interrupt()
    with pytest.raises(subprocess.TimeoutExpired):
        running.process.wait(0.5)
    running.interrupt()
    running.process.wait(1)
    running.assert_nothing_is_left(pids, within=0.5)


def test_second_start_is_refused_and_hurts_nothing(running: Running) -> None:
    second = running.run("start", "configs/3node.toml")
    assert second.returncode == 1
    (line,) = [line for line in second.stderr.splitlines() if "already" in line]
    assert f"process {running.process.pid}" in line
    assert running.ask() in running.pods()


def test_refused_manifest_ends_the_start_and_leaves_nothing(directory: Path) -> None:
    files = directory.with_name("files")
    files.mkdir()
    (files / "bad.yaml").write_text(
        "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {clusterIP: 192.0.2.1, ports: [{port: 80}]}\n"
    )
    (files / "c.toml").write_text('[cluster]\nmanifests = ["bad.yaml"]\n')
    cluster = Running(directory, files / "c.toml")
    try:
        assert cluster.process.wait(20) == 1
    finally:
        cluster.end()
    assert "192.0.2.1" in cluster.text()
    assert "Traceback" not in cluster.text()
    assert not directory.exists()


def test_ended_launcher_is_replaced_like_a_killed_one(running: Running) -> None:
    before, launcher = [*running.pids().values()], running.launcher()
    os.kill(launcher, signal.SIGTERM)
    wait_until(lambda: not any(map(is_alive, before)))
    wait_until(lambda: all(running.pids().values()))
    wait_until(lambda: "3/3 nodes, 6/6 pods" in running.run("status").stdout)
    children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text().split()
    assert [child for child in children if not is_alive(int(child))] == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_that_come_in_a_storm_are_no_traceback(running: Running, number: signal.Signals) -> None:
    pids = [*running.pids().values(), running.launcher()]
    while running.process.poll() is None:
        running.process.send_signal(number)
    assert "Traceback" not in running.text()
    running.assert_nothing_is_left(pids, within=0.5)


def test_controller_that_dies_during_the_start_is_no_failure(directory: Path) -> None:
    cluster = Running(directory)
    try:
        wait_until((directory / "store.sqlite-wal").exists)
        os.kill(cluster.pids()["controller"], signal.SIGKILL)
        cluster.wait_ready()
        assert "Traceback" not in cluster.text()
        assert cluster.ask() in cluster.pods()
    finally:
        cluster.end()
