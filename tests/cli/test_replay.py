"""The command itself: rows on standard output, remarks on standard error, exit statuses, completion."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.cli.exit_status import FAILED, OK, USAGE
from emulator.cli.main import run
from tests.bundle.maker import Made, router, udp_frame

SAMPLE = Path(__file__).parents[2] / "configs" / "bundles" / "kube-proxy"
STATEFUL = "*filter\n:FORWARD DROP\n-A FORWARD -m conntrack --ctstate NEW -p udp -m udp --dport 53 -j ACCEPT\nCOMMIT\n"
HOST, FAR = "10.0.1.2", "10.0.2.2"


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return router(tmp_path, STATEFUL)


def test_the_sample_of_the_readme(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["replay", str(SAMPLE), "--in", f"veth-client={SAMPLE}/veth-client.pcap", "--in"]
    assert run([*arguments, f"eth0={SAMPLE}/eth0.pcap"]) == OK
    printed = capsys.readouterr()
    rows = [json.loads(line) for line in printed.out.splitlines()]
    assert printed.err == ""
    assert [row["n"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[0]["rules"][1] == "nat:KUBE-SERVICES:rule:1"
    assert rows[5]["reason"] == "NETFILTER_REJECT"


def test_json_text_and_all_that_was_considered(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    source = f"eth0={made.capture([udp_frame(HOST, FAR), udp_frame(HOST, FAR, 54)])}"
    assert run(["replay", str(made.path), "--in", source]) == OK
    assert [json.loads(line)["verdict"] for line in capsys.readouterr().out.splitlines()] == ["forwarded", "dropped"]
    assert run(["replay", str(made.path), "--in", source, "-o", "text"]) == OK
    text = capsys.readouterr().out
    assert "dropped NETFILTER_DROP  NEW" in text
    assert "no match" not in text
    assert run(["replay", str(made.path), "--in", source, "-v"]) == OK
    assert "filter     FORWARD:1 no match: destination port 54, wants --dport 53" in capsys.readouterr().out
    assert run(["replay", str(made.path), "--in", source, "-v", "-o", "json"]) == OK
    row = json.loads(capsys.readouterr().out.splitlines()[1])
    assert any("no match" in line for line in row["trace"])


def test_many_rules_are_folded_unless_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = "".join(f"-A FORWARD -d 10.9.{n >> 8}.{n & 255} -j DROP\n" for n in range(3000))
    made = router(tmp_path, f"*filter\n{rules}COMMIT\n")
    source = f"eth0={made.capture([udp_frame(HOST, FAR)])}"
    assert run(["replay", str(made.path), "--in", source, "-v"]) == OK
    folded = [line for line in capsys.readouterr().out.splitlines() if "no match" in line]
    assert len(folded) == 1
    assert "FORWARD:1-3000 no match: destination is 10.0.2.2, want 10.9.0.0/32" in folded[0]
    assert run(["replay", str(made.path), "--in", source, "-vv"]) == OK
    assert sum("no match" in line for line in capsys.readouterr().out.splitlines()) == 3000


def test_what_the_node_sent_in_files(made: Made, tmp_path: Path) -> None:
    source = f"eth0={made.capture([udp_frame(HOST, FAR)])}"
    assert run(["replay", str(made.path), "--in", source, "-w", str(tmp_path / "sent")]) == OK
    assert [path.name for path in (tmp_path / "sent").iterdir()] == ["eth1.pcapng"]


def test_nothing_is_overwritten(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither files of a run before, of which the rows say nothing then, nor anything of the bundle."""
    arguments = ["replay", str(made.path), "--in", f"eth0={made.capture([udp_frame(HOST, FAR)])}", "-w"]
    assert run([*arguments, str(tmp_path / "sent")]) == OK
    capsys.readouterr()
    assert run([*arguments, str(tmp_path / "sent")]) == FAILED
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "sent/eth1.pcapng: is there already, and is not overwritten; remove it, or name" in printed.err
    assert run([*arguments, f"{made.path}/."]) == USAGE
    assert "is the bundle itself; name another directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--in", "eth0"], "'eth0' is not LINK=FILE, such as eth0=eth0.pcap"),
        (["--in", "eht0=CAPTURE"], "no link eht0 in the bundle's links.json; there are lo, eth0, eth1, local; did you"),
        (["--in", "eth0=-", "--in", "local=-"], "standard input can be read once only"),
        ([], "Missing option '--in'"),
        (["--in", "eth0=CAPTURE", "-o", "yaml"], "'yaml' is not one of"),
    ],
)  # fmt: skip
def test_usage(arguments: list[str], message: str, made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    path = made.capture([udp_frame(HOST, FAR)])
    assert run(["replay", str(made.path), *(word.replace("CAPTURE", path) for word in arguments)]) == USAGE
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_bad_data_is_told_at_once_and_nothing_is_half_done(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    bad = made.path / "bad.pcap"
    bad.write_bytes(b"GIF89a")
    made.write("routes.json", [{"dst": "nowhere"}])
    made.write("iptables-save.txt", "*filter\n-A FORWARD -m geoip --country 1=1 -j DROP\nCOMMIT\n")
    good = made.capture([udp_frame(HOST, FAR)])
    arguments = ["replay", str(made.path), "--in", f"eth0={bad}", "--in", f"eth0={good}", "--in", "eth0=/nosuch"]
    assert run(arguments) == FAILED
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert lines[0] == f"error: {bad}: byte 0: neither pcap nor pcapng: it begins with 47 49 46 38"
    assert lines[1] == "error: /nosuch: No such file or directory"
    assert any(line.startswith("error: routes.json: [0].dst: not an IPv4 address") for line in lines)
    assert lines[-1].startswith("error: iptables-save.txt: line 2: Couldn't load match `geoip'")
    assert lines[-1].endswith("--ignore-unknown lets such rules never match")
    made.write("routes.json", "")
    assert run(["replay", str(made.path), "--in", f"eth0={good}", "--ignore-unknown"]) == OK
    assert json.loads(capsys.readouterr().out)["ignored"] == ["filter:FORWARD:rule:1"]


@pytest.mark.parametrize("whole", [0, 1, 2])
def test_a_capture_that_was_cut(whole: int, made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    """As of a tcpdump that was killed: its whole packets, then what is wrong."""
    path = Path(made.capture([udp_frame(HOST, FAR)] * (whole + 1)))
    path.write_bytes(path.read_bytes()[:-5])
    assert run(["replay", str(made.path), "--in", f"eth0={path}"]) == FAILED
    printed = capsys.readouterr()
    assert [json.loads(line)["verdict"] for line in printed.out.splitlines()] == ["forwarded"] * whole
    size = path.stat().st_size
    words = {0: "", 1: "; the packet before it was put in", 2: "; the 2 packets before it were put in"}
    assert printed.err.splitlines()[-1] == (
        f"error: {path}: byte {size}: the file ends inside packet {whole + 1}, which has 43 bytes{words[whole]}"
    )


def test_packets_that_the_node_sent(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    """A capture of both directions: a remark, or they are left out."""
    received = udp_frame(HOST, FAR)
    sent = received[6:12] + received[:6] + received[12:]
    source = f"eth0={made.capture([received, sent])}"
    assert run(["replay", str(made.path), "--in", source]) == OK
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 2
    assert printed.err.splitlines()[1:] == [
        "note: 1 packet was captured as the node sent it; --skip-sent leaves such packets out"
    ]
    assert run(["replay", str(made.path), "--in", source, "--skip-sent"]) == OK
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay", "--help"]) == OK
    text = capsys.readouterr().out
    assert "emulator replay node-a --in eth0=eth0.pcap" in text
    assert "--ignore-unknown" in text


def completions(words: str, directory: Path) -> list[str]:
    environment = {
        **os.environ,
        "_EMULATOR_COMPLETE": "fish_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": words.split()[-1],
    }
    command = [sys.executable, "-m", "emulator"]
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=directory)
    return [line.partition(",")[2].split("\t")[0] for line in done.stdout.splitlines()]


def test_completion_of_links_and_paths(made: Made) -> None:
    made.capture([])
    (made.path / "folder").mkdir()
    assert completions("emulator replay . --in eth", made.path) == ["eth0=", "eth1="]
    assert completions("emulator replay . --in eth0=cap", made.path) == ["eth0=capture1.pcap"]
    assert completions("emulator replay . --in eth0=./fo", made.path) == ["eth0=./folder/"]


def test_standard_input_and_no_trio(made: Made) -> None:
    """The capture may come through a pipe; the command imports neither trio nor a socket."""
    path = made.capture([udp_frame(HOST, FAR)])
    code = (
        "import sys; from emulator.cli.main import run; run(sys.argv[1:]); print({'trio', 'asyncio'} & {*sys.modules})"
    )
    with open(path, "rb") as file:
        done = subprocess.run(
            [sys.executable, "-c", code, "replay", str(made.path), "--in", "eth0=-"],
            stdin=file, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
        )  # fmt: skip
    row, modules = done.stdout.splitlines()
    assert json.loads(row)["verdict"] == "forwarded"
    assert modules == "set()"
