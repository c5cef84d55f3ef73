import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from emulator.cli.traffic import keywords_of, load_main
from emulator.errors import PodwireError

WEB = Path("scripts/traffic/web.py").resolve()


def written(tmp_path, text):
    path = tmp_path / "load.py"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def main(:\n", r"load\.py:1: invalid syntax"),
        ("import nothing_like_it\n", r"load\.py: No module named 'nothing_like_it'"),
        ("def main(cluster): pass\n", r"load\.py: has no `async def main\(cluster\)`"),
        ("", r"load\.py: has no `async def main\(cluster\)`"),
    ],
)
def test_what_is_wrong_with_a_script_is_one_line(tmp_path, text, message):
    with pytest.raises(PodwireError, match=message):
        load_main(written(tmp_path, text))


def test_a_file_that_is_no_python(tmp_path):
    path = tmp_path / "load.txt"
    path.write_text("")
    with pytest.raises(PodwireError, match=r"must end in \.py"):
        load_main(path)


def test_settings_take_the_types_of_their_defaults():
    main = load_main(WEB)
    given = ("duration=5", "rate=2.5", "url=http://web/?a=b")
    assert keywords_of(main, WEB, given) == {"duration": 5.0, "rate": 2.5, "url": "http://web/?a=b"}
    for bad in ("speed=1", "duration", "duration=long"):
        with pytest.raises(click.UsageError, match=f"--set {bad}: "):
            keywords_of(main, WEB, (bad,))


@pytest.mark.end_to_end
def test_the_script_against_a_real_cluster(tmp_path_factory):
    state = str(tmp_path_factory.mktemp("s"))
    directory = str(Path(state) / "c")

    def emulator(*arguments):
        command = [sys.executable, "-m", "emulator", "--state-dir", directory, *arguments]
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env=dict(os.environ))

    started = emulator("start", "configs/3node.toml", "--detach")
    assert started.returncode == 0, started.stderr
    try:
        told = emulator("traffic", "run", str(WEB), "--set", "duration=2", "--set", "rate=24", "-o", "json")
        assert told.returncode == 0, told.stderr + told.stdout
        report = json.loads(told.stdout)
        assert report["total"]["sent"] == report["total"]["succeeded"] == 48
        assert len(report["sources"]) == 8
        assert 1 <= len(report["total"]["endpoints"]) <= 3
        assert set(report["total"]["latency_ms"]) == {"p50", "p90", "p99", "max"}
        failed = emulator("traffic", "run", str(WEB), "--set", "duration=1", "--set", "url=http://localhost:99/")
        assert failed.returncode == 1
        assert "connection refused" in failed.stdout
    finally:
        assert emulator("stop").returncode == 0
