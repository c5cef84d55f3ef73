"""Bundles with tables of nftables: as text and as JSON, beside those that iptables made."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from emulator.bundle.bundle import Bundle
from emulator.bundle.problem import BundleError
from emulator.kernel.kernel import Kernel
from emulator.kernel.netns import Netns
from tests.bundle.test_bundle import load, router
from tests.kernel.netfilter.nft.rulesets import KUBE_PROXY

COMPAT = """# Warning: table ip filter is managed by iptables-nft, do not touch!
table ip filter {
\tchain INPUT {
\t\ttype filter hook input priority filter; policy accept;
\t\txt match "comment" counter packets 0 bytes 0 drop
\t}
}
"""


def listed() -> tuple[str, str]:
    """Return kube-proxy's table as text and as JSON."""
    nft = Netns(Kernel("other", random.Random(1)), "other").netfilter.nft
    nft.load(KUBE_PROXY)
    return nft.list_ruleset(), nft.list_json()


def text_of(bundle: Bundle) -> str:
    return bundle.netns.netfilter.nft.list_ruleset()


def test_text_beside_tables_of_iptables(tmp_path: Path) -> None:
    text, _ = listed()
    router(tmp_path, nft=COMPAT + text, iptables_save="*filter\nCOMMIT\n")
    bundle = load(tmp_path)
    assert text_of(bundle) == text
    assert bundle.netns.netfilter.conntrack.enabled


def test_json(tmp_path: Path) -> None:
    text, document = listed()
    router(tmp_path)
    (tmp_path / "nft.json").write_text(document)
    bundle = load(tmp_path)
    rules = [line for line in text.splitlines() if not line.startswith("\tcomment") and "helper for" not in line]
    loaded = text_of(bundle).splitlines()
    # libnftables' JSON has no comments of tables and chains, and does not tell of `dynamic`.
    assert [line for line in loaded if "flags" not in line] == [line for line in rules if "flags" not in line]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("table ip t {\n\tchain c {\n\t\tip saddr 1.2.3.4.5 drop\n\t}\n}\n", "nft.txt: line 3"),
        ("table netdev t {\n}\n", "nft.txt: line 1"),
        (COMPAT + "table ip t {\n\tnonsense\n}\n", "nft.txt: line 9"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(tmp_path: Path, text: str, where: str) -> None:
    router(tmp_path, nft=text, iptables_save="*filter\nCOMMIT\n")
    with pytest.raises(BundleError) as refused:
        load(tmp_path)
    assert where in str(refused.value)
