"""Nodes, configuration and policies: what is not a workload and not a Service."""

from __future__ import annotations

import base64
import binascii

from emulator.api.checks import formats
from emulator.api.checks.metadata import check_selector
from emulator.api.problem import Cursor


def check_node(node: Cursor) -> None:
    """Check a Node: its part of the pod network, its taints and addresses."""
    spec = node.get("spec")
    for cidr in (spec.get("podCIDR"), *spec.get("podCIDRs")):
        for problem in formats.cidr(cidr.text) if cidr.text else ():
            cidr.invalid(problem)
    for taint in spec.get("taints"):
        key = taint.get("key")
        for problem in formats.qualified_name(key.text) if key.text is not None else ():
            key.invalid(problem)
    for entry in node.get("status", "addresses"):
        address = entry.get("address")
        if entry.get("type").text in ("InternalIP", "ExternalIP") and address.text is not None:
            for problem in formats.ip_address(address.text):
                address.invalid(problem)


def check_config_map(config_map: Cursor) -> None:
    """Check a ConfigMap's keys."""
    _check_keys(config_map, ("data", "binaryData"))


def check_secret(secret: Cursor) -> None:
    """Check a Secret's keys, and that its data is base64."""
    _check_keys(secret, ("data", "stringData"))
    for _, value in secret.get("data").entries():
        if value.text is None:
            continue
        try:
            base64.b64decode("".join(value.text.split()), validate=True)
        except (binascii.Error, ValueError):
            value.report("Invalid value: illegal base64 data; use stringData for plain text")


def _check_keys(obj: Cursor, fields: tuple[str, str]) -> None:
    seen: set[str] = set()
    for name in fields:
        for key, value in obj.get(name).entries():
            for problem in formats.config_key(key):
                Cursor(key, value.path, value.problems).invalid(problem)
            if key in seen and name == "binaryData":
                value.invalid("duplicate of key present in data")
            seen.add(key)


def check_network_policy(policy: Cursor) -> None:
    """Check a NetworkPolicy's selectors, address blocks and ports."""
    check_selector(policy.get("spec", "podSelector"))
    for direction, side in (("ingress", "from"), ("egress", "to")):
        for rule in policy.get("spec", direction):
            for peer in rule.get(side):
                check_selector(peer.get("podSelector"))
                check_selector(peer.get("namespaceSelector"))
                block = peer.get("ipBlock")
                for cidr in (block.get("cidr"), *block.get("except")):
                    for problem in formats.cidr(cidr.text) if cidr.text is not None else ():
                        cidr.invalid(problem)
            for port in rule.get("ports"):
                number = port.get("port")
                for problem in formats.port_number(number.number) if number.number is not None else ():
                    number.invalid(problem)


def check_definition(definition: Cursor) -> None:
    """Check a CustomResourceDefinition's name and that one of its versions is the stored one."""
    spec = definition.get("spec")
    name, plural, group = definition.get("metadata", "name"), spec.get("names", "plural"), spec.get("group")
    if name.text and plural.text and group.text and name.text != f"{plural.text}.{group.text}":
        name.invalid('must be spec.names.plural+"."+spec.group')
    versions = spec.get("versions")
    stored = sum(version.get("storage").value is True for version in versions)
    if versions.given and stored != 1:
        Cursor(stored, versions.path, versions.problems).invalid(
            "must have exactly one version marked as storage version"
        )
