"""Where apps come from: the app path and nothing else, anew each time."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.runtime.apps.loader import AppError, load


def write(directory: Path, name: str, text: str) -> None:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def run(function: object) -> object:
    return asyncio.run(function())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere:main", "there is no nowhere.py in "),
        ("hello:man", "hello.py has no man; its async functions: main"),
        ("hello:plain", "hello.py: plain is no async function; write"),
        ("hello:COUNT", "hello.py: COUNT is no async function; write"),
        ("os:abort", "module os would hide Python's"),
        ("trio:sleep_forever", "module trio would hide"),
        ("pytest:main", "there is no pytest.py in"),
        ("hello", '"hello" is not "module:function"'),
    ],
)
def test_what_cannot_be_run_says_why(tmp_path: Path, name: str, message: str) -> None:
    write(tmp_path, "hello.py", "COUNT = 1\nasync def main(): ...\ndef plain(): ...\n")
    write(tmp_path, "os.py", "async def abort(): ...\n")
    with pytest.raises(AppError) as caught:
        load(name, [tmp_path])
    assert message in str(caught.value)


def test_an_empty_app_path_says_what_to_set() -> None:
    with pytest.raises(AppError, match=r"the app path, which is empty: set \[cluster\] app_path"):
        load("hello:main", [])


def test_each_load_has_globals_of_its_own_and_the_code_of_now(tmp_path: Path) -> None:
    write(
        tmp_path,
        "counter.py",
        "import parts.state\nasync def main():\n    parts.state.N += 1\n    return parts.state.N\n",
    )
    write(tmp_path, "parts/__init__.py", "")
    write(tmp_path, "parts/state.py", "N = 0\n")
    first, second = load("counter:main", [tmp_path]), load("counter:main", [tmp_path])
    assert [run(first), run(first), run(second)] == [1, 2, 1]
    write(tmp_path, "parts/state.py", "N = 6\n")  # of the same size, within the same second
    assert run(load("counter:main", [tmp_path])) == 7
    assert run(second) == 2
    assert list(tmp_path.rglob("*.pyc")) == []


def test_packages_and_several_directories(tmp_path: Path) -> None:
    write(tmp_path / "a", "one.py", "async def main():\n    return 'a'\n")
    write(tmp_path / "b", "one.py", "async def main():\n    return 'b'\n")
    write(
        tmp_path / "b", "shop/web.py", "from shop.names import NAME\nimport one\nasync def main():\n    return NAME\n"
    )
    write(tmp_path / "b", "shop/__init__.py", "")
    write(tmp_path / "b", "shop/names.py", "NAME = 'shop'\n")
    app_path = [tmp_path / "a", tmp_path / "b"]
    assert run(load("one:main", app_path)) == "a"
    assert run(load("shop.web:main", app_path)) == "shop"


def test_a_module_of_the_same_name_elsewhere_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "test", "hello_twice.py", "STATE = []\n")
    write(tmp_path / "app", "hello_twice.py", "async def main():\n    return 'app'\n")
    monkeypatch.syspath_prepend(tmp_path / "test")
    import hello_twice  # type: ignore[import-not-found]

    assert run(load("hello_twice:main", [tmp_path / "app"])) == "app"
    assert sys.modules["hello_twice"] is hello_twice


def test_what_a_module_raises_itself_comes_through(tmp_path: Path) -> None:
    write(tmp_path, "broken.py", "import nothing_of_that_name\n")
    with pytest.raises(ModuleNotFoundError, match="nothing_of_that_name"):
        load("broken:main", [tmp_path])
    write(tmp_path, "broken.py", "async def main(:\n")
    with pytest.raises(SyntaxError):
        load("broken:main", [tmp_path])
    write(tmp_path, "broken.py", "async def main():\n    return 'mended'\n")
    assert run(load("broken:main", [tmp_path])) == "mended"


def test_a_node_without_apps_imports_none_of_this() -> None:
    program = "import sys, emulator.runtime.node.node; print([n for n in sys.modules if '.runtime.apps' in n])"
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert outcome.stdout == "[]\n"
