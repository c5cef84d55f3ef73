"""Apps in the pods of a simulated cluster: their network, output, ends and failures, and that they stay inside."""

import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from emulator.api import messages
from emulator.api.cluster_file import ClusterConfig, NodeConfig
from emulator.api.messages import LogsParams
from emulator.apps.environment import Container, ProgramFailure
from emulator.runtime.apps import guard, output
from emulator.runtime.apps.app import App
from emulator.runtime.cluster.cluster import Cluster
from tests.runtime.conftest import Pair

CONFIG = ClusterConfig(name="apps", nodes=(NodeConfig("node-a"), NodeConfig("node-b")))


def pod(name: str, app: str, *, node: str = "node-a", **spec: Any) -> dict[str, Any]:
    containers = [{"name": "main", "image": "example.com/mine", "ports": [{"containerPort": 8080}]}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}, "annotations": {"podwire/app": app}},
        "spec": {"nodeName": node, "containers": containers, **spec},
    }


ELSEWHERE = """
async def cancelled_elsewhere():
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.sleep(1)
        except trio.Cancelled as error:
            return error
"""


class Apps:
    """A cluster, and the directory of its apps."""

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self.cluster = cluster
        self.directory = directory

    def write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(textwrap.dedent(text))

    async def status_when(self, name: str, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The status of a pod's only container, once it is as wanted."""

        def statuses(pods: Any) -> list[Any]:
            mine = [pod.get("status", {}) for pod in pods if pod["metadata"]["name"] == name]
            return [container for status in mine for container in status.get("containerStatuses", [])]

        with trio.fail_after(100):
            pods = await self.cluster.wait_for("Pod", lambda pods: any(map(condition, statuses(pods))))
        return statuses(pods)[0]

    async def run(self, name: str, app: str, **spec: Any) -> dict[str, Any]:
        """Run an app once; return how it ended, with its log."""
        await self.cluster.apply([pod(name, app, restartPolicy="Never", **spec)])
        status = await self.status_when(name, lambda status: status["state"].get("terminated"))
        return {**status["state"]["terminated"], "log": await self.log(name)}

    async def log(self, name: str, container: str = "") -> list[str]:
        node = await self.cluster.pod(name).node_name()
        params = LogsParams(namespace="default", pod=name, container=container)
        async with self.cluster.connect_node(node) as client, client.stream(messages.LOGS, params) as exchange:
            return [line.text async for line in exchange]


@pytest.fixture
async def apps(tmp_path: Path) -> AsyncIterator[Apps]:
    from msgspec.structs import replace

    async with Cluster.start(replace(CONFIG, app_path=(tmp_path,)), simulate=True) as cluster:
        yield Apps(cluster, tmp_path)


SERVER = """
    import socket, sys, trio

    async def main(container):
        async def answer(stream):
            asked = (await stream.receive_some()).decode()
            print("asked", asked)
            await stream.send_all(f"{container.pod_name} {container.env['GREETING']} {container.args}".encode())

        print("serving on", container.pod_ip)
        print("no newline", end="")
        sys.stderr.write(" yet\\n")
        sys.stdout.buffer.write(b"bytes\\n")
        await trio.serve_tcp(answer, 8080)
"""
CLIENT = """
    import trio

    async def main():
        while True:
            try:
                stream = await trio.open_tcp_stream("server", 80)
                break
            except OSError:  # kube-proxy may not have heard of it
                await trio.sleep(0.1)
        async with stream:
            await stream.send_all(b"how are you")
            await stream.send_eof()
            print((await stream.receive_some()).decode())
        return 3
"""
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "server"},
    "spec": {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": 8080}]},
}


