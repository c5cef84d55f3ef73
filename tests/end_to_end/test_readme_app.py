"""The README's program of ten lines, taken from the README itself, in a pod of a cluster of real processes."""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.conftest import CONFIG, Running, wait_until

README = Path(__file__).parents[2] / "README.md"


def blocks(heading: str) -> dict[str, str]:
    """The code of one section, by language."""
    section = README.read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"```(\w+)\n(.*?)```", section, re.DOTALL))


@pytest.fixture
def running(directory: Path, tmp_path: Path) -> Iterator[Running]:
    """The cluster of the README's first command, its files in a folder of their own."""
    configs = tmp_path / "configs"
    configs.mkdir()
    for name in (CONFIG.name, "web.yaml"):
        shutil.copy(CONFIG.with_name(name), configs)
    cluster = Running(directory, configs / CONFIG.name)
    try:
        cluster.wait_ready()
        yield cluster
    finally:
        cluster.end()


def test_the_readmes_program_runs_in_a_pod(running: Running, tmp_path: Path) -> None:
    code = blocks("A program of your own")
    assert len(code["python"].strip().splitlines()[1:]) == 10
    for text in (code["python"], code["yaml"]):
        path = text.splitlines()[0].removeprefix("# ")
        (tmp_path / path).write_text(text)
    commands = [shlex.split(line, comments=True)[1:] for line in code["sh"].splitlines()]
    apply, ask, logs = [[str(tmp_path / word) if word == "hello.yaml" else word for word in line] for line in commands]
    applied = running.run(*apply)
    assert applied.returncode == 0, applied.stderr
    assert "stands in" not in applied.stderr
    assert "image mine" not in applied.stderr
    wait_until(lambda: running.run(*ask).stdout == "hello from hello\n")
    assert running.run(*logs).stdout == ""

    (tmp_path / "configs" / "hello.py").write_text("import trio\nasync def main():\n    print('new')\n    1 / 0\n")
    running.run("delete", "pod", "hello")
    running.run(*apply)
    wait_until(lambda: "ZeroDivisionError" in running.run(*logs).stdout)
    log = running.run(*logs).stdout
    assert log.startswith('new\nTraceback (most recent call last):\n  File "')
    assert "in main\n    1 / 0\n" in log
    assert "ZeroDivisionError: division by zero (hello.py:4)" in running.run("describe", "pod", "hello").stdout
