"""Apps in the pods of a simulated cluster: their network, their output, and that they stay inside."""

import re
import subprocess
import sys

import pytest
import trio
from trio.testing import MockClock

from emulator.runtime.apps import output
from tests.runtime.apps.conftest import Apps, pod

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
    held_up = r"podwire: this app held its node up for \d+\.\d s without an await; the task is at app\.py:5 now"
    assert re.match(held_up, line)


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
