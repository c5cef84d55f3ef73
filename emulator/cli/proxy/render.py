"""`emulator proxy render`: what kube-proxy would load on a node, from manifests, without a cluster."""

from __future__ import annotations

from pathlib import Path

import click

from emulator.cli.command import command
from emulator.cli.output import note, print_json
from emulator.cli.proxy.options import MODES, named_node, node_options, read_inputs

EXAMPLES = """
emulator proxy render -f configs/proxy/shop.yaml --node node-a
emulator proxy render --mode nftables --node node-a -f objects.yaml
kubectl get svc,endpointslices,nodes -A -o yaml | emulator proxy render --node node-a -f -
emulator proxy render --mode ipvs --node node-a -f objects.yaml --only ipvsadm
emulator proxy render --node node-a -f objects.yaml --bundle node-a
"""


@command("render", examples=EXAMPLES, offline=True)
@click.option("--mode", type=click.Choice(MODES), default="iptables", show_default=True, help="kube-proxy's mode.")
@node_options
@click.option("--bundle", metavar="DIRECTORY", type=click.Path(),
              help="Also write the node with these rules to a directory, as `emulator replay` takes it: links, "
                   "routes, sysctls and rules. Pods are behind cbr0, all others behind eth0.")  # fmt: skip
@click.option("--only", type=click.Choice(["iptables", "ipset", "ipvsadm", "nft"]), metavar="TOOL",
              help="Print the text for one tool alone: iptables, ipset, ipvsadm or nft.")  # fmt: skip
@click.option("-o", "--output", type=click.Choice(["json"]), help="All texts in one JSON object.")
def render(
    mode: str,
    node: str,
    cluster: str | None,
    filenames: tuple[str, ...],
    recursive: bool,
    bundle: str | None,
    only: str | None,
    output: str | None,
) -> None:
    """Print the rules that kube-proxy would load on a node.

    They are text for iptables-restore --noflush, in ipvs mode with text for ipset and ipvsadm before it, or for nft -f.

    The objects are taken as they are: nothing is allocated, and no controller makes endpoints. Services without
    EndpointSlices have none; a load balancer's addresses are those in its status.
    """
    from emulator.reachability.render import bundle_files
    from emulator.reachability.render import render as rendered

    model, objects = read_inputs(cluster, filenames, node, recursive=recursive)
    name = named_node(model, node)
    if bundle is not None:
        _check_directory(Path(bundle))
    result = rendered(mode, model, name, objects)
    if bundle is not None:
        from emulator.bundle.files import FILES
        from emulator.bundle.save import write_files

        for file in FILES:
            (Path(bundle) / file).unlink(missing_ok=True)  # a bundle of before; not one file of it may stay
        write_files(Path(bundle), bundle_files(result, model))
        note(f"note: {bundle} is a bundle of node {name}: emulator replay {bundle} --in eth0=FILE --in cbr0=FILE")
    if output == "json":
        print_json(result.to_json())
    elif only is not None:
        click.echo(result.part(only), nl=False)
    else:
        click.echo(result.to_text(), nl=False)


def _check_directory(directory: Path) -> None:
    """Refuse a directory that has anything else in it than a bundle."""
    from emulator.bundle.files import FILES

    if directory.is_dir():
        others = sorted(entry.name for entry in directory.iterdir() if entry.name not in FILES)
        problem = f"has {others[0]} in it, which is of no bundle" if others else ""
    else:
        problem = "is a file" if directory.exists() or directory.is_symlink() else ""
    if problem:
        raise click.BadParameter(f"{directory} {problem}; name a new directory", param_hint="'--bundle'")
