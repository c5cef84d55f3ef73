"""exec, logs, trace and completion against real nodes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from tests.cli.conftest import Ask, command, environment, run


def test_curl_reaches_the_service_from_a_pod(ask: Ask) -> None:
    out = ask.ok("exec", "client", "--", "curl", "-s", "http://web/")
    assert out.startswith("Hostname: web-")


def test_the_exit_status_is_the_commands(ask: Ask) -> None:
    done = ask("exec", "client", "--", "nosuch")
    assert (done.status, done.out) == (127, "")
    first, second = done.err.splitlines()
    assert first == 'exec: "nosuch": executable file not found in $PATH'
    assert second.startswith("the commands are: ")
    assert {"iptables", "iptables-restore", "ping"} <= set(second.partition(": ")[2].split(", "))
    assert ask("exec", "client", "--", "curl", "-s", "http://nowhere.invalid/").status == 6


def test_targets(ask: Ask) -> None:
    assert ask.ok("exec", "deploy/web", "--", "hostname").startswith("web-")
    assert ask.ok("exec", "svc/web", "--", "hostname").startswith("web-")
    assert ask.ok("exec", "pod/client", "--", "hostname") == "client\n"
    assert "cbr0" in ask.ok("exec", "node/node-a", "--", "ip", "addr")


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("clien", "did you mean client?"),
        ("web", "did you mean deploy/web?"),
        ("node-a", "did you mean node/node-a?"),
    ],
)
def test_a_pod_that_does_not_exist(ask: Ask, target: str, hint: str) -> None:
    done = ask("exec", target, "--", "hostname")
    assert done.status == 1
    assert done.err == f'Error from server (NotFound): pods "{target}" not found; {hint}\n'


def test_a_pod_of_another_namespace_is_pointed_out(ask: Ask) -> None:
    pod = ask.lines("get", "pods", "-n", "kube-system", "-o", "name")[0].removeprefix("pod/")
    assert "add -n kube-system" in ask("exec", pod, "--", "hostname").err


def test_input_is_passed_on(ask: Ask) -> None:
    dns = ask.ok("get", "svc", "web", "-o", "json")
    address = json.loads(dns)["spec"]["clusterIP"]
    words = ["--cluster", ask.cluster, "exec", "-i", "client", "--", "nc", "-w", "2", address, "80"]
    done = run(*words, stdin="GET / HTTP/1.0\r\n\r\n")
    assert "Hostname: web-" in done.out


def test_without_i_input_is_left_to_others(ask: Ask) -> None:
    emulator = " ".join(command("--cluster", ask.cluster))
    loop = f"while read x; do echo $x; {emulator} exec client -- hostname; done"
    done = subprocess.run(
        ["sh", "-c", loop], input="a\nb\n", capture_output=True, text=True, env=environment(), check=True
    )
    assert done.stdout == "a\nclient\nb\nclient\n"


@pytest.mark.parametrize(
    "words",
    [
        ["-it", "client", "--", "hostname"],
        ["client", "-it", "--", "hostname"],
        ["client", "--stdin", "--tty", "-n", "default", "--", "hostname"],
        ["client", "hostname"],
    ],
)
def test_options_stand_where_kubectl_takes_them(ask: Ask, words: list[str]) -> None:
    assert ask.ok("exec", *words) == "client\n"


def test_a_rule_of_the_users_drops(ask: Ask) -> None:
    rules = "*filter\n-A OUTPUT -p icmp -j DROP\nCOMMIT\n"
    ping = ("exec", "client", "--", "ping", "-c", "1", "-W", "1", "127.0.0.1")
    restore = ["--cluster", ask.cluster, "exec", "-i", "client", "--", "iptables-restore"]
    assert run(*restore, stdin=rules).status == 0
    assert ask(*ping).status == 1
    bad = run(*restore, stdin="*filter\n-A OUTPUT -j NOPE\nCOMMIT\n")
    assert (bad.status, "line: 2" in bad.err) == (2, True)
    assert ask.ok("exec", "client", "--", "iptables", "-S", "OUTPUT").endswith("-A OUTPUT -p icmp -j DROP\n")
    ask.ok("exec", "client", "--", "iptables", "-F")
    assert ask(*ping).status == 0


def test_options_behind_the_dashes_are_the_commands(ask: Ask) -> None:
    assert ask.ok("exec", "client", "--", "echo", "-it", "--", "x") == "-it -- x\n"
    assert ask("exec", "client", "-it", "hostname").status == 2


@pytest.mark.parametrize("words", [[], ["-i"]])
def test_ctrl_c_is_the_commands_which_has_last_words(ask: Ask, words: list[str]) -> None:
    """Also where more input waits than anybody takes."""
    process = subprocess.Popen(
        [
            "sh",
            "-c",
            f"exec {' '.join(command('--cluster', ask.cluster, 'exec', *words))} client -- ping 127.0.0.1 </dev/zero",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("PING 127.0.0.1")
    assert "icmp_seq=1" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=10)
    assert "--- 127.0.0.1 ping statistics ---" in output
    assert " 0% packet loss" in output
    assert (process.returncode, errors) == (0, "")


def test_name_and_directory_that_contradict_each_other_do_nothing(ask: Ask) -> None:
    directory = json.loads(ask.ok("status", "-o", "json"))["supervisor"]["state_directory"]
    for words in (["stop"], ["status"], ["get", "pods"]):
        done = run("--state-dir", directory, "--cluster", "other", *words)
        assert done.status == 1
        assert done.err == f'error: the cluster in {directory} is "{ask.cluster}", not "other"\n'
    assert ask.ok("get", "pods")


def test_logs(ask: Ask) -> None:
    lines = ask.lines("logs", "deploy/web")
    assert lines
    assert ask.lines("logs", "deploy/web", "--tail", "1") == lines[-1:]
    entry = json.loads(ask.lines("logs", "deploy/web", "-o", "json")[0])
    assert entry["text"] == lines[0]
    assert ask("logs", "node/node-a").status == 2
    [first, *_] = ask.lines("logs", "deploy/web", "--all-containers", "--prefix", "--since", "1h")
    assert first.startswith("[pod/web-")
    assert first.endswith(f"/whoami] {lines[0]}")
    host = ask.lines("logs", "host/example.com", "--since", "1h")
    assert any("Starting up on port 80" in line for line in host)
    assert ask.lines("logs", "host/example.com", "--since", "1ms") == []
    assert "is not valid for pod web-" in ask("logs", "deploy/web", "-c", "no").err
    assert ask("logs", "deploy/web", "--since", "soon").status == 2
    assert ask("logs", "deploy/web", "--all-containers", "-c", "whoami").status == 2


def test_trace_shows_the_way_there_and_back(ask: Ask) -> None:
    text = ask.ok("trace", "client", "web")
    lines = text.splitlines()
    assert lines[0].startswith("trace: default/client → service default/web (10.")
    assert lines[-1].startswith("verdict: answered")
    assert any(line.startswith("── request: 10.244.") for line in lines)
    assert any(line.startswith("── reply: ") for line in lines)
    assert "KUBE-SERVICES:" in text
    assert " DNAT       to 10." in text
    assert " un-DNAT    from 10.244." in text
    assert "  pod default/client (netns " in text
    numbers = [int(line.split()[0]) for line in lines if line.startswith("     ") and line.split()[0].isdigit()]
    assert numbers == sorted(numbers)


def test_trace_tells_of_rules_that_did_not_match(ask: Ask) -> None:
    """In one line for those of one reason, or in a line each; not at all unless asked."""
    pods = json.loads(ask.ok("get", "pods", "-l", "app=web", "-o", "json"))["items"]
    address = pods[0]["status"]["podIP"]  # no Service's, so that all of KUBE-SERVICES is looked at
    folded = ask.ok("trace", "client", address, "--tcp", "80", "--considered")
    assert re.search(r"KUBE-SERVICES:\d+-\d+ no match: \S+", folded)
    unfolded = ask.ok("trace", "client", address, "--tcp", "80", "--considered", "--considered")
    assert "no match: " in unfolded
    assert not re.search(r":\d+-\d+ no match", unfolded)
    assert "no match" not in ask.ok("trace", "client", "web")


def test_trace_as_json_has_every_step(ask: Ask) -> None:
    value = json.loads(ask.ok("trace", "client", "web", "-o", "json"))
    assert value["outcome"] == "replied"
    assert value["destination"]["protocol"] == "tcp"
    kinds = [step["kind"] for step in value["steps"]]
    assert kinds[0] == "send"
    assert "nat" in kinds
    assert len({step["number"] for step in value["steps"]}) > 10


def test_trace_of_what_nobody_answers_says_why(ask: Ask) -> None:
    done = ask("trace", "client", "web", "--udp", "9", "--timeout", "0.2")
    assert done.status == 1
    assert done.out.splitlines()[-1].startswith("verdict: ")
    assert ask("trace", "client", "nowhere").status == 2
    assert ask("trace", "client", "web", "--tcp", "80", "--icmp").status == 2


def test_trace_to_a_pod_by_ping(ask: Ask) -> None:
    pod = ask.lines("get", "pods", "-l", "app=web", "-o", "name")[0]
    assert "ICMP echo reply" in ask.ok("trace", "client", pod, "--icmp")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("emulator sta", {"start", "status"}),
        ("emulator get dep", {"deployments"}),
        ("emulator get svc w", {"web"}),
        ("emulator exec cl", {"client"}),
        ("emulator exec node/", {"node/node-a", "node/node-b"}),
        ("emulator scale deploy/w", {"deploy/web"}),
        ("emulator get pods -n kube-s", {"kube-system"}),
    ],
)
def test_completion_knows_the_cluster(cluster: str, words: str, expected: set[str]) -> None:
    extra = {
        "PODWIRE_CLUSTER": cluster,
        "_EMULATOR_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    done = subprocess.run(
        [sys.executable, "-m", "emulator"], capture_output=True, text=True, env={**environment(), **extra}, check=True
    )
    assert {line.partition(",")[2] for line in done.stdout.splitlines()} == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    done = subprocess.run(command("completion", shell), capture_output=True, text=True, env=environment(), check=True)
    assert "_EMULATOR_COMPLETE" in done.stdout
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=True, env=os.environ)
