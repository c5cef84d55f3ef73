"""The ConfigMap that tells kube-proxy's mode, also as kubeadm and users write it."""

import random
from ipaddress import IPv4Network

import pytest

from emulator.api.store.store import Store
from emulator.kube.admission.admission import ClusterAdmission
from emulator.kube.proxy.configuration import KEY, config_map, is_configuration, mode_of, settings_of, with_mode
from emulator.kube.proxy.configuration_text import ConfigurationError
from emulator.kube.proxy.settings import ProxySettings
from emulator.kube.reconciler import AdmissionError


def with_text(text: str) -> dict:
    return config_map("iptables") | {"data": {KEY: text}}


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("mode: ipvs\n", "ipvs"),
        ('kind: KubeProxyConfiguration\nmode: "nftables"\n', "nftables"),
        ("mode: 'ipvs'  # since the upgrade\niptables:\n  masqueradeAll: false\n", "ipvs"),
        ('mode: ""\n', "iptables"),
        ("mode:\n", "iptables"),
        ("ipvs:\n  mode: other\n", "iptables"),
        ("# mode: ipvs\n", "iptables"),
        ("", "iptables"),
    ],
)
def test_the_mode_is_read_from_the_outermost_level(text: str, mode: str) -> None:
    assert mode_of(with_text(text)) == mode
    changed = with_mode(with_text(text), "nftables")
    assert mode_of(changed) == "nftables"
    kept = [line for line in text.splitlines() if line and not line.startswith("mode:")]
    assert [line for line in changed["data"][KEY].splitlines() if not line.startswith("mode:")] == kept


def test_a_config_map_without_data_has_the_default() -> None:
    assert mode_of(config_map("ipvs") | {"data": None}) == "iptables"
    assert is_configuration(config_map("ipvs"))
    assert not is_configuration(config_map("ipvs") | {"kind": "Secret"})


KUBEADM = """\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
clientConnection: {kubeconfig: /var/lib/kube-proxy/kubeconfig.conf, qps: 0}
iptables: {localhostNodePorts: false, masqueradeAll: true, masqueradeBit: null, minSyncPeriod: 0s}
ipvs: {excludeCIDRs: null, scheduler: "wlc", strictARP: true}
nftables: {masqueradeAll: false, masqueradeBit: 3}
kind: KubeProxyConfiguration
mode: ""
nodePortAddresses: [10.0.0.0/8, "fd00::/8"]
"""
BASE = ProxySettings(service_cidrs=("10.96.0.0/12",))


def test_settings_are_read_and_the_rest_is_passed_over() -> None:
    settings = settings_of(with_text(KUBEADM), BASE)
    assert settings == ProxySettings(
        masquerade_all=True,
        node_port_addresses=("10.0.0.0/8", "fd00::/8"),
        localhost_node_ports=False,
        service_cidrs=("10.96.0.0/12",),
        ipvs_scheduler="wlc",
        ipvs_strict_arp=True,
    )
    nftables = settings_of(with_mode(with_text(KUBEADM), "nftables"), BASE)
    assert (nftables.masquerade_all, nftables.masquerade_bit) == (False, 3)
    ipvs = settings_of(with_mode(with_text(KUBEADM), "ipvs"), BASE)
    assert ipvs.masquerade_all
    assert settings_of(config_map("ipvs"), BASE) == BASE
    assert settings_of(with_text("\n---\n"), BASE) == BASE


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "nodePortAddresses: [10.0.0.1]\n",
            r"nodePortAddresses\[0\]: Invalid value: \"10.0.0.1\": must be a CIDR",
        ),
        ("nodePortAddresses: [primary, 10.0.0.0/8]\n", "can't use both 'primary' and CIDRs"),
        ("nodePortAddresses: all\n", r"Expected `array`, got `str` - at `\$.nodePortAddresses`"),
        ("ipvs: {scheduler: fastest}\n", 'ipvs.scheduler: Unsupported value: "fastest"'),
        ("nftables: {masqueradeBit: 32}\n", "nftables.masqueradeBit: Invalid value: 32"),
        ("iptables: [\n", "line 2: not valid YAML"),
        ("- mode\n", "a KubeProxyConfiguration is wanted"),
        ("a: 1\n---\nb: 2\n", "one document is wanted, not 2"),
    ],
)
def test_what_kube_proxy_would_not_start_with_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        settings_of(with_text(text), BASE)
    admission = ClusterAdmission(IPv4Network("10.96.0.0/12"))
    with pytest.raises(AdmissionError, match=problem):
        admission.admit(Store(random=random.Random(1), clock=lambda: 0.0), with_text(text), None)


def test_a_mode_that_nodes_have_not_is_refused() -> None:
    store = Store(random=random.Random(1), clock=lambda: 0.0)
    admission = ClusterAdmission(IPv4Network("10.96.0.0/12"))
    admission.admit(store, config_map("iptables"), None)
    with pytest.raises(AdmissionError, match=r'data\[config.conf\]: mode: Unsupported value: "userspace"'):
        admission.admit(store, config_map("userspace"), None)
