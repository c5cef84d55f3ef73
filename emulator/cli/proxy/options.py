"""What `emulator proxy render` and `check` have in common: which node, in which cluster, with which objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from emulator.cli.command import mistyped
from emulator.cli.output import note

if TYPE_CHECKING:
    from emulator.reachability.cluster import ClusterModel, NodeModel
    from emulator.reachability.objects import ClusterObjects

MODES = ("iptables", "ipvs", "nftables")
_NAMED = 5
"""Nodes that a note names."""

F = TypeVar("F", bound=Callable[..., Any])


def _complete_node(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of a node of the files that were named; nothing where they cannot be read."""
    from emulator.errors import PodwireError

    try:
        cluster, _ = read_inputs(ctx.params.get("cluster"), ctx.params.get("filenames") or (), "", quiet=True)
    except (PodwireError, OSError):
        return []
    return [name for name in cluster.names if name.startswith(incomplete)]


def node_options(function: F) -> F:
    """`--node`, `--cluster`, `-f` and `-R`."""
    options = (
        click.option(
            "-f", "--filename", "filenames", multiple=True, metavar="OBJECTS", type=click.Path(allow_dash=True),
            help="Services, EndpointSlices and Nodes as Kubernetes YAML or JSON: a file, a directory, or - for the "
            "standard input. May be given several times.",
        ),
        click.option("-R", "--recursive", is_flag=True, help="Also the directories in a directory."),
        click.option(
            "--cluster", metavar="FILE", type=click.Path(),
            help="The cluster: a cluster file (TOML), or JSON with podCIDR, nodeIPs, labels, masqueradeAll, "
            "nodePortAddresses, localDetector. What it does not say, Node objects do.",
        ),
        click.option(
            "--node", metavar="NODE", default="", shell_complete=_complete_node,
            help="The node that the rules are for; may be left out where there is one only.",
        ),
    )  # fmt: skip
    for option in options:
        function = option(function)
    return function


def read_inputs(
    cluster: str | None, filenames: tuple[str, ...], node: str, *, recursive: bool = False, quiet: bool = False
) -> tuple[ClusterModel, ClusterObjects]:
    """Read what the options name, and say on standard error what of it is left out.

    Raises ManifestError with all that is wrong in any of the files.
    """
    from emulator.api.manifest import in_namespace
    from emulator.cli.manifests import read_files
    from emulator.errors import ManifestError
    from emulator.reachability.cluster import default_cluster
    from emulator.reachability.cluster_reader import read_cluster
    from emulator.reachability.objects import read_objects

    if not filenames and not quiet:
        raise click.UsageError("Missing option '-f': name a file with Services and EndpointSlices, or -")
    problems: list[str] = []
    remarks: list[str] = []
    model = None
    try:
        model = read_cluster(cluster) if cluster else None
    except ManifestError as error:
        problems += error.problems
    try:
        items = in_namespace(read_files(filenames, recursive=recursive, remarks=remarks), None)
        objects = read_objects(items)
    except ManifestError as error:
        raise ManifestError([*problems, *error.problems]) from None
    if problems:
        raise ManifestError(problems)
    if model is None:
        model = default_cluster(node)
        if objects.nodes:
            model = type(model)()
        elif not quiet:
            _tell_of_default(model.node(node), objects)
    if not quiet:
        for line in (*remarks, *objects.notes):
            note(f"note: {line}")
    return model.with_nodes(objects.nodes), objects


def _tell_of_default(node: NodeModel, objects: ClusterObjects) -> None:
    """Say what a node that nothing tells of is taken to be, and which nodes endpoints are said to be on."""
    address = (node.addresses or ("",))[0]
    text = f"note: neither --cluster nor a Node object tells of node {node.name}: its address is taken to be {address}"
    text += f", its pods to be in {node.pod_cidr}"
    named = sorted({endpoint.node_name for each in objects.slices for endpoint in each.endpoints if endpoint.node_name})
    if named and node.name not in named:
        more = ", …" if len(named) > _NAMED else ""
        text += f"; no endpoint is on it: they are on {', '.join(named[:_NAMED])}{more}"
    note(text)


def named_node(cluster: ClusterModel, name: str) -> str:
    """Return the node's name; a usage error where it is not known."""
    from emulator.reachability.cluster import UnknownNodeError

    try:
        return cluster.node(name).name
    except UnknownNodeError as error:
        raise mistyped(f"--node: {error}", error.known, error.name) from None
