"""How apps end: by themselves, by what they raise, before they begin, when they are told to."""

from pathlib import Path

import pytest
from trio.testing import MockClock

from emulator.apps.environment import Container, ProgramFailure
from emulator.runtime.apps import guard
from emulator.runtime.apps.app import App
from tests.runtime.apps.conftest import Apps, pod
from tests.runtime.conftest import Pair

ELSEWHERE = """
async def cancelled_elsewhere():
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.sleep(1)
        except trio.Cancelled as error:
            return error
"""


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
    assert await apps.log_to_its_end("ends") == ["bye"]


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
    assert await apps.log_to_its_end("drains") == ["told, in PodStreamSocket", "drained"]


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
