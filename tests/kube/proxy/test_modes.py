"""The table of modes: what a cluster file may ask for is what a node can run."""

import subprocess
import sys

import pytest

from emulator.api.cluster_file import AVAILABLE, PROXY_MODES
from emulator.kube.proxy.modes import MODES, UnknownModeError, make_proxier
from emulator.kube.proxy.settings import ProxyNode, ProxySettings
from emulator.kube.proxy.tracker import ServiceTracker

NODE = ProxyNode(name="node-a", addresses=("172.18.0.2",), pod_cidr="10.244.0.0/24")


def test_a_cluster_file_may_ask_for_just_the_modes_that_are_there():
    assert {mode for mode in PROXY_MODES if mode in AVAILABLE} == MODES.keys()


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_has_something_to_write_at_its_first_sync(mode: str):
    writes = make_proxier(mode, NODE, ProxySettings()).sync(ServiceTracker(), 0.0)
    assert writes.iptables or writes.nft


def test_a_mode_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(UnknownModeError, match='"userspace" is not there; choose one of iptables'):
        make_proxier("userspace", NODE, ProxySettings())


def test_the_table_imports_no_mode():
    """A process of its own, since other tests have imported them."""
    found = "[name for name in sys.modules if name.startswith('emulator.kube.proxy.') and name.split('.')[-1][:3] in"
    program = f"import sys, emulator.kube.proxy.modes; print({found} ('ipt', 'ipv', 'nft')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