async def test_plain_trio_serves_and_connects_in_pods(
    apps: Apps, autojump_clock: MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    apps.write("server.py", SERVER)
    apps.write("client.py", CLIENT)
    server = pod("server", "server:main")
    server["spec"]["containers"][0] |= {"env": [{"name": "GREETING", "value": "hi"}], "args": ["-v"]}
    await apps.cluster.apply([SERVICE, server])
    await apps.cluster.wait_ready()
    ended = await apps.run("client", "client:main", nodeName="node-b")
    assert ended["exitCode"] == 3
    assert ended["log"] == ["server hi ('-v',)"]
    address = await apps.cluster.pod("server").address()
    assert await apps.log("server") == [f"serving on {address}", "no newline yet", "bytes", "asked how are you"]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("code", "exit_code", "message", "log"),
    [
        ("return None", 0, "", []),
        ("raise SystemExit(4)", 4, "", []),
        ("sys.exit('no luck')", 1, "", ["no luck"]),
        (
            "raise ValueError('bad')",
            1,
            "ValueError: bad (app.py:3)",
            ["Traceback (most recent call last):", "    raise ValueError('bad')", "ValueError: bad"],
        ),
        ("import nothing_there", 1, "ModuleNotFoundError: No module named 'nothing_there' (app.py:3)", ["Module"]),
        (
            "async with trio.open_nursery() as n: n.start_soon(trio.open_tcp_stream, '127.0.0.1', 9)",
            1,
            "OSError: all attempts to connect to 127.0.0.1:9 failed",
            ["ConnectionRefusedError: [Errno 111]"],
        ),
        ("class Base(BaseException): ...\n    raise Base()", 1, "Base:  (app.py:4)", ["Base"]),
        # What would break a message to the controller, or a node's own tasks, stays the app's.
        ("raise ValueError('a lone \\ud800')", 1, "ValueError: a lone ? (app.py:3)", ["ValueError: a lone"]),
        ("sys.exit('bye \\ud800')", 1, "", ["bye ?"]),
        ("return 2**70 + 300", 44, "", []),
        ("return -1", 255, "", []),
        ("raise GeneratorExit", 1, "GeneratorExit:  (app.py:3)", ["GeneratorExit"]),
        ("raise await cancelled_elsewhere()", 1, "Cancelled", []),
        ("sys.stdout.close()", 0, "", []),
        (
            "class E(Exception):\n        def __str__(self): return 1 / 0\n    raise E",
            1,
            "E (app.py:5)",
            ["<exception str() failed>"],
        ),
    ],
)
async def test_how_it_ends(
    apps: Apps, autojump_clock: MockClock, code: str, exit_code: int, message: str, log: list[str]
) -> None:
    apps.write("app.py", f"import sys, trio\nasync def main():\n    {code}\n{ELSEWHERE}")
    ended = await apps.run("once", "app:main")
    assert (ended["exitCode"], ended.get("message", "")) == (exit_code, message)
    text = "\n".join(ended["log"])
    assert all(line in text for line in log)
    assert "emulator/runtime/apps" not in text
    assert bool(log) == bool(text)


@pytest.mark.parametrize(
    ("text", "app", "message"),
    [
        ("", "missing:main", "there is no missing.py in "),
        ("x = 1 / 0", "app:main", "ZeroDivisionError: division by zero (app.py:1)"),
        ("async def main(:", "app:main", "SyntaxError: invalid syntax (app.py, line 1)"),
        ("async def main(a, b): ...", "app:main", "app:main wants a, b; an app takes the container, or nothing"),
    ],
)
async def test_what_cannot_begin_shows_in_the_status(
    apps: Apps, autojump_clock: MockClock, text: str, app: str, message: str
) -> None:
    apps.write("app.py", text)
    ended = await apps.run("once", app)
    assert ended["exitCode"] == 1
    assert message in ended["message"]
    assert any(message.partition(" (")[0] in line for line in ended["log"])


async def test_restart_runs_the_code_of_now(apps: Apps, autojump_clock: MockClock) -> None:
    apps.write("app.py", "async def main():\n    raise ValueError(1)\n")
    await apps.cluster.apply([pod("again", "app:main")])
    await apps.status_when("again", lambda status: status["restartCount"] >= 1)
    apps.write("app.py", "import trio\nasync def main():\n    print('mended')\n    await trio.sleep_forever()\n")
    await apps.status_when("again", lambda status: status["ready"])
    assert await apps.log("again") == ["mended"]


async def test_task_status_says_when_it_serves(apps: Apps, autojump_clock: MockClock) -> None:
    apps.write(
        "app.py",
        """
        import trio
        async def main(container, *, task_status):
            await trio.sleep(50)
            task_status.started()
            await trio.sleep_forever()
        """,
    )
    await apps.cluster.apply([pod("slow", "app:main")])
    begun = trio.current_time()
    await apps.status_when("slow", lambda status: status["ready"])
    assert 50 <= trio.current_time() - begun < 60


async def test_each_container_of_a_pod_may_have_its_own(apps: Apps, autojump_clock: MockClock) -> None:
    apps.write("app.py", "import trio\nasync def one(c):\n    print(c.name)\nasync def two(c):\n    print(c.name, 2)\n")
    both = pod("both", "app:one", restartPolicy="Never")
    both["metadata"]["annotations"]["podwire/app.side"] = "app:two"
    both["spec"]["containers"].append({"name": "side", "image": "busybox"})
    await apps.cluster.apply([both])
    await apps.status_when("both", lambda status: status["name"] == "side" and "terminated" in status["state"])
    assert [await apps.log("both", name) for name in ("main", "side")] == [["main"], ["side 2"]]


