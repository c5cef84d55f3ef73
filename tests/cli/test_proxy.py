"""`emulator proxy render` and `check` as users run them: what is printed, where, and with which exit status."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from emulator.cli.exit_status import FAILED, OK, USAGE
from emulator.cli.main import run
from emulator.packet.address import ipv4_to_int
from emulator.reachability.flow import Flow, first_packet
from tests.bundle.maker import Made

SAMPLE = Path(__file__).parents[2] / "configs" / "proxy"
NODE = ["-f", str(SAMPLE / "shop.yaml"), "--node", "node-a"]
FLOWS = str(SAMPLE / "flows.json")


def test_the_sample_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["proxy", "check", FLOWS, *NODE]) == OK
    printed = capsys.readouterr()
    assert printed.err == "note: service shop/search: no EndpointSlice is for it, so it has no endpoints\n"
    first = printed.out.splitlines()[1].split()
    assert first[-5:] == ["iptables", "DNAT", "no", "10.244.0.5:8080,", "10.244.1.5:8080"]


def test_json_has_what_the_contract_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["proxy", "check", FLOWS, *NODE, "-o", "json"]) == OK
    rows = json.loads(capsys.readouterr().out)["flows"]
    assert set(rows[0]) == {"name", "mode", "verdict", "endpoints", "masquerade", "rules"}
    assert rows[0]["endpoints"] == ["10.244.0.5:8080", "10.244.1.5:8080"]
    assert rows[0]["rules"][:2] == ["nat:PREROUTING:rule:1", "nat:KUBE-SERVICES:rule:2"]
    assert rows[1]["masqueraded"] == ["10.244.0.5:8080"]  # the hairpin alone


def test_an_expectation_that_does_not_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flows = tmp_path / "flows.json"
    flow = {"sourceIP": "10.244.0.9", "destIP": "10.96.10.1", "destPort": 80}
    expect = {"verdict": "DNAT", "endpoints": ["10.244.0.5:8080"], "masquerade": True}
    flows.write_text(json.dumps([{"name": "wrong", **flow, "expect": expect}, {"name": "right", **flow}]))
    report = tmp_path / "report.xml"
    assert run(["proxy", "check", str(flows), *NODE, "--junit-file", str(report)]) == FAILED
    printed = capsys.readouterr()
    assert printed.err.splitlines()[1:] == [
        "failed: wrong: iptables: endpoints 10.244.0.5:8080, 10.244.1.5:8080, expected 10.244.0.5:8080",
        "failed: wrong: iptables: not masqueraded, expected masqueraded",
    ]
    (suite,) = ElementTree.fromstring(report.read_text())
    assert suite.attrib == {"name": "iptables", "tests": "2", "failures": "1", "errors": "0"}
    assert [len(case) for case in suite] == [1, 0]


def test_what_is_wrong_with_flows_is_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flows = tmp_path / "flows.json"
    flows.write_text(
        '[{"sourceIP": "10.0.0.256", "destIP": "10.0.0.1", "destPort": 0, "protocl": "TCP"},'
        ' {"sourceIP": "10.0.0.1", "destPort": 80, "expect": {"verdict": "OK", "ipvs": {"endpoint": ["10.0.0.1"]}}}]'
    )
    assert run(["proxy", "check", str(flows), *NODE]) == USAGE
    lines = [line.replace(str(flows), "FLOWS") for line in capsys.readouterr().err.splitlines()[1:]]
    assert lines == [
        'error: FLOWS: $[0].protocl: unknown key; did you mean "protocol"?',
        'error: FLOWS: $[0].sourceIP: "10.0.0.256" is no IPv4 address',
        "error: FLOWS: $[0].destPort: 0 is no port; these are 1 to 65535",
        "error: FLOWS: $[1].destIP: missing",
        'error: FLOWS: $[1].expect.verdict: "OK" is not one of DNAT, REJECT, DROP, ACCEPT',
        'error: FLOWS: $[1].expect.ipvs.endpoints[0]: "10.0.0.1" is no endpoint such as "10.0.0.1:80"',
    ]


@pytest.mark.parametrize("command", [["proxy", "render"], ["proxy", "check", FLOWS]])
def test_an_unknown_node_is_a_usage_error(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command, *NODE[:-1], "node-c"]) == USAGE
    told = capsys.readouterr().err.splitlines()[-1]
    assert 'there is no node "node-c"; the nodes are: node-a, node-b; did you mean "node-b"?' in told


def test_without_any_cluster_a_node_is_made_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (SAMPLE / "shop.yaml").read_text()
    objects = tmp_path / "objects.yaml"
    objects.write_text(text[text.index("kind: Service") - len("apiVersion: v1\n") :])
    assert run(["proxy", "render", "-f", str(objects), "--node", "mine"]) == OK
    printed = capsys.readouterr()
    assert "note: neither --cluster nor a Node object tells of node mine: its address is taken" in printed.err
    assert "no endpoint is on it: they are on node-a, node-b\n" in printed.err
    assert "! -s 10.244.0.0/24 -j KUBE-MARK-MASQ" in printed.out


def test_what_is_printed_is_what_the_tools_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["proxy", "render", *NODE]) == OK
    whole = capsys.readouterr().out
    assert whole.startswith("# sysctl -w net.ipv4.conf.all.route_localnet=1\n*mangle\n")
    assert run(["proxy", "render", *NODE, "--only", "iptables"]) == OK
    assert capsys.readouterr().out == whole.partition("\n")[2]
    assert run(["proxy", "render", *NODE, "--only", "nft"]) == OK
    assert capsys.readouterr().out == ""
    assert run(["proxy", "render", *NODE, "-o", "json"]) == OK
    document = json.loads(capsys.readouterr().out)
    assert document["iptables"] == whole.partition("\n")[2]
    assert (document["node"], document["mode"], document["nft"]) == ("node-a", "iptables", "")


def test_a_bundle_is_what_replay_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tmp_path / "bundle"
    assert run(["proxy", "render", *NODE, "--bundle", str(bundle)]) == OK
    assert f"note: {bundle} is a bundle of node node-a: emulator replay {bundle} --in" in capsys.readouterr().err
    (bundle / "nft.txt").write_text("of another mode\n")
    assert run(["proxy", "render", *NODE, "--bundle", str(bundle)]) == OK
    assert not (bundle / "nft.txt").exists()
    (bundle / "notes.txt").write_text("mine\n")
    assert run(["proxy", "render", *NODE, "--bundle", str(bundle)]) == USAGE
    assert "has notes.txt in it, which is of no bundle; name a new directory" in capsys.readouterr().err
    flow = Flow("", ipv4_to_int("10.244.0.9"), ipv4_to_int("10.96.10.2"), 6379)
    capture = Made(tmp_path).capture([bytes(first_packet(flow, 40_000, 0, 0)[14:])], linktype=101)
    capsys.readouterr()
    assert run(["replay", str(bundle), "--in", f"cbr0={capture}"]) == OK
    row = json.loads(capsys.readouterr().out)
    assert row["verdict"] == "forwarded"
    assert "[UNREPLIED] src=10.244.1.6 dst=10.244.0.9" in " ".join(row["ct"]["entry"].split())


def test_objects_are_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["proxy", "render", "--node", "node-a"]) == USAGE
    assert "Missing option '-f'" in capsys.readouterr().err
