"""`emulator proxy check`: where flows go by kube-proxy's rules, in each mode, and whether that is what is expected."""

from __future__ import annotations

from pathlib import Path

import click

from emulator.cli.command import command
from emulator.cli.exit_status import FAILED, OK, USAGE
from emulator.cli.output import Table, print_error, print_json, print_lines
from emulator.cli.proxy.options import MODES, named_node, node_options, read_inputs

EXAMPLES = """
emulator proxy check configs/proxy/flows.json -f configs/proxy/shop.yaml --node node-a
emulator proxy check flows.json --node node-a -f objects.yaml --mode iptables --mode nftables
emulator proxy check flows.json --node node-a -f objects.yaml -o json
emulator proxy check flows.json --node node-a -f objects.yaml --junit-file report.xml
echo '[{"sourceIP": "203.0.113.9", "destIP": "172.18.0.2", "destPort": 30080}]' | emulator proxy check - -f objects.yaml
"""


@command("check", examples=EXAMPLES, offline=True)
@click.argument("flows", metavar="FLOWS.json", type=click.Path(allow_dash=True))
@click.option("--mode", "modes", type=click.Choice(MODES), multiple=True, default=("iptables",), show_default=True,
              help="kube-proxy's mode; given several times, the modes stand side by side.")  # fmt: skip
@node_options
@click.option("-o", "--output", type=click.Choice(["json"]), help="Another form of output.")
@click.option("--junit-file", metavar="FILE", type=click.Path(), help="Also write a JUnit report.")
def check(
    flows: str,
    modes: tuple[str, ...],
    node: str,
    cluster: str | None,
    filenames: tuple[str, ...],
    recursive: bool,
    output: str | None,
    junit_file: str | None,
) -> int:
    """Send the first packet of each flow through a node with kube-proxy's rules, and tell what becomes of it.

    That is a verdict (DNAT, REJECT, DROP, ACCEPT), all endpoints that may be chosen, and whether its source is
    masqueraded.

    FLOWS.json is a list of {"name", "sourceIP", "destIP", "destPort", "protocol", "expect"}; "expect" holds any of
    "verdict", "endpoints" and "masquerade", or these by mode. A flow from one of the node's own addresses is the
    node's, one from its pod CIDR comes from a pod of it, all others from outside.

    Exit status: 0, 1 where an "expect" does not hold, 2 where options or files are wrong.
    """
    from emulator.errors import ManifestError
    from emulator.reachability.check import check_flows
    from emulator.reachability.flow_reader import read_flows
    from emulator.reachability.report import failure_lines, junit, table_rows, to_json

    try:
        model, objects = read_inputs(cluster, filenames, node, recursive=recursive)
        wanted = read_flows(flows)
    except ManifestError as error:
        print_error(str(error))
        return USAGE
    results = list(check_flows(wanted, dict.fromkeys(modes), model, named_node(model, node), objects))
    if junit_file is not None:
        Path(junit_file).write_text(junit(results))
    if output == "json":
        print_json(to_json(results, len(wanted)))
    else:
        print_lines(Table().lines(table_rows(results, len(wanted))))
    failures = failure_lines(results)
    for line in failures:
        print_error(line, "failed: ")
    return FAILED if failures else OK