async def test_the_machines_network_is_out_of_reach(apps: Apps, autojump_clock: MockClock) -> None:
    apps.write(
        "app.py",
        """
        import socket, trio, urllib.request

        def reach():
            for act in (
                lambda: socket.create_connection(("127.0.0.1", 9)),
                lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
                lambda: socket.getaddrinfo("localhost", 80),
                lambda: socket.gethostbyname("localhost"),
                lambda: urllib.request.urlopen("http://127.0.0.1:9/"),
            ):
                try:
                    act()
                    print("reached")
                except OSError as error:
                    print(getattr(error, "reason", error))
            for end in socket.socketpair():
                end.close()

        async def main():
            reach()
            await trio.to_thread.run_sync(reach)
        """,
    )
    ended = await apps.run("curious", "app:main")
    assert ended["exitCode"] == 0, "\n".join(ended["log"])
    printed = [line for line in ended["log"] if "Errno" in line or "reached" in line]
    assert len(printed) == 10
    assert all("a pod's app has no sockets of this machine" in line for line in printed)


def test_in_a_process_of_the_cluster_threads_of_an_app_are_held_back_too() -> None:
    program = """if True:
        import socket, threading
        from emulator.runtime.apps import guard
        guard.install(alone=True)

        def reach():
            try:
                socket.create_connection(("127.0.0.1", 9))
            except OSError as error:
                print(type(error).__name__, error.errno)

        reach()  # not an app's
        thread = threading.Thread(target=reach)
        thread.start()
        thread.join()
        """
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert outcome.stdout == "ConnectionRefusedError 111\nPermissionError 13\n"


async def test_an_app_that_blocks_is_told_of(
    apps: Apps, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emulator.runtime.apps.stall.LONGEST", 0.01)
    apps.write(
        "app.py",
        """
        import time, trio
        async def main():
            time.sleep(0.02)
            await trio.sleep(1)
        """,
    )
    ended = await apps.run("heavy", "app:main")
    (line,) = ended["log"]
    assert line.startswith("podwire: this app held its node up for 0.0 s without an await; the task is at app.py:5 now")


async def test_stopping_cancels_it_and_runs_its_finally(apps: Apps, autojump_clock: MockClock) -> None:
    apps.write(
        "app.py",
        """
        import trio
        async def main():
            try:
                await trio.sleep_forever()
            finally:
                print("bye")
        """,
    )
    await apps.cluster.apply([pod("ends", "app:main")])
    await apps.cluster.wait_ready()
    lines: list[str] = []

    async def follow() -> None:
        params = LogsParams(namespace="default", pod="ends", follow=True)
        async with apps.cluster.connect_node("node-a") as client, client.stream(messages.LOGS, params) as exchange:
            lines.extend([line.text async for line in exchange])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        await trio.sleep(1)
        await apps.cluster.delete("Pod", "ends", "default")
    assert lines == ["bye"]


async def test_sigterm_is_its_own_matter_if_it_says_so(apps: Apps, autojump_clock: MockClock) -> None:
    apps.write(
        "app.py",
        """
        import trio
        async def main(container):
            told = trio.Event()
            def terminate():
                print("told, in", type(trio.socket.socket()).__name__)
                told.set()
            container.on_terminate(terminate)
            await told.wait()
            await trio.sleep(5)
            print("drained")
        """,
    )
    await apps.cluster.apply([pod("drains", "app:main")])
    await apps.cluster.wait_ready()
    lines: list[str] = []

    async def follow() -> None:
        params = LogsParams(namespace="default", pod="drains", follow=True)
        async with apps.cluster.connect_node("node-a") as client, client.stream(messages.LOGS, params) as exchange:
            lines.extend([line.text async for line in exchange])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        await trio.sleep(1)
        await apps.cluster.delete("Pod", "drains", "default")
    assert lines == ["told, in PodStreamSocket", "drained"]


async def test_ctrl_c_of_an_apps_own_does_not_end_its_node(tmp_path: Path, pair: Pair) -> None:
    """In a process of the cluster; elsewhere it may be the user's."""
    (tmp_path / "app.py").write_text("async def main(): raise KeyboardInterrupt")
    lines: list[str] = []
    container = Container("c", "i", "p", "n", "10.0.0.1", "x", network=pair.a, log=lines.append)
    try:
        with pytest.raises(ProgramFailure, match=r"KeyboardInterrupt:  \(app\.py:1\)"):
            await App("app:main", [tmp_path], alone=True)(container)
    finally:
        guard.install(alone=False)
    assert lines[-1] == "KeyboardInterrupt"
    with pytest.raises(BaseExceptionGroup) as group:
        await App("app:main", [tmp_path])(container)
    assert group.group_contains(KeyboardInterrupt)


def test_output_without_newlines_comes_in_lines_of_16_kb() -> None:
    """The last, which may go on, is kept back until it does."""
    lines: list[str] = []

    async def main() -> None:
        with output.redirected(), output.to(lines.append):
            print("y" * (1 << 20), end="")
            kept = len(lines)
            print("z")
        assert kept == 63

    trio.run(main)
    assert [len(line) for line in lines] == [16_384] * 64 + [1]
