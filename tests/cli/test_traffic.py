import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import click
import pytest

from emulator.cli.traffic import complete_script
from emulator.errors import ManifestError, PodwireError
from emulator.runtime.traffic.scripts import SettingError, load_script

SCRIPTS = Path("scripts/traffic").resolve()


def written(tmp_path, text, name="load.py"):
    path = tmp_path / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def main(:\n", r"load\.py:1: invalid syntax"),
        ("import nothing_like_it\n", r"load\.py:1: ModuleNotFoundError: No module named 'nothing_like_it'"),
        ("x = 1\ny = x / 0\n", r"load\.py:2: ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit('no')\n", r"load\.py:2: SystemExit: no"),
        ("def main(cluster): pass\n", r"load\.py: has no `async def main\(cluster\)`"),
        ("", r"load\.py: has no `async def main\(cluster\)`"),
    ],
)
def test_what_is_wrong_with_a_script_is_one_line(tmp_path, text, message):
    with pytest.raises(PodwireError, match=message):
        load_script(written(tmp_path, text))


async def test_what_a_script_meets_is_told_in_one_line(tmp_path):
    script = load_script(written(tmp_path, "async def main(cluster):\n    return 1 / cluster\n"))
    with pytest.raises(PodwireError, match=r"^\S*load\.py:2: ZeroDivisionError: division by zero$"):
        await script.run(0, {})


def test_files_that_are_no_scripts(tmp_path):
    with pytest.raises(PodwireError, match=r"must end in \.py or \.toml"):
        load_script(written(tmp_path, "", "load.txt"))
    with pytest.raises(ManifestError, match="no traffic: write"):
        load_script(written(tmp_path, "", "load.toml"))


def test_settings_take_the_types_of_their_defaults(tmp_path):
    script = load_script(SCRIPTS / "web.py")
    given = ("duration=5", "rate=2.5", "url=http://web/?a=b")
    assert script.settings(given) == {"duration": 5.0, "rate": 2.5, "url": "http://web/?a=b"}
    for bad in ("speed=1", "duration", "duration=long"):
        with pytest.raises(SettingError, match=f"--set {bad}: "):
            script.settings((bad,))
    flag = load_script(written(tmp_path, "async def main(cluster, *, keep=True): pass\n"))
    assert flag.settings(("keep=no",)) == {"keep": False}
    with pytest.raises(SettingError, match="not of the type bool"):
        flag.settings(("keep=maybe",))
    text = load_script(written(tmp_path, "async def main(cluster, *, url=None): pass\n"))
    assert text.settings(("url=http://web/",)) == {"url": "http://web/"}
    with pytest.raises(SettingError, match="it has: none"):
        load_script(SCRIPTS / "churn.toml").settings(("rate=5",))


def test_scripts_are_completed(tmp_path, monkeypatch):
    for name in ("one.py", "two.toml", "three.yaml", ".hidden.py"):
        written(tmp_path, "", name)
    (tmp_path / "more").mkdir()
    monkeypatch.chdir(tmp_path)

    def completed(text):
        return [item.value for item in complete_script(None, click.Argument(["script"]), text)]

    assert completed("") == ["more/", "one.py", "two.toml"]
    assert completed("t") == ["two.toml"]
    assert completed(f"{tmp_path}/o") == [f"{tmp_path}/one.py"]
    assert completed("nowhere/") == []


QUICK = """
namespace = "quick"
manifests = ["{scripts}/manifests/web.yaml", "{scripts}/manifests/clients.yaml"]
duration = "{duration}"

[[loads]]
name = "web"
from = "daemonset/clients"
to = "http://web/"
rate = 24

[[loads]]
name = "dns"
from = "daemonset/clients"
to = "dns:web"
rate = 12

[[assertions]]
that = ["errors == 0", "p99 < 1us"]
"""


@pytest.mark.end_to_end
def test_scripts_against_a_real_cluster(tmp_path_factory):
    state = tmp_path_factory.mktemp("s")
    directory = str(state / "c")
    command = [sys.executable, "-m", "emulator", "--state-dir", directory]

    def emulator(*arguments):
        return subprocess.run([*command, *arguments], check=False, capture_output=True, text=True, timeout=90)

    started = emulator("start", "configs/3node.toml", "--detach")
    assert started.returncode == 0, started.stderr
    try:
        python_script(emulator)
        traffic_file(emulator, state)
        interrupted(command, state)
        namespaces = emulator("get", "namespaces", "-o", "name").stdout
        assert "quick" not in namespaces, namespaces
    finally:
        assert emulator("stop").returncode == 0


def python_script(emulator):
    web = str(SCRIPTS / "web.py")
    told = emulator("traffic", "run", web, "--set", "duration=2", "--set", "rate=24", "-o", "json")
    assert told.returncode == 0, told.stderr + told.stdout
    report = json.loads(told.stdout)
    assert report["total"]["sent"] == report["total"]["answered"] == 48
    assert len(report["clients"]) == 4
    assert len(report["total"]["endpoints"]) in (4, 5)
    failed = emulator("traffic", "run", web, "--set", "duration=1", "--set", "url=http://localhost:99/")
    assert failed.returncode == 1
    assert "Connection refused" in failed.stdout
    assert re.search(r"failed: errors == 0, but it is \d+", failed.stderr)
    assert emulator("traffic", "run", web, "--set", "speed=1").returncode == 2


def traffic_file(emulator, directory):
    file = written(directory, QUICK.format(scripts=SCRIPTS, duration="2s"), "quick.toml")
    told = emulator("traffic", "run", str(file), "--junit-file", str(directory / "junit.xml"))
    assert told.returncode == 1, told.stderr + told.stdout
    assert "pass  errors == 0" in told.stdout, told.stdout
    assert "FAIL  p99 < 1us, but it is" in told.stdout
    root = ElementTree.parse(directory / "junit.xml").getroot()
    assert (root.get("tests"), root.get("failures")) == ("2", "1")
    bad = written(directory, "[[loads]]\nrat = 5\n", "bad.toml")
    told = emulator("traffic", "run", str(bad))
    assert told.returncode == 2
    assert f"error: {bad}:2: loads[0].rat: unknown key; did you mean" in told.stderr


LONG = """
from pathlib import Path

import emulator
from emulator.runtime.traffic.stage import stage


async def main(cluster, *, mark=""):
    async def tell():
        Path(mark).touch()

    async with stage(cluster, "quick", ["{scripts}/manifests/web.yaml", "{scripts}/manifests/clients.yaml"]):
        load = emulator.Load(cluster, 50, namespace="quick")
        load.add("web", "daemonset/clients", "http://web/", rate=24)
        load.at(1.0, tell)
        return await load.run()
"""


def interrupted(command, directory):
    """Ctrl-C prints the report so far, and takes away what was made."""
    mark = directory / "mark"
    file = written(directory, LONG.format(scripts=SCRIPTS))
    words = [*command, "traffic", "run", str(file), "--set", f"mark={mark}", "-o", "json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 30
        while not mark.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 130, output
    report = json.loads(output)
    assert report["interrupted"]
    assert 0 < report["total"]["answered"] < 1000
