"""The ConfigMap that tells kube-proxy's mode, also as kubeadm and users write it."""

import random

import pytest

from emulator.api.store import Store
from emulator.kube.admission import ClusterAdmission
from emulator.kube.proxy.configuration import KEY, config_map, is_configuration, mode_of, with_mode
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


def test_a_mode_that_nodes_have_not_is_refused() -> None:
    from ipaddress import IPv4Network

    store = Store(random=random.Random(1), clock=lambda: 0.0)
    admission = ClusterAdmission(IPv4Network("10.96.0.0/12"))
    admission.admit(store, config_map("iptables"), None)
    with pytest.raises(AdmissionError, match=r'data\[config.conf\]: mode: Unsupported value: "userspace"'):
        admission.admit(store, config_map("userspace"), None)
