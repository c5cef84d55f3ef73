import base64
import hashlib

from hypothesis import given
from hypothesis import strategies as st

from emulator.kube.proxy import names


def test_chain_names_are_kube_proxys_own() -> None:
    assert names.cluster_policy_chain("ns1/svc1:p80", "TCP") == "KUBE-SVC-XPGD46QRK7WJZT7O"
    assert names.endpoint_chain("ns1/svc1:p80", "tcp", "10.180.0.1:80") == "KUBE-SEP-SXIVWICOYRO3J4NJ"
    assert names.external_chain("ns2/svc2:p80", "TCP") == "KUBE-EXT-GNZBNJ2PO5MGZ6GT"
    assert names.firewall_chain("ns2/svc2:p80", "TCP") == "KUBE-FW-GNZBNJ2PO5MGZ6GT"
    assert names.local_policy_chain("ns2/svc2:p80", "TCP") == "KUBE-SVL-GNZBNJ2PO5MGZ6GT"


def test_names_fit_into_a_chain_name() -> None:
    long = names.endpoint_chain("a" * 63 + "/" + "b" * 63 + ":" + "c" * 63, "sctp", "255.255.255.255:65535")
    assert len(long) <= 28


@given(st.text())
def test_the_hash_is_base32_of_sha256(text: str) -> None:
    whole = base64.b32encode(hashlib.sha256((text + "tcp").encode()).digest()).decode()
    assert names.cluster_policy_chain(text, "TCP") == f"KUBE-SVC-{whole[:16]}"
