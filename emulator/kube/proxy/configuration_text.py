"""The text of a KubeProxyConfiguration -> the settings in it that have effect here.

Source: pkg/proxy/apis/config/v1alpha1 and pkg/proxy/apis/config/validation. What else such files have (kubeadm writes
all of it) is passed over. The parser is imported when a file has more than a mode: few clusters' nodes need it.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

import msgspec
from msgspec import Struct

from emulator.api.objects.view import without_nulls
from emulator.errors import PodwireError
from emulator.kube.proxy.settings import IPVS_SCHEDULERS, PRIMARY, ProxySettings


class ConfigurationError(PodwireError):
    """A configuration that kube-proxy would refuse to start with; `problems` has a line each."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


class _Iptables(Struct, frozen=True, rename="camel"):
    masquerade_all: bool = False
    masquerade_bit: int = 14
    localhost_node_ports: bool = True


class _Nftables(Struct, frozen=True, rename="camel"):
    masquerade_all: bool = False
    masquerade_bit: int = 14


class _Ipvs(Struct, frozen=True, rename={"strict_arp": "strictARP"}):
    scheduler: str = ""
    strict_arp: bool = False


class _Configuration(Struct, frozen=True, rename="camel"):
    node_port_addresses: tuple[str, ...] = ()
    iptables: _Iptables = _Iptables()
    ipvs: _Ipvs = _Ipvs()
    nftables: _Nftables = _Nftables()


def read_settings(text: str, mode: str, base: ProxySettings) -> ProxySettings:
    """Return `base` with what the text says for a mode. Raises ConfigurationError."""
    configuration = _parse(text)
    if problems := [*_problems(configuration)]:
        raise ConfigurationError(problems)
    # IPVS mode masquerades by iptables, and asks that section (cmd/kube-proxy/app/server_linux.go).
    section = configuration.nftables if mode == "nftables" else configuration.iptables
    return msgspec.structs.replace(
        base,
        masquerade_all=section.masquerade_all,
        masquerade_bit=section.masquerade_bit,
        node_port_addresses=configuration.node_port_addresses,
        localhost_node_ports=configuration.iptables.localhost_node_ports,
        ipvs_scheduler=configuration.ipvs.scheduler or base.ipvs_scheduler,
        ipvs_strict_arp=configuration.ipvs.strict_arp,
    )


def _parse(text: str) -> _Configuration:
    from emulator.api.yaml.compose import compose
    from emulator.api.yaml.node import to_value

    documents, problems = compose(text)
    if problems:
        raise ConfigurationError([f"line {problem.line}: {problem.message}" for problem in problems])
    if len(documents) > 1:
        raise ConfigurationError([f"one document is wanted, not {len(documents)}"])
    value = to_value(documents[0]) if documents else {}
    if not isinstance(value, dict):
        raise ConfigurationError(["a KubeProxyConfiguration is wanted, with `mode: …` and others of its fields"])
    try:
        return msgspec.convert(without_nulls(value), _Configuration)
    except msgspec.ValidationError as error:
        raise ConfigurationError([str(error)]) from None


def _problems(configuration: _Configuration) -> Iterator[str]:
    addresses = configuration.node_port_addresses
    for index, text in enumerate(addresses):
        if text == PRIMARY:
            if len(addresses) > 1:
                yield f"nodePortAddresses[{index}]: Invalid value: \"{text}\": can't use both 'primary' and CIDRs"
            continue
        try:
            if "/" not in text:
                raise ValueError
            ip_network(text, strict=False)
        except ValueError:
            yield f'nodePortAddresses[{index}]: Invalid value: "{text}": must be a CIDR block, such as "10.0.0.0/8"'
    for name, section in (("iptables", configuration.iptables), ("nftables", configuration.nftables)):
        if not 0 <= section.masquerade_bit < 32:
            yield f"{name}.masqueradeBit: Invalid value: {section.masquerade_bit}: must be within the range [0, 31]"
    scheduler = configuration.ipvs.scheduler
    if scheduler and scheduler not in IPVS_SCHEDULERS:
        known = ", ".join(f'"{each}"' for each in IPVS_SCHEDULERS)
        yield f'ipvs.scheduler: Unsupported value: "{scheduler}": supported values: {known}'
