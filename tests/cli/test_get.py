"""`emulator get` against a real controller: kubectl's tables, forms of output, watches."""

from __future__ import annotations

import json
import re
import signal
import subprocess

import yaml

from tests.cli.conftest import Ask, command, environment


def test_pods_as_kubectl_prints_them(ask: Ask) -> None:
    header, client, *web = ask.lines("get", "pods")
    assert re.fullmatch(r"NAME {6,}READY {3}STATUS {4}RESTARTS {3}AGE", header)
    assert re.fullmatch(r"client +1/1     Running   0          \d+(s|m\d+s)", client)
    assert len(web) == 2


def test_wide_has_addresses_and_nodes(ask: Ask) -> None:
    header, client, *_ = ask.lines("get", "pods", "-o", "wide")
    assert header.endswith("   NOMINATED NODE   READINESS GATES")
    assert re.search(r" 10\.244\.[01]\.\d+   node-[ab]   <none> +<none>$", client)


def test_namespaces(ask: Ask) -> None:
    header, *rows = ask.lines("get", "pods", "-A")
    assert header.startswith("NAMESPACE")
    assert {row.split()[0] for row in rows} == {"default", "kube-system"}
    assert all(row.startswith("coredns") for row in ask.lines("get", "po", "-n", "kube-system", "--no-headers"))


def test_nothing_found(ask: Ask) -> None:
    done = ask("get", "configmaps")
    assert (done.status, done.out, done.err) == (0, "", "No resources found in default namespace.\n")
    assert ask("get", "secrets", "-A").err == "No resources found\n"


def test_not_found_by_name(ask: Ask) -> None:
    done = ask("get", "pod", "client", "nobody")
    assert done.status == 1
    assert done.err == 'Error from server (NotFound): pods "nobody" not found\n'
    assert "client" in done.out
    assert ask("get", "deploy", "x").err == 'Error from server (NotFound): deployments.apps "x" not found\n'


def test_several_kinds_have_their_names_before_objects(ask: Ask) -> None:
    lines = ask.lines("get", "deploy,svc")
    assert any(line.startswith("deployment.apps/web ") for line in lines)
    assert "" in lines
    assert any(line.startswith("service/web ") for line in lines)
    everything = ask.ok("get", "all")
    assert all(
        word in everything for word in ("pod/client", "service/web", "deployment.apps/web", "replicaset.apps/web")
    )


def test_services_and_nodes(ask: Ask) -> None:
    header, row = ask.lines("get", "svc", "web")
    assert header.split() == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]
    assert re.fullmatch(r"web    ClusterIP   10\.\d+\.\d+\.\d+ +<none>        80/TCP    \d+(s|m\d+s)", row)
    assert [line.split()[:3] for line in ask.lines("get", "nodes")] == [
        ["NAME", "STATUS", "ROLES"],
        ["node-a", "Ready", "<none>"],
        ["node-b", "Ready", "<none>"],
    ]


def test_json_yaml_and_names_agree(ask: Ask) -> None:
    one = json.loads(ask.ok("get", "svc/web", "-o", "json"))
    assert one["metadata"]["name"] == "web"
    assert yaml.safe_load(ask.ok("get", "svc", "web", "-o", "yaml")) == one
    many = json.loads(ask.ok("get", "pods", "-l", "app=web", "-o", "json"))
    assert (many["kind"], len(many["items"])) == ("List", 2)
    names = ask.lines("get", "pods", "-l", "app=web", "-o", "name")
    assert names == [f"pod/{pod['metadata']['name']}" for pod in many["items"]]


def test_selectors(ask: Ask) -> None:
    assert len(ask.lines("get", "pods", "-l", "app=web", "--no-headers")) == 2
    assert ask.lines("get", "pods", "-l", "app!=web", "-o", "name") == ["pod/client"]
    assert ask.lines("get", "pods", "--field-selector", "metadata.name=client", "-o", "name") == ["pod/client"]
    done = ask("get", "pods", "-l", "a=(")
    assert done.status == 1
    assert "label selector" in done.err
    assert "app=client" in ask.lines("get", "pods", "client", "--show-labels")[1]


def test_watch_prints_changes_until_interrupted(ask: Ask) -> None:
    process = subprocess.Popen(
        command("--cluster", ask.cluster, "get", "configmaps", "-w"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert process.stdout is not None
    manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: watched}\ndata: {a: b}\n"
    ask.ok("apply", "-f", "-", stdin=manifest)
    assert process.stdout.readline().split() == ["NAME", "DATA", "AGE"]
    assert process.stdout.readline().split()[:2] == ["watched", "1"]
    ask.ok("delete", "configmap", "watched")
    assert process.stdout.readline().split()[0] == "watched"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (130, "")


def test_watch_of_several_kinds_is_refused(ask: Ask) -> None:
    assert ask("get", "pods,services", "-w").status == 2


def test_endpoints_point_to_the_slices(ask: Ask) -> None:
    for word in ("ep", "endpoints"):
        done = ask("get", word)
        assert done.status == 0
        assert "emulator get endpointslices" in done.err
    assert "endpointslices" not in ask("get", "pods").err
